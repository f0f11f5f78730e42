import type { Hash } from './bytes.ts'
import { invalid, VALID, type Verdict } from './errors.ts'
import type { Genesis } from './genesis.ts'
import { hashObject } from './hash.ts'
import { MAX_FUTURE_MS, MAX_TRANSACTIONS_PER_BLOCK } from './limits.ts'
import {
  blockHeight,
  hash32,
  identifier,
  integer,
  literal,
  object,
  signatureHex,
  timestampMs,
  type TypeOf,
} from './shape.ts'
import { signObject, verifyObject, type SigningKey } from './signature.ts'
import { timeWords } from './time-words.ts'

/** What is hashed to the block's name (docs/protocol.md 4). `miner_id` is the plan's name for the sealing authority. */
export const headerShape = object({
  version: literal(1),
  chain_id: hash32,
  height: blockHeight,
  /** Header hash of the parent; the chain_id at height 0. */
  prev_hash: hash32,
  merkle_root: hash32,
  tx_count: integer(0, MAX_TRANSACTIONS_PER_BLOCK),
  /** Root of the RFC 9162 tree over the header hashes of heights 0..height-1. */
  history_root: hash32,
  /** Root of the registry tree after this block. */
  registry_root: hash32,
  timestamp: timestampMs,
  nonce: integer(),
  difficulty: integer(0, 64),
  miner_id: identifier,
})
export type Header = TypeOf<typeof headerShape>

/** A header with its authority's signature: what is gossiped, fenced and kept by light nodes. */
export const sealedHeaderShape = object({ header: headerShape, signature: signatureHex })
export type SealedHeader = TypeOf<typeof sealedHeaderShape>

/** header_hash = block_hash = sha256(canonical(header)). */
export const hashHeader = (header: Header): Hash => hashObject(header)

/** Signs a header. The caller has made sure that it signs one header a height (docs/protocol.md 4). */
export async function sealHeader(header: Header, key: SigningKey): Promise<SealedHeader> {
  return { header, signature: await signObject('header', header.chain_id, header, key) }
}

export type HeaderCode =
  | 'wrong_chain'
  | 'wrong_height'
  | 'wrong_parent'
  | 'wrong_timestamp'
  | 'wrong_difficulty'
  | 'missing_work'
  | 'bad_seal'
  | 'from_the_future'

/** True if the hash begins with `difficulty` zero hex digits. */
export const meetsDifficulty = (headerHash: Hash, difficulty: number): boolean =>
  headerHash.startsWith('0'.repeat(difficulty))

/**
 * Checks a header against its parent (`null` for height 0), not its seal. It guarantees
 * a) the chain (`wrong_chain`), b) the height and the link (`wrong_height`, `wrong_parent`),
 * c) time never runs backwards (`wrong_timestamp`), d) the genesis' difficulty and the work (`wrong_difficulty`,
 * `missing_work`).
 */
export function verifyHeaderLink(
  header: Header,
  parent: { readonly header: Header; readonly hash: Hash } | null,
  genesis: Genesis,
  chainId: Hash,
): Verdict<HeaderCode> {
  const height = parent === null ? 0 : parent.header.height + 1
  const parentHash = parent === null ? chainId : parent.hash
  const earliest = parent === null ? genesis.created_at : parent.header.timestamp
  if (header.chain_id !== chainId) return invalid('wrong_chain', `chain ${header.chain_id}, expected ${chainId}`)
  if (header.height !== height) return invalid('wrong_height', `height ${header.height}, expected ${height}`)
  if (header.prev_hash !== parentHash) {
    return invalid('wrong_parent', `prev_hash ${header.prev_hash}, the parent is ${parentHash}`)
  }
  if (header.timestamp < earliest) {
    return invalid(
      'wrong_timestamp',
      `timestamp ${timeWords(header.timestamp)} is before its parent's ${timeWords(earliest)}`,
    )
  }
  return verifyWork(header, genesis)
}

/** Checks the difficulty of the genesis, and the work if there is any. */
export function verifyWork(header: Header, genesis: Genesis): Verdict<HeaderCode> {
  if (header.difficulty !== genesis.difficulty || (genesis.seal === 'authority' && header.nonce !== 0)) {
    return invalid(
      'wrong_difficulty',
      `difficulty ${header.difficulty}, nonce ${header.nonce} under seal ${genesis.seal}`,
    )
  }
  if (!meetsDifficulty(hashHeader(header), header.difficulty)) {
    return invalid('missing_work', `the hash has fewer than ${header.difficulty} leading zeros`)
  }
  return VALID
}

/** Checks the seal by the sealer's public key; the dear check, so it comes last. */
export function verifySeal(sealed: SealedHeader, publicKey: string): Verdict<HeaderCode> {
  return verifyObject('header', sealed.header.chain_id, sealed.header, sealed.signature, publicKey)
    ? VALID
    : invalid('bad_seal', `the signature is not that of ${sealed.header.miner_id}`)
}

/** Receivers put off headers from the future; `now` is passed in, in Unix milliseconds. */
export function verifyNotFromFuture(header: Header, now: number): Verdict<HeaderCode> {
  return header.timestamp <= now + MAX_FUTURE_MS
    ? VALID
    : invalid(
        'from_the_future',
        `timestamp ${timeWords(header.timestamp)} is ${header.timestamp - now} ms ahead of this clock`,
      )
}
