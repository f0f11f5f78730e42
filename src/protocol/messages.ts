import { evidenceShape } from './evidence.ts'
import { consistencyProofShape, inclusionProofShape, HISTORY_PATH_MAX } from './history.ts'
import { headerShape, sealedHeaderShape } from './header.ts'
import {
  MAX_HANDOVERS_PER_ANSWER,
  MAX_HEADERS_PER_REQUEST,
  MAX_THRESHOLD,
  MAX_TRANSACTIONS_PER_BLOCK,
} from './limits.ts'
import { membershipShape } from './membership.ts'
import { merkleProofShape } from './merkle.ts'
import { registryEntryShape, registryPolicyShape } from './registry.ts'
import { peerCredentialShape } from './request.ts'
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
  publicKeyHex,
  refuse,
  signatureHex,
  text,
  timestampMs,
  type Shape,
  type TypeOf,
} from './shape.ts'
import { shownTransactionShape, transactionShape } from './transaction.ts'
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

/** What the clock of a full node says, Unix ms. Nothing is believed for it: two nodes find out that their clocks differ. */
export const timeAnswer = object({ now: timestampMs })

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

/** A registry entry and its place under a registry_root. */
const provenEntryFields = { entry: registryEntryShape, registry_proof: inclusionProofShape }
/**
 * The transaction that gave a voter its key, in its block, and that block in the history of the header that
 * is voted on.
 */
const broughtByShape = object({
  transaction: transactionShape,
  merkle_proof: merkleProofShape,
  header: headerShape,
  history_proof: inclusionProofShape,
})
/**
 * What a vote may have besides the vote and the entry. `header`, `history_proof`: an ack on a later header
 * counts for the headers in its history; that header, and the one in question in its history. Where the
 * registry has changed since the root that is trusted, `trusted_proof` is of the same entry under that root;
 * of a user `brought_by` may be there instead: what brought it.
 */
export const provenVoteOptions = {
  header: headerShape,
  history_proof: inclusionProofShape,
  trusted_proof: inclusionProofShape,
  brought_by: broughtByShape,
}
/** A vote with its voter's entry under the registry_root that the context names. */
export const provenVoteShape = object({ vote: voteShape, ...provenEntryFields }, provenVoteOptions)
export type ProvenVote = TypeOf<typeof provenVoteShape>
const provenPolicyFields = { policy: registryPolicyShape, policy_proof: inclusionProofShape }
/** Where the registry has changed since the root that is trusted: the same policy under that of the header before. */
export const provenPolicyOptions = { parent_policy_proof: inclusionProofShape }

/** The recovery of the sealer itself, with its entry and recovery key as the trusted registry has them. */
const recoveryShape = object({ transaction: transactionShape, merkle_proof: merkleProofShape, ...provenEntryFields })
export type ProvenRecovery = TypeOf<typeof recoveryShape>

/**
 * A block c that changes an authority, a validator or the policy (docs/protocol.md 4). `entry` is the sealer, and `policy` the
 * policy, under the registry root trusted before c.
 */
export const handoverShape = object(
  {
    header: headerShape,
    signature: signatureHex,
    ...provenEntryFields,
    ...provenPolicyFields,
    /** A quorum of c; none under policy `authority`, nor where c is the header that the asker moves to. */
    votes: array(provenVoteShape, MAX_THRESHOLD),
    /** c in the history of the header that the asker moves to; null if c is that header. */
    history_proof: nullable(inclusionProofShape),
  },
  {
    recovery: recoveryShape,
    /** The header before c, by which voters and policy are proven; absent at height 0. */
    parent_header: headerShape,
    ...provenPolicyOptions,
  },
)
export type Handover = TypeOf<typeof handoverShape>

/**
 * `from_height`: the header t that the asker trusts, with the registry_root that it states; null if only the
 * genesis. `registry_height` is left out of account: trust cannot stay behind the registry_root of t.
 */
export const anchorParams = object({ from_height: atHeight }, { registry_height: atHeight })
const onTheWay = literal(true)
/** What moves an anchor from t to u, the newest final header or one on the way there (docs/protocol.md 7). */
export const anchorAnswer = object(
  {
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
    /** Above t up to u, ascending; those that nobody needs to check u are left out. One more is that of u itself. */
    handovers: array(handoverShape, MAX_HANDOVERS_PER_ANSWER + 1),
    /** The sealer of u and the policy, under the registry root of the last handover before u (or of t). */
    ...provenEntryFields,
    ...provenPolicyFields,
    /** A quorum of u under vote policies; voters are proven under header u - 1. */
    votes: array(provenVoteShape, MAX_THRESHOLD),
  },
  {
    ...provenPolicyOptions,
    /** u is on the way to the newest final header: the asker trusts it, and asks again from there. */
    more: onTheWay,
  },
)
export type AnchorAnswer = TypeOf<typeof anchorAnswer>
export type ProvenPolicy = Pick<AnchorAnswer, 'policy' | 'policy_proof' | 'parent_policy_proof'>

