import { base64ToBytes, bytesToBase64 } from './base64.ts'
import { bytesToHex, hexToBytes, type Hash, type Hex } from './bytes.ts'
import { invalid, type Failure } from './errors.ts'
import { parseNote, signNote, verifyNote, type Note, type NoteCode, type NoteKey, type NoteSigner } from './note.ts'
import { refuse } from './shape.ts'
import { shown } from './shown.ts'
import type { SigningKey } from './signature.ts'

/**
 * The history tree as a C2SP checkpoint (https://c2sp.org/tlog-checkpoint): a signed note of origin, size and root. The tree
 * of the header at height h has size h + 1: it holds that header too.
 */
export interface Checkpoint {
  /** The first line: the genesis' origin. */
  readonly origin: string
  readonly size: number
  readonly root: Hash
}

const DECIMAL = /^(0|[1-9][0-9]{0,15})$/
const ROOT_BYTES = 32

/** The text of a checkpoint's note. */
export const checkpointText = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${bytesToBase64(hexToBytes(root))}\n`

/** Reads the text of a checkpoint's note. Extension lines are opaque and left out. Throws `malformed`. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', root = '', ...extensions] = text.replace(/\n$/, '').split('\n')
  if (origin === '' || extensions.includes('')) refuse('checkpoint', 'lines that are not empty', text)
  const bytes = base64ToBytes(root, 'checkpoint root')
  if (bytes.length !== ROOT_BYTES) refuse('checkpoint root', `${ROOT_BYTES} bytes`, root)
  return { origin, size: parseSize(size, 'checkpoint size'), root: bytesToHex(bytes) }
}

/** A tree size: decimal, without leading zeros, a safe integer. Throws `malformed`. */
export function parseSize(text: string, path: string): number {
  const size = Number(text)
  return DECIMAL.test(text) && Number.isSafeInteger(size) ? size : refuse(path, 'a decimal without leading zeros', text)
}

/** Signs a checkpoint with the log's key, whose name is the origin. The log never signs two that are not consistent. */
export async function signCheckpoint(checkpoint: Checkpoint, key: SigningKey): Promise<Note> {
  const text = checkpointText(checkpoint)
  return { text, signatures: [await signNote(text, checkpoint.origin, key)] }
}

/** The name under which a validator cosigns: below the origin. A plus, which ids may have, has no place in a key name. */
export const cosignerName = (origin: string, id: string): string => `${origin}/${id.replaceAll('+', '%2B')}`

export type CheckpointCode = NoteCode | 'wrong_origin'
export type CheckpointVerdict =
  | { readonly ok: true; readonly checkpoint: Checkpoint; readonly witnesses: readonly NoteSigner[] }
  | Failure<CheckpointCode>

/**
 * Checks a checkpoint. It guarantees a) the origin (`wrong_origin`), b) the signature of the log's key
 * (`no_known_signature`, `bad_note_signature`), c) each cosignature of a witness that is known here; who cosigned comes back.
 * Throws `malformed` for a note that is no checkpoint.
 */
export function verifyCheckpoint(
  source: string | Note,
  origin: string,
  logKey: Hex,
  witnesses: readonly NoteKey[] = [],
): CheckpointVerdict {
  const note = typeof source === 'string' ? parseNote(source) : source
  const checkpoint = parseCheckpoint(note.text)
  if (checkpoint.origin !== origin) return invalid('wrong_origin', `${shown(checkpoint.origin)}, expected ${origin}`)
  const log = verifyNote(note, [{ name: origin, public_key: logKey, type: 'ed25519' }])
  if (!log.ok) return log
  const cosigned = verifyNote(note, witnesses)
  if (!cosigned.ok && cosigned.code === 'bad_note_signature') return cosigned
  return { ok: true, checkpoint, witnesses: cosigned.ok ? cosigned.signers : [] }
}
