import { base64ToBytes, bytesToBase64 } from './base64.ts'
import { bytesToHex, bytesToUtf8, concatBytes, equalBytes, hexToBytes, utf8ToBytes, type Hex } from './bytes.ts'
import { invalid, isSolarError, type Failure } from './errors.ts'
import { sha256 } from './hash.ts'
import { refuse } from './shape.ts'
import { cachedPublicKey, verifyBytes, type SigningKey } from './signature.ts'

/**
 * C2SP signed notes (https://c2sp.org/signed-note) and cosignatures (https://c2sp.org/tlog-cosignature): text, a blank
 * line, and lines of em dash, key name and base64 of key id and signature.
 */
export interface NoteSignature {
  readonly name: string
  /** 4 bytes, hex. */
  readonly key_id: Hex
  /** What the algorithm of the key makes of it. */
  readonly signature: Uint8Array
}

export interface Note {
  /** Ends with a line break. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** `ed25519`: a plain signature of the text. `cosignature`: cosignature/v1, with the time of signing. */
export type NoteKeyType = 'ed25519' | 'cosignature'

/** A key as verifiers know it. */
export interface NoteKey {
  readonly name: string
  /** Ed25519 public key, hex. */
  readonly public_key: Hex
  readonly type: NoteKeyType
}

const TYPE_BYTES: Readonly<Record<NoteKeyType, number>> = { ed25519: 0x01, cosignature: 0x04 }
const KEY_TYPES = ['ed25519', 'cosignature'] as const satisfies readonly NoteKeyType[]
const PUBLIC_KEY_BYTES = 32
const ED25519_BYTES = 64
const TIME_BYTES = 8
/** More lines than any log has witnesses; 16 must be taken. */
const MAX_SIGNATURES = 100
const LINE_START = '\u2014 '
/** No Unicode space (U+0085 is one that \s leaves out) and no plus. */
const KEY_NAME = /^[^\s\u0085+]+$/u

/** True for what can name a key: not empty, without spaces and plus. */
export const isKeyName = (name: string): boolean => KEY_NAME.test(name)

/** SHA-256(name || 0x0A || type || key)[:4], hex. */
export function noteKeyId({ name, public_key, type }: NoteKey): Hex {
  const bytes = concatBytes(utf8ToBytes(`${name}\n`), Uint8Array.of(TYPE_BYTES[type]), hexToBytes(public_key))
  return bytesToHex(sha256(bytes).subarray(0, 4))
}

/** A key as C2SP tools print and take it (signed-note, "verifier keys"): NAME+KEYID+BASE64 of type and public key. */
export function formatVerifierKey(key: NoteKey): string {
  const bytes = concatBytes(Uint8Array.of(TYPE_BYTES[key.type]), hexToBytes(key.public_key))
  return `${key.name}+${noteKeyId(key)}+${bytesToBase64(bytes)}`
}

/** Reads a verifier key of a log or a witness. Throws `malformed`. */
export function parseVerifierKey(text: string): NoteKey {
  // Base64 may have a plus as well; a name has none.
  const [name = '', keyId = '', ...encoded] = text.split('+')
  const bytes = base64ToBytes(encoded.join('+'), 'verifier key')
  const type = KEY_TYPES.find((known) => TYPE_BYTES[known] === bytes[0])
  if (!isKeyName(name) || type === undefined || bytes.length !== 1 + PUBLIC_KEY_BYTES) {
    return refuse('verifier key', 'NAME+KEYID+BASE64 of an Ed25519 or cosignature/v1 key', text)
  }
  const key: NoteKey = { name, public_key: bytesToHex(bytes.subarray(1)), type }
  return noteKeyId(key) === keyId ? key : refuse('verifier key', `the key id ${noteKeyId(key)}`, keyId)
}

/** Reads a note. Throws `malformed`. */
export function parseNote(source: string): Note {
  if (!isNoteText(source)) refuse('note', 'UTF-8 text without control characters', source)
  const split = source.lastIndexOf('\n\n')
  if (split < 1 || !source.endsWith('\n')) refuse('note', 'text, a blank line, and signature lines', source)
  const lines = source.slice(split + 2, -1).split('\n')
  if (lines.length > MAX_SIGNATURES) refuse('note', `at most ${MAX_SIGNATURES} signatures`, lines)
  return { text: source.slice(0, split + 1), signatures: lines.map(parseSignatureLine) }
}

/** Reads the UTF-8 bytes of a note. Throws `malformed`. */
export function parseNoteBytes(bytes: Uint8Array): Note {
  const source = bytesToUtf8(bytes)
  return equalBytes(utf8ToBytes(source), bytes) ? parseNote(source) : refuse('note', 'UTF-8', source)
}

/** One signature line, without its line break. Throws `malformed`. */
export function parseSignatureLine(line: string): NoteSignature {
  const [name = '', encoded = '', ...rest] = line.slice(LINE_START.length).split(' ')
  if (!line.startsWith(LINE_START) || rest.length > 0 || !isKeyName(name)) {
    refuse('note', 'a signature line: em dash, key name, base64', line)
  }
  const bytes = base64ToBytes(encoded, 'note signature')
  if (bytes.length < 5) refuse('note signature', 'a key id of 4 bytes and a signature', encoded)
  return { name, key_id: bytesToHex(bytes.subarray(0, 4)), signature: bytes.slice(4) }
}

/** A signature as its line, with the line break. */
export const formatSignature = ({ name, key_id, signature }: NoteSignature): string =>
  `${LINE_START}${name} ${bytesToBase64(concatBytes(hexToBytes(key_id), signature))}\n`

/** The note as it is published. */
export const formatNote = ({ text, signatures }: Note): string => `${text}\n${signatures.map(formatSignature).join('')}`

/** C0 controls other than the line break, and halves of surrogate pairs, have no place in a note. */
function isNoteText(source: string): boolean {
  for (const character of source) {
    const code = character.codePointAt(0) ?? 0
    if ((code < 0x20 && code !== 0x0a) || (code >= 0xd800 && code <= 0xdfff)) return false
  }
  return true
}

/** Signs the text of a note as `name`. */
export async function signNote(text: string, name: string, key: SigningKey): Promise<NoteSignature> {
  const signer: NoteKey = { name, public_key: key.publicKey, type: 'ed25519' }
  return { name, key_id: noteKeyId(signer), signature: await key.sign(utf8ToBytes(text)) }
}

/** cosignature/v1: the statement that at `timestamp` (seconds) this was the largest consistent tree that `name` saw. */
export async function cosignNote(
  text: string,
  name: string,
  timestamp: number,
  key: SigningKey,
): Promise<NoteSignature> {
  const signer: NoteKey = { name, public_key: key.publicKey, type: 'cosignature' }
  const time = new Uint8Array(TIME_BYTES)
  new DataView(time.buffer).setBigUint64(0, BigInt(timestamp))
  const signature = concatBytes(time, await key.sign(cosignedMessage(text, BigInt(timestamp))))
  return { name, key_id: noteKeyId(signer), signature }
}

const cosignedMessage = (text: string, seconds: bigint): Uint8Array =>
  utf8ToBytes(`cosignature/v1\ntime ${seconds}\n${text}`)

/** Who signed, and for cosignatures when (seconds; null for plain signatures). */
export interface NoteSigner {
  readonly key: NoteKey
  readonly timestamp: bigint | null
}

export type NoteCode = 'bad_note_signature' | 'no_known_signature'
export type NoteVerdict = { readonly ok: true; readonly signers: readonly NoteSigner[] } | Failure<NoteCode>

/**
 * Checks a note as signed-note says: signatures of unknown keys are ignored, one of a known key that does not hold refuses
 * the whole note (`bad_note_signature`), and so does a note without any of a known key (`no_known_signature`).
 */
export function verifyNote(note: Note, keys: readonly NoteKey[]): NoteVerdict {
  const known = keys.map((key) => ({ key, id: noteKeyId(key) }))
  const signers: NoteSigner[] = []
  for (const signature of note.signatures) {
    const claimed = known.filter(({ key, id }) => key.name === signature.name && id === signature.key_id)
    if (claimed.length === 0) continue
    const by = claimed.find(({ key }) => isSignatureOf(signature, note.text, key))
    if (by === undefined) return invalid('bad_note_signature', `the signature of ${signature.name} does not hold`)
    if (!signers.some(({ key }) => key === by.key)) signers.push(signerOf(signature, by.key))
  }
  if (signers.length > 0) return { ok: true, signers }
  return invalid('no_known_signature', `not signed by ${keys.map(({ name }) => name).join(' or ')}`)
}

const signerOf = ({ signature }: NoteSignature, key: NoteKey): NoteSigner => ({
  key,
  timestamp: key.type === 'cosignature' ? timeOf(signature) : null,
})

const timeOf = (signature: Uint8Array): bigint =>
  new DataView(signature.buffer, signature.byteOffset, TIME_BYTES).getBigUint64(0)

const MAX_TIME = 2n ** 63n - 1n

function isSignatureOf({ signature }: NoteSignature, text: string, { public_key, type }: NoteKey): boolean {
  try {
    const key = cachedPublicKey(public_key)
    if (type === 'ed25519') return verifyBytes(signature, utf8ToBytes(text), key)
    if (signature.length !== TIME_BYTES + ED25519_BYTES) return false
    const seconds = timeOf(signature)
    return seconds <= MAX_TIME && verifyBytes(signature.slice(TIME_BYTES), cosignedMessage(text, seconds), key)
  } catch (error) {
    // A key that the signature rule refuses signs nothing.
    if (isSolarError(error)) return false
    throw error
  }
}
