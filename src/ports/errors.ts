import { errorFactory, type ErrorTable } from '../protocol/errors.ts'
import type { SealedHeader } from '../protocol/header.ts'
import { timeWords } from '../protocol/time-words.ts'
import type { RowDifference } from '../protocol/transaction-difference.ts'
import type { Vote } from '../protocol/vote.ts'

/** The first thing in which two ticks of one id differ. */
export interface TickDifference extends Partial<Omit<RowDifference, 'difference'>> {
  /** For people. The other fields are there where one value of the tick, or of the transaction that is named, differs. */
  readonly difference: string
}

/**
 * What a ledger answers when it cannot do what was asked. Stores, engine, HTTP and libp2p share these codes; HTTP maps
 * each to a status in one table.
 */
const ledgerErrors = {
  unknown_block: (f: { block_hash: string }) => `there is no block ${f.block_hash} here`,
  unknown_transaction: (f: { id: string }) => `there is no transaction ${f.id} here`,
  /** What leads to its block from the genesis is more than a receipt may hold. */
  /** `is_open`: the block that was reached is not final, and changes who decides on those above. */
  no_receipt: (f: { id: string; height: number; reached: number; is_open: boolean }) =>
    f.is_open
      ? `there is no receipt of ${f.id} yet: it is in block ${f.height}, and block ${f.reached} below, which changes who decides, ` +
        `is not final; ask again once it is`
      : `a receipt of ${f.id} would need more changes of who decides than it can hold: they lead to block ${f.reached}, it is in ` +
        `block ${f.height}; solar-node prove checks it with a light node`,
  /** This node lacks a body that may change what the receipt says. */
  missing_body: (f: { id: string; height: number }) =>
    `this node gives no receipt of ${f.id}: it is in block ${f.height}, and the body of a transaction from there on that is, ` +
    `or may be, a correction of it was removed here; ask a node that has all bodies, as the authority`,
  unknown_order: (f: { order_id: string }) => `there is no order ${f.order_id} here`,
  /** Nothing says whose device it is: not the platform, and no certificate that counts. */
  no_membership: (f: { voter_id: string; reason: string }) =>
    `whose device ${f.voter_id} is is not known here: ${f.reason}`,
  unknown_voter: (f: { voter_id: string; reason: string }) => `voter ${f.voter_id}: ${f.reason}`,
  bad_signature: (f: { signer: string }) => `the signature is not that of ${f.signer}`,
  /** There is no checkpoint and no anchor before the first final header. */
  no_final_header: (f: { tip_height: number | null }) =>
    f.tip_height === null ? 'the chain has no block yet' : `no block up to height ${f.tip_height} is final yet`,
  wrong_chain: (f: { chain_id: string; expected: string }) => `chain ${f.chain_id}, this is ${f.expected}`,
  wrong_header: (f: { header_hash: string; reason: string }) => `header ${f.header_hash}: ${f.reason}`,
  /** The voter acked another header of the same height before. */
  vote_conflict: (f: { voter_id: string; height: number; header_hash: string }) =>
    `${f.voter_id} has acked another header of height ${f.height}: ${f.header_hash}`,
  /** The tick_id was committed before with other content. */
  tick_conflict: (f: { tick_id: string } & TickDifference) =>
    `tick ${f.tick_id} was committed before with other content: ${f.difference}`,
  /** The tick was committed and could never be sealed. */
  tick_void: (f: { tick_id: string; reason: string; voided_at: number }) =>
    `tick ${f.tick_id} was committed and could never be sealed (${f.reason}): send what is still wanted as a new tick`,
  /** What was checked is not what it would be sealed on: another authority was faster. */
  tip_moved: (f: { tick_id: string; parent: string | null; reason: string }) =>
    `tick ${f.tick_id} was checked on ${f.parent === null ? 'the empty chain' : `block ${f.parent}`}: ${f.reason}; send it again`,
  /** So many changes of the registry within an hour: of one user, or of all. */
  too_many_changes: (f: { whose: string; limit: number; setting: string; retry_after_s: number }) =>
    `${f.whose} was changed ${f.limit} times within an hour, which is the limit (${f.setting}): ` +
    `try again in ${f.retry_after_s} s`,
  too_many_enrolments: (f: { token_name: string; limit: number; retry_after_s: number }) =>
    `the token ${f.token_name} has enrolled ${f.limit} devices within 24 hours, which is its limit: ` +
    `try again in ${f.retry_after_s} s`,
  duplicate_transaction: (f: { id: string }) => `transaction ${f.id} is on the chain already, in another tick`,
  order_conflict: (f: { order_id: string }) => `order ${f.order_id} was placed before with other content`,
  /** The order is valid for one moment only, and the market's tick of that moment has run without it. */
  interval_closed: (f: { order_id: string; tick_id: string; timestamp: number }) =>
    `order ${f.order_id} would never trade: it is valid at ${timeWords(f.timestamp)} only, and tick ${f.tick_id} has run at that time`,
  /** A row that is well formed and still cannot be accepted. */
  refused_row: (f: { id: string; reason: string }) => `${f.id}: ${f.reason}`,
  from_the_future: (f: { what: string; timestamp: number; now: number }) =>
    `${f.what}: timestamp ${timeWords(f.timestamp)} is more than 2 minutes ahead of this clock, ${timeWords(f.now)}`,
  tick_too_large: (f: { count: number; limit: number }) => `${f.count} transactions, a block holds at most ${f.limit}`,
  payloads_too_large: (f: { reason: string }) => `${f.reason}: send the rest as another tick`,
  too_many_orders: (f: { order_id: string; user_id: string; limit: number }) =>
    `order ${f.order_id}: ${f.user_id} has ${f.limit} open orders, the most that a user can have; cancel some (DELETE /orders/ID) or run the market first`,
  order_too_small: (f: { order_id: string; kwh: string; minimum: string }) =>
    `order ${f.order_id}: ${f.kwh} kWh is below the minimum of ${f.minimum} kWh`,
  out_of_range: (f: { what: string; value: number; limit: number }) =>
    `${f.what} ${f.value} is out of range, limit ${f.limit}`,
  /** The fence: another authority, or an earlier run, has sealed this height or tick with other bytes. */
  fenced: (f: { height: number; tick_id: string; sealed: string }) =>
    `height ${f.height} (tick ${f.tick_id}) is sealed already by header ${f.sealed}`,
  /** The database lacks the block that this one follows; a database never loses one by itself. */
  missing_parent: (f: { height: number; prev_hash: string; found: string }) =>
    `block ${f.height} follows ${f.prev_hash}, and the database has ${f.found} at height ${f.height - 1}`,
  /** A store failed; `retryable` says whether trying again can help. */
  store_failed: (f: {
    store: 'sql' | 'level' | 'archive' | 'high-water'
    operation: string
    retryable: boolean
    reason: string
  }) => `${f.store} ${f.operation} failed${f.retryable ? ', try again' : ''}: ${f.reason}`,
  /** What the store holds cannot be right: names the place, the expected and the found value. */
  corrupt: (f: { place: string; expected: string; found: string }) =>
    `${f.place}: expected ${f.expected}, found ${f.found}`,
  /**
   * A signer has signed something else with this key at this height. `sealed`: a header that it signed there or above, `acked`:
   * an ack that it signed there or above; both checked.
   */
  already_signed: (f: { reason: string; sealed?: SealedHeader; acked?: Vote }) => f.reason,
  /** A signer does not sign what was asked of it. */
  signer_refused: (f: { signer: string; code: string; reason: string }) =>
    `the signer at ${f.signer} refuses: ${f.code}, ${f.reason}`,
  not_ready: (f: { reason: string }) => `not ready: ${f.reason}`,
  /** Asked of an authority that stands by; the one that leads on the same database does it. */
  not_leading: (f: { reason: string }) => f.reason,
  /** A peer answered with an error, or not as the protocol says. */
  peer_refused: (f: { peer: string; request: string; code: string; reason: string }) =>
    `${f.peer} refused ${f.request}: ${f.code}, ${f.reason}`,
  peer_unreachable: (f: { peer: string; reason: string }) => `${f.peer} cannot be reached: ${f.reason}`,
  forbidden: (f: { reason: string }) => f.reason,
} satisfies ErrorTable

export type LedgerErrorCode = keyof typeof ledgerErrors
export const ledgerError = errorFactory(ledgerErrors)
