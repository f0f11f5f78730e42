import { base64ToBytes, bytesToBase64 } from './base64.ts'
import { bytesToHex, hexToBytes, type Hash, type Hex } from './bytes.ts'
import { parseCheckpoint, parseSize, type Checkpoint } from './checkpoint.ts'
import { EMPTY_HISTORY_ROOT, verifyConsistency } from './history.ts'
import { formatNote, parseNote, verifyNote, type Note } from './note.ts'
import { refuse } from './shape.ts'
import { shown } from './shown.ts'

/** What is submitted to a witness (https://c2sp.org/tlog-witness, add-checkpoint). */
export interface AddCheckpoint {
  readonly oldSize: number
  /** Consistency proof from `oldSize` to the checkpoint's size. */
  readonly proof: readonly Hash[]
  readonly note: Note
  readonly checkpoint: Checkpoint
}

const MAX_PROOF_LINES = 63

/** The body of add-checkpoint. */
export function formatAddCheckpoint({ oldSize, proof, note }: Omit<AddCheckpoint, 'checkpoint'>): string {
  const lines = [`old ${oldSize}`, ...proof.map((hash) => bytesToBase64(hexToBytes(hash)))]
  return `${lines.map((line) => `${line}\n`).join('')}\n${formatNote(note)}`
}

/** Reads the body of add-checkpoint. Throws `malformed`, which a witness answers with 400. */
export function parseAddCheckpoint(body: string): AddCheckpoint {
  const split = body.indexOf('\n\n')
  const [first = '', ...lines] = body.slice(0, Math.max(split, 0)).split('\n')
  if (!first.startsWith('old ')) refuse('body', 'a line "old SIZE", a proof, a blank line and a checkpoint', body)
  if (lines.length > MAX_PROOF_LINES) refuse('body', `at most ${MAX_PROOF_LINES} proof lines`, lines)
  const note = parseNote(body.slice(split + 2))
  return {
    oldSize: parseSize(first.slice('old '.length), 'old size'),
    proof: lines.map((line) => hashOf(line)),
    note,
    checkpoint: parseCheckpoint(note.text),
  }
}

function hashOf(line: string): Hash {
  const bytes = base64ToBytes(line, 'proof line')
  return bytes.length === 32 ? bytesToHex(bytes) : refuse('proof line', '32 bytes', line)
}

/** The tree that a witness cosigned last. */
export interface CosignedTree {
  readonly size: number
  readonly root: Hash
}

/** What a witness knows of a log. */
export interface WitnessedLog {
  /** Its public keys; the key's name is the origin. */
  readonly keys: readonly Hex[]
  /** null before the first. */
  readonly last: CosignedTree | null
}

/** The answer of a witness as tlog-witness has it; with 409 goes the size that it cosigned last. */
export type AddCheckpointVerdict =
  | { readonly status: 200 }
  | { readonly status: 400 | 403 | 404 | 422; readonly reason: string }
  | { readonly status: 409; readonly size: number; readonly reason: string }

/**
 * Decides whether a witness may cosign. It guarantees
 * a) a known log (404), b) the signature of one of its keys (403), c) an old size not above the new one (400) and equal to
 * what was cosigned last (409), d) the same root for the same size (409), e) the consistency of both trees (422).
 *
 * @param log `undefined`: the origin is not one that this witness knows
 */
export function checkAddCheckpoint(request: AddCheckpoint, log: WitnessedLog | undefined): AddCheckpointVerdict {
  const { oldSize, proof, note, checkpoint } = request
  const { origin, size, root } = checkpoint
  if (log === undefined) return { status: 404, reason: `the origin ${shown(origin)} is not known here` }
  const keys = log.keys.map((public_key) => ({ name: origin, public_key, type: 'ed25519' as const }))
  const signed = verifyNote(note, keys)
  if (!signed.ok) return { status: 403, reason: signed.reason }
  if (oldSize > size) return { status: 400, reason: `the old size ${oldSize} is above the size ${size}` }
  const last = log.last ?? { size: 0, root: EMPTY_HISTORY_ROOT }
  if (oldSize !== last.size) return { status: 409, size: last.size, reason: `the last cosigned size is ${last.size}` }
  if (size === last.size && root !== last.root) {
    return { status: 409, size, reason: `root ${root}, cosigned with size ${size} was ${last.root}` }
  }
  if (oldSize === 0) {
    return proof.length === 0 ? { status: 200 } : { status: 422, reason: 'a proof from size 0 has no lines' }
  }
  const consistent = verifyConsistency({ from: oldSize, to: size, path: proof }, last.root, root)
  return consistent.ok ? { status: 200 } : { status: 422, reason: consistent.reason }
}
