import type { Generated, Kysely } from 'kysely'

/**
 * The tables of the source of record. Quantities are TEXT, exactly as they are hashed; timestamps and heights are BIGINT
 * and arrive as bigint. A column that is named like a field of the protocol holds that field.
 */
export interface Schema {
  meta: MetaTable
  orders: OrdersTable
  order_trades: OrderTradesTable
  ticks: TicksTable
  transactions: TransactionsTable
  blocks: BlocksTable
  votes: VotesTable
  voter_users: VoterUsersTable
  requests: RequestsTable
  evidence: EvidenceTable
  ledger_outbox: OutboxTable
  redactions: RedactionsTable
  void_ticks: VoidTicksTable
  pseudonyms: PseudonymsTable
}

export type Database = Kysely<Schema>

interface MetaTable {
  key: string
  value: string
}

export interface OrdersTable {
  /** Order of arrival. */
  sequence: Generated<bigint>
  order_id: string
  user_id: string
  side: string
  kwh: string
  price_per_kwh: string
  timestamp: bigint
  valid_until: bigint | null
  /** Micro-kWh not yet filled. */
  open_micro: bigint
  /** When it arrived by the authority's clock, Unix milliseconds; null for one of an older version. */
  placed_at: bigint | null
  /** `cancelled` or `expired`: why nothing is open of what was not filled. */
  closed: string | null
}

interface OrderTradesTable {
  order_id: string
  transaction_id: string
  tick_id: string
  kwh_micro: bigint
}

interface TicksTable {
  /** Order of commitment. */
  sequence: Generated<bigint>
  tick_id: string
  timestamp: bigint
  source: string
  content_hash: string
  /** 1 until a block row names this tick, if it has transactions: the work that is left for the sealer. */
  unsealed: bigint
}

export interface TransactionsTable {
  id: string
  /** `redacted`: of the body only the hash is left; what cannot be null is empty, and the time is the tick's. */
  kind: string
  /**
   * Parties of the trade. A correction carries those of its trade, so that one index finds both; they are not hashed.
   * null for a registry change: no party is asked about it, an auditor is.
   */
  from_user_id: string | null
  to_user_id: string | null
  kwh: string | null
  price_per_kwh: string | null
  total_amount: string | null
  /** Of a trade that has one. */
  payload: string | null
  corrects: string | null
  kwh_delta: string | null
  amount_delta: string | null
  reason: string | null
  /** What a registry change has beside the columns here, canonical JSON: no value is kept twice, so none can disagree. */
  registry: string | null
  timestamp: bigint
  tick_id: string
  /** Position in the tick, from 0. */
  position: bigint
  nonce: string
  tx_hash: string
}

export interface BlocksTable {
  height: bigint
  block_hash: string
  tick_id: string
  /** The whole sealed header, canonical JSON. */
  sealed: string
  finalized_at: bigint | null
}

export interface VotesTable {
  chain_id: string
  header_hash: string
  height: bigint
  voter_id: string
  decision: string
  signature: string
}

/** What enrolments said about whose device a voter is; never on the chain. */
interface VoterUsersTable {
  voter_id: string
  user_id: string
}

interface RequestsTable {
  id: string
  expires_at: bigint
}

interface EvidenceTable {
  /** Order of arrival. */
  sequence: Generated<bigint>
  kind: string
  height: bigint
  signer_id: string
  /** The whole evidence, canonical JSON. */
  evidence: string
}

/** A row waits while `done_at` and `error_code` are null. */
interface OutboxTable {
  /** In the order in which the platform's statements ran, which need not be that of its commits. */
  id: Generated<bigint>
  /** The body of POST /ticks/, as the platform wrote it; null once it is sealed. */
  tick: string | null
  tick_id: string | null
  /** null for a tick that made no block. */
  block_hash: string | null
  /** Unix milliseconds. */
  done_at: bigint | null
  /** Why it is parked. */
  error_code: string | null
  error_reason: string | null
}

/** Bodies that were removed; nothing of what they said. */
export interface RedactionsTable {
  tx_hash: string
  tx_id: string | null
  height: bigint
  redacted_by: string | null
  redacted_at: bigint | null
  reason: string
}

/** Ticks that were committed and can never be sealed. */
export interface VoidTicksTable {
  tick_id: string
  timestamp: bigint
  source: string
  /** The transactions in their order, a JSON array of what they are hashed from. */
  transactions: string
  reason: string
  voided_at: bigint
}

/** Who the users of a pseudonymous ledger are: the one table that has the ids of the platform. */
interface PseudonymsTable {
  user_id: string
  pseudonym: string
}
