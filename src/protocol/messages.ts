import { consistencyProofShape, inclusionProofShape, HISTORY_PATH_MAX } from './history.ts'
import { headerShape, sealedHeaderShape } from './header.ts'
import { MAX_HEADERS_PER_REQUEST, MAX_TRANSACTIONS_PER_BLOCK } from './limits.ts'
import { merkleProofShape } from './merkle.ts'
import { registryEntryShape } from './registry.ts'
import { credentialShape } from './request.ts'
import {
  array,
  blockHeight,
  hash32,
  identifier,
  integer,
  isJsonObject,
  literal,
  nullable,
  object,
  oneOf,
  refuse,
  signatureHex,
  type Shape,
  type TypeOf,
} from './shape.ts'
import { transactionShape } from './transaction.ts'
import { voteShape } from './vote.ts'

/** Parameters and answers of the libp2p requests (docs/protocol.md 8): `<name>Params` and `<name>Answer`. */
export const noParams = object({})

/** The answer of `genesis` is decoded by `decodeGenesis`, which also checks what a shape cannot. */
export const genesisAnswer = (value: unknown): unknown =>
  isJsonObject(value) && Object.hasOwn(value, 'genesis')
    ? value.genesis
    : refuse('answer.genesis', 'a genesis', undefined)

export const statusAnswer = object({
  mode: oneOf('authority', 'validator', 'light'),
  chain_id: hash32,
  /** null on an empty chain. */
  tip: nullable(object({ height: blockHeight, header_hash: hash32 })),
  final_height: nullable(blockHeight),
})
export type StatusAnswer = TypeOf<typeof statusAnswer>

export const headersParams = object({ from_height: blockHeight, count: integer(1, MAX_HEADERS_PER_REQUEST) })
export type HeadersParams = TypeOf<typeof headersParams>
/** Ascending from `from_height`; fewer at the tip. */
export const headersAnswer = object({ headers: array(sealedHeaderShape, MAX_HEADERS_PER_REQUEST) })

const atHeight = nullable(blockHeight)
const proofById = object({ tx_id: identifier, at_height: atHeight })
const proofByHash = object({ tx_hash: hash32, at_height: atHeight })
export type ProofParams = TypeOf<typeof proofById> | TypeOf<typeof proofByHash>
/** `at_height`: the height of the trusted header that `history_proof` must lead to; null asks for none. */
export const proofParams: Shape<ProofParams> = (value, path) =>
  isJsonObject(value) && Object.hasOwn(value, 'tx_id') ? proofById(value, path) : proofByHash(value, path)
export const proofAnswer = object({
  tx_hash: hash32,
  merkle_proof: merkleProofShape,
  header: headerShape,
  signature: signatureHex,
  /** The header's inclusion in the history of the trusted header; null if it is that header, or none was named. */
  history_proof: nullable(inclusionProofShape),
})
export type ProofAnswer = TypeOf<typeof proofAnswer>

const inclusionParams = object({ type: literal('inclusion'), height: blockHeight, size: integer(1) })
const consistencyParams = object({ type: literal('consistency'), from: integer(1), to: integer(1) })
export type HistoryParams = TypeOf<typeof inclusionParams> | TypeOf<typeof consistencyParams>
/** Answered by an `inclusionProofShape` or a `consistencyProofShape`. */
export const historyParams: Shape<HistoryParams> = (value, path) => {
  const type = isJsonObject(value) ? value.type : undefined
  if (type === 'inclusion') return inclusionParams(value, path)
  if (type === 'consistency') return consistencyParams(value, path)
  return refuse(`${path}.type`, 'one of inclusion, consistency', type)
}

/** `from_height`: the height of the header that the asker trusts; null if it trusts only the genesis. */
export const anchorParams = object({ from_height: nullable(blockHeight) })
/** What moves an anchor from t to the tip u (docs/protocol.md 4). */
export const anchorAnswer = object({
  header: headerShape,
  signature: signatureHex,
  /** Header u - 1; null at height 0. */
  parent_header: nullable(headerShape),
  /** Sizes t -> u; null at t = 0 and if the asker trusts only the genesis. */
  consistency: nullable(consistencyProofShape),
  /** Header t at size u; null if the asker trusts only the genesis. */
  inclusion: nullable(inclusionProofShape),
  /** Hashes of the complete subtrees that make up history_root of u, left to right: with them the asker appends by itself. */
  frontier: array(hash32, HISTORY_PATH_MAX),
})
export type AnchorAnswer = TypeOf<typeof anchorAnswer>

export const votesParams = object({ header_hash: hash32 })
export const votesAnswer = object({ votes: array(object({ vote: voteShape, entry: registryEntryShape }), 10_000) })

export const voteParams = object({ vote: voteShape })
export const voteAnswer = object({ header_hash: hash32, status: oneOf('proposed', 'final', 'orphaned') })

/** The asker's own transactions of a block. The credential signs `tradesPath(height)`. */
export const tradesParams = object({ height: blockHeight, credential: credentialShape })
export const tradesAnswer = object({
  trades: array(object({ transaction: transactionShape, merkle_proof: merkleProofShape }), MAX_TRANSACTIONS_PER_BLOCK),
})
export const tradesPath = (height: number): string => `trades?height=${height}`
