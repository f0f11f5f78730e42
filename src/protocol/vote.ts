import type { Hash } from './bytes.ts'
import { invalid, VALID, type Verdict } from './errors.ts'
import type { RegistryEntry } from './registry.ts'
import { blockHeight, hash32, identifier, object, oneOf, signatureHex, type TypeOf } from './shape.ts'
import { signObject, verifyObject, type SigningKey } from './signature.ts'

/** A registered key's word on a header (docs/protocol.md 5). */
const fields = {
  chain_id: hash32,
  header_hash: hash32,
  height: blockHeight,
  voter_id: identifier,
  decision: oneOf('ack', 'reject'),
}
export const voteBodyShape = object(fields)
export type VoteBody = TypeOf<typeof voteBodyShape>
export const voteShape = object({ ...fields, signature: signatureHex })
export type Vote = TypeOf<typeof voteShape>

/** Signs a vote. The caller has stored that it votes so before it sends the vote anywhere. */
export async function signVote(body: VoteBody, key: SigningKey): Promise<Vote> {
  return { ...body, signature: await signObject('vote', body.chain_id, body, key) }
}

export type VoteCode = 'wrong_chain' | 'wrong_header' | 'unknown_voter' | 'bad_signature'

/**
 * Checks a vote on the header it names. It guarantees a) the chain (`wrong_chain`), b) that hash and height belong
 * together (`wrong_header`), c) that the voter is active in the registry before that block (`unknown_voter`),
 * d) the signature (`bad_signature`).
 *
 * @param target the header that the vote's hash names on this node, as hash and height
 * @param entry the voter's registry entry after height - 1, `undefined` if it has none
 */
export function verifyVote(
  vote: Vote,
  chainId: Hash,
  target: { readonly hash: Hash; readonly height: number },
  entry: RegistryEntry | undefined,
): Verdict<VoteCode> {
  if (vote.chain_id !== chainId) return invalid('wrong_chain', `chain ${vote.chain_id}, expected ${chainId}`)
  if (vote.header_hash !== target.hash || vote.height !== target.height) {
    return invalid('wrong_header', `header ${vote.header_hash} is not at height ${vote.height}`)
  }
  if (entry?.id !== vote.voter_id || entry.status !== 'active') {
    return invalid('unknown_voter', `${vote.voter_id} is not registered as active before height ${vote.height}`)
  }
  const { signature, ...body } = vote
  if (!verifyObject('vote', chainId, body, signature, entry.public_key)) {
    return invalid('bad_signature', `the signature is not that of ${vote.voter_id}`)
  }
  return VALID
}
