import { bytesToUtf8, equalBytes, utf8ToBytes, type Hash } from './bytes.ts'
import { parseCanonicalText } from './canonical-json.ts'
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts'
import { headerShape, type Header } from './header.ts'
import { isJsonObject, refuse } from './shape.ts'
import { SIGNATURE_TYPES, type SignatureType } from './signature.ts'
import { voteBodyShape, type VoteBody } from './vote.ts'

/**
 * What a message says that is to be signed. Nothing beside its bytes is needed for that: the first lines of each kind can be those of
 * no other (`signingBytes`, and the notes of C2SP).
 */
export type SignedMessage =
  | { readonly type: 'header'; readonly chainId: Hash; readonly header: Header }
  | { readonly type: 'vote'; readonly chainId: Hash; readonly vote: VoteBody }
  | { readonly type: Exclude<SignatureType, 'header' | 'vote'>; readonly chainId: Hash }
  | { readonly type: 'checkpoint' | 'cosignature'; readonly checkpoint: Checkpoint }

/** Longer than anything that is signed here; whoever reads messages refuses more before it looks at them. */
export const MAX_SIGNED_BYTES = 64 * 1024

const OBJECT = /^solar-node\/v1\/([a-z]{1,20})\n([0-9a-f]{64})\n/
const COSIGNED = /^cosignature\/v1\ntime (?:0|[1-9][0-9]{0,18})\n/

/** Reads a message of at most MAX_SIGNED_BYTES. Throws `malformed`, `not_canonical` for anything that nobody would verify. */
export function parseSignedMessage(message: Uint8Array): SignedMessage {
  const text = bytesToUtf8(message)
  if (!equalBytes(utf8ToBytes(text), message)) refuse('message', 'UTF-8', 'other bytes')
  const [start, type, chainId] = OBJECT.exec(text) ?? []
  if (start !== undefined && chainId !== undefined) return parseObject(type, chainId, text.slice(start.length))
  const [cosigned = ''] = COSIGNED.exec(text) ?? []
  const note = text.slice(cosigned.length)
  if (!note.endsWith('\n')) refuse('message', 'the bytes of an object, or the text of a checkpoint', text)
  return { type: cosigned === '' ? 'checkpoint' : 'cosignature', checkpoint: parseCheckpoint(note) }
}

function parseObject(name: string | undefined, chainId: Hash, text: string): SignedMessage {
  const type = SIGNATURE_TYPES.find((known) => known === name)
  if (type === undefined) return refuse('message', `one of ${SIGNATURE_TYPES.join(', ')} as its type`, name)
  const body = parseCanonicalText(text)
  if (!isJsonObject(body)) return refuse('message', 'a JSON object as its body', body)
  if (type === 'header') return { type, chainId, header: ofChain(chainId, headerShape(body, 'header')) }
  if (type === 'vote') return { type, chainId, vote: ofChain(chainId, voteBodyShape(body, 'vote')) }
  return { type, chainId }
}

/** The chain of the body and that of its domain are one. */
function ofChain<T extends { readonly chain_id: Hash }>(chainId: Hash, body: T): T {
  return body.chain_id === chainId ? body : refuse('message', `chain_id ${chainId} in its body`, body.chain_id)
}