/** One entry under the registry_root of the header at `at_height`, or of the tip (null): by id or by key. */
const registryById = object({ id: identifier, at_height: atHeight })
const registryByKey = object({ public_key: publicKeyHex, at_height: atHeight })
export const registryParams: Shape<TypeOf<typeof registryById> | TypeOf<typeof registryByKey>> = (value, path) =>
  isJsonObject(value) && Object.hasOwn(value, 'id') ? registryById(value, path) : registryByKey(value, path)
/** `entry`: null if there is none. */
export const registryAnswer = object(
  { height: blockHeight, entry: nullable(object(provenEntryFields)) },
  /**
   * If that block is by this id and begins with its recovery: what shows the key that sealed it, by the entry
   * under the registry_root of the header before (at height 0: of the genesis).
   */
  { recovery: recoveryShape },
)

const votesOfHeader = object({ header_hash: hash32 })
const acksOfVoter = object({ voter_id: identifier, from_height: blockHeight })
export type AcksParams = TypeOf<typeof acksOfVoter>
/** The votes on one header; or the acks of one voter from a height on, on every branch that is kept. */
export const votesParams: Shape<TypeOf<typeof votesOfHeader> | AcksParams> = (value, path) =>
  isJsonObject(value) && Object.hasOwn(value, 'voter_id') ? acksOfVoter(value, path) : votesOfHeader(value, path)
const castVoteShape = object({ vote: voteShape, entry: registryEntryShape })
/** The votes on one header. */
export const votesAnswer = object({ votes: array(castVoteShape, 10_000) })
/** A page of one voter's acks has so many at the most: their signatures are checked one by one. */
export const MAX_ACKS_OF_PAGE = 1_000
/** The acks of one voter, by height; all of a height are on one page. */
export const acksAnswer = object(
  { votes: array(castVoteShape, MAX_ACKS_OF_PAGE) },
  /** The height at which the next page begins; absent at the end. */
  { next_height: blockHeight },
)
export type AcksAnswer = TypeOf<typeof acksAnswer>

export const voteParams = object({ vote: voteShape })
export const voteAnswer = object({ header_hash: hash32, status: oneOf('proposed', 'final', 'orphaned') })

/** The certificate that says whose device a voter is, from an authority that knows it. The credential signs `MEMBERSHIP_PATH`. */
export const membershipParams = object({ credential: peerCredentialShape }, { membership: membershipShape })
export const membershipAnswer = object({ membership: membershipShape })
export const MEMBERSHIP_PATH = 'membership'

/**
 * The own transactions of the asker's user, of a block, from that index of the block on; the first page if none is given. The
 * credential signs `tradesPath(height, from_index)`; `membership` says whose device it is where the node does not know.
 */
export const tradesParams = object(
  { height: blockHeight, credential: peerCredentialShape },
  { from_index: integer(0, MAX_TRANSACTIONS_PER_BLOCK), membership: membershipShape },
)
const ownTradeShape = object({ transaction: transactionShape, merkle_proof: merkleProofShape })
export const tradesAnswer = object(
  { trades: array(ownTradeShape, MAX_TRANSACTIONS_PER_BLOCK) },
  /** Where the next page begins; absent at the end. */
  { next_index: integer(1, MAX_TRANSACTIONS_PER_BLOCK) },
)
/** A page that is not the last has at least so many trades: far fewer than fit into it. */
export const MIN_TRADES_OF_PAGE = 256
export const tradesPath = (height: number, fromIndex = 0): string =>
  fromIndex === 0 ? `trades?height=${height}` : `trades?height=${height}&from_index=${fromIndex}`

const bearerToken = text(/^[\x21-\x7e]{1,512}$/, 'a bearer token')
/** Who asks: a credential, for a household with its certificate, or the bearer token of a role. */
const accessOptions = { credential: peerCredentialShape, membership: membershipShape, token: bearerToken }

/** A whole block, a page at a time, each by a credential of its own, which signs `blockPath(...)`, or by a token. */
export const blockParams = object(
  { block_hash: hash32, from_index: integer(0, MAX_TRANSACTIONS_PER_BLOCK) },
  accessOptions,
)
export type BlockParams = TypeOf<typeof blockParams>
const own = literal('own')
/** To a voter the transactions of others are `redacted`: it sees its own and can compute the root. */
export const blockAnswer = object(
  {
    header: headerShape,
    signature: signatureHex,
    transactions: array(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK),
    /** Where the next page begins; null after the last. */
    next_index: nullable(integer(1, MAX_TRANSACTIONS_PER_BLOCK)),
  },
  {
    /** Only the asker's own transactions are shown; without it, what is redacted is not there at all. */
    shown: own,
  },
)
export type BlockPage = TypeOf<typeof blockAnswer>
/** A page that is not the last has at least so many transactions: far fewer than fit into it. */
export const MIN_TRANSACTIONS_OF_PAGE = 256
export const blockPath = (blockHash: string, fromIndex: number): string =>
  `block?block_hash=${blockHash}&from_index=${fromIndex}`

/**
 * The receipt of a transaction, for its parties by a credential that signs `receiptPath(...)`, and for platform and auditor by
 * their token. Answered by a `receiptShape`.
 */
export const receiptParams = object({ tx_id: identifier }, accessOptions)
export const receiptPath = (txId: string): string => `receipt?tx_id=${txId}`

/** The newest first. */
export const evidenceAnswer = object({ evidence: array(evidenceShape, 100) })
