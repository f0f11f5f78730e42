import type { CommittedTick } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { Order } from '../protocol/order.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import type { Redaction } from '../protocol/redaction.ts'
import type { RedactionRequest } from './retention.ts'
import type { EvidenceStore, FinalityStore } from './finality-store.ts'
import type { OutboxStore } from './outbox.ts'
import type { PseudonymStore } from './pseudonym-store.ts'

/**
 * The source of record (SQL). What a promise of this interface has returned is durable and visible to every later call;
 * what it has rejected is either not there or, after a lost connection, found by the idempotent retry.
 */
export interface MarketStore extends FinalityStore, EvidenceStore, OutboxStore, PseudonymStore {
  /** The genesis this store belongs to; `undefined` in a new store. */
  chainId(): Promise<Hash | undefined>
  /** Ties a new store to its chain, for ever. Throws `wrong_chain` if it belongs to another. */
  bindChain(chainId: Hash): Promise<void>

  /**
   * Stores an order; same order_id with equal content is `same`, with other content `different` (nothing stored). An order
   * that is valid for one moment only, at which the market has run a tick, is not stored either: nothing would match it.
   * Nor is one of a user who has `mostOpen` orders in the book.
   *
   * @param at when it arrived by this node's clock, Unix milliseconds
   */
  putOrder(order: Order, at: number, mostOpen: number): Promise<PutOrder>
  order(orderId: string): Promise<OrderState | undefined>
  /**
   * Takes what is left of an order out of the book; nothing where nothing is left. A tick that has matched it meanwhile is
   * either committed before, or finds that the book has moved. Gives what became of it; `undefined` for an unknown order.
   */
  cancelOrder(orderId: string): Promise<OrderState | undefined>
  /** Takes out of the book what is left of orders that arrived before this time. */
  expireOrders(before: number): Promise<void>
  /**
   * Orders that a tick of this time matches: unfilled rest > 0, timestamp <= at < valid_until, and none that a restored
   * block may have traded; in order of arrival. Where they are more than `most`, only those that could trade: within the best
   * price of the other side, the best of each user, the best of each side. What can never match keeps nobody out.
   */
  openOrders(at: number, most: BookLimits): Promise<OpenBook>

  /**
   * Commits a tick: its row, its transactions with their order, and the fills of its orders, in ONE SQL transaction.
   * Throws `tick_conflict` (the tick_id is there: the caller compares; or a platform's tick is not later than a block that
   * was put back without any of its bodies, and may be of this tick), `tick_void`, `duplicate_transaction`, or
   * `refused_row` for a correction of a trade that is not sealed or whose running sum would fall below zero. Throws
   * `tip_moved` if the last block is not `parent`, or if another tick waits for its block and this one is more than new
   * trades of a platform: it was checked against a state on which it would not be sealed. A recovery of the authority that
   * seals goes before what waits, unless that is such a recovery as well. Nothing is stored then, nor
   * where `book_moved`: an order that only this tick can match has arrived after `last_order`. `behind`: it is committed, and
   * another tick waits for its block.
   */
  commitTick(tick: TickCommit): Promise<Committed>
  tick(tickId: string): Promise<StoredTick | undefined>
  /** The oldest committed tick that has transactions and no block; `undefined` if there is none. */
  nextUnsealedTick(): Promise<CommittedTick | undefined>
  /** The committed recovery of this authority's key that has no block yet, if there is one; see `TickCommit.recovers`. */
  waitingRecovery(authorityId: string): Promise<CommittedTick | undefined>
  /**
   * Takes a committed tick that can never be sealed on `parent`, where it is the next, out of the way of the others: it is
   * moved whole to the void ticks, its orders get back what it took from them, and the user that it gave to a
   * voter goes. Its id is never committed again (`tick_void`). Throws `tip_moved` if the last block is not
   * `parent` any more; a tick that does not wait is left alone.
   */
  voidTick(
    tickId: string,
    why: { readonly parent: Hash | null; readonly reason: string; readonly at: number },
  ): Promise<void>
  /**
   * Ticks that were committed and can never be sealed, by their id; only that of `tickId` where one is given.
   */
  voidTicks(tickId?: string): Promise<readonly VoidTick[]>
  /** How many there are. */
  voidTickCount(): Promise<number>
  /**
   * The ticks of the blocks of [fromHeight, toHeight), by height: as `tick` gives each, in as many queries as for one. A block
   * whose tick is not there has no entry. Who asks keeps the range to what fits into memory.
   */
  sealedTicks(fromHeight: number, toHeight: number): Promise<ReadonlyMap<number, SealedTick>>
  /** Transactions of a tick, in stored order. */
  transactionsOfTick(tickId: string): Promise<readonly ShownTransaction[]>

  /**
   * The fence. Inserts the block row with the whole sealed header: unique height, unique tick, the compare-and-swap that
   * also stops a second authority. The same bytes again are fine; other bytes for the height or the tick throw `fenced`,
   * and a block whose parent is not the row below it `missing_parent`, so that heights have no gap.
   */
  fence(row: BlockRow): Promise<void>
  /**
   * Puts back a block that is sealed and that this store, an older backup, does not have: tick, transactions and block
   * row, in ONE SQL transaction. The same block again is fine.
   *
   * What the block already tells is not told twice. A tick of its id that is committed without a block gives way to it, if
   * its rows are the same but for their nonces and for bodies that are gone from the block, and go here too, else
   * `tick_conflict`; a transaction of it in another tick is `corrupt`. The
   * fills of orders are not in blocks, so none is matched again that the block may have traded: market ticks without a
   * block are taken back, and orders with a timestamp at or before that of the header never match from then on, whether
   * they are stored now or placed later. Throws `fenced` (the height is sealed otherwise), `corrupt` (the height is not the
   * next), `refused_row` as `commitTick`. Nothing is stored then.
   */
  restoreBlock(row: BlockRow, tick: RestoredTick): Promise<void>
  /** Block rows with height >= fromHeight, ascending. */
  blocks(fromHeight: number, limit: number): Promise<readonly BlockRow[]>
  /** The highest block row. */
  lastBlock(): Promise<BlockRow | undefined>
  blockByHash(hash: Hash): Promise<BlockRow | undefined>
  /** voter id -> platform user, as enrolments and `nameUsers` said; only that of `voterId` where one is given. */
  users(voterId?: string): Promise<ReadonlyMap<string, string>>
  /** Ids of the voters of a user, as `users` has them, ascending. */
  votersOf(userId: string): Promise<readonly string[]>
  /** Remembers the users of voters that no enrolment brought: of those that have none yet. Durable once it returns. */
  nameUsers(users: ReadonlyMap<string, string>): Promise<void>

  transaction(id: string): Promise<TransactionPlace | undefined>
  /** By time, then id; `after` is the cursor that the last page gave. */
  transactions(query: TransactionQuery): Promise<TransactionPage>

  /**
   * Removes the bodies of a final trade and of its corrections, and what orders and fills tell of them, in ONE SQL transaction, and
   * records it. Asked again it gives the record of that transaction. Throws `unknown_transaction`, or `refused_row` for what is
   * not final yet, for a correction alone and for a change of the registry. Nothing is removed then.
   */
  redact(request: RedactionRequest & { readonly redacted_at: number }): Promise<readonly Redaction[]>
  /**
   * Removes the bodies that these records name where an older backup has brought them back, and records them, in ONE SQL
   * transaction. Gives back those that were there; what has no row here is left out.
   */
  redactAgain(records: readonly Redaction[]): Promise<readonly Redaction[]>
  /** Every record, by height. */
  redactions(): Promise<readonly Redaction[]>
  /** How many there are: records never go. */
  redactionCount(): Promise<number>

  /** Remembers a signed request's id until `expiresAt`; false if it was seen before. */
  rememberRequest(id: string, expiresAt: number): Promise<boolean>

  /** Unix milliseconds of the clock of a database server; `undefined` where the database is of this process. */
  now(): Promise<number | undefined>
  /**
   * Waits for writes that are under way, also those of a connection that broke: once this has returned, reads tell how
   * they ended.
   */
  settleWrites(): Promise<void>
  /** Makes a small write durable that means nothing. Rejects while the store cannot be written to. */
  checkWritable(): Promise<void>

  close(): Promise<void>
}

/** What became of an order that was to be stored; `closed_by`: the tick that has run at the one moment of the order. */
export type PutOrder = 'created' | 'same' | 'different' | 'too_many' | { readonly closed_by: string }

export interface OpenOrder extends Order {
  /** Micro-kWh not yet filled. */
  readonly open_micro: bigint
  /** Order of arrival. */
  readonly sequence: number
}

/** How many orders one clearing takes. */
export interface BookLimits {
  /** Even; half of it for each side where there are more. */
  readonly orders: number
  /** Of one user on one side, where there are more orders than that: who cannot trade with itself fills no side alone. */
  readonly ofUser: number
}

export interface OpenBook {
  readonly orders: readonly OpenOrder[]
  /** The sequence of the newest order that was looked at; 0 if there was none. */
  readonly last_order: number
}

export interface OrderState {
  readonly order: Order
  /** `partial`: the rest is open. */
  readonly status: 'open' | 'filled' | 'partial' | 'expired' | 'cancelled'
  /** `block_hash` is null until the tick is sealed. */
  readonly transactions: readonly { readonly id: string; readonly tx_hash: Hash; readonly block_hash: Hash | null }[]
}

/**
 * Where a tick came from; `registry`: one registry transaction, a tick of its own; `restored`: put back from a block, which
 * does not say whether the market or the platform made it.
 */
export type TickSource = 'market' | 'platform' | 'registry' | 'restored'

export type Committed = 'committed' | 'behind' | 'book_moved'

export interface TickCommit extends CommittedTick {
  readonly source: TickSource
  /** The block against which the tick was checked, and on which it is to be sealed; null before the first. */
  readonly parent: Hash | null
  /** Hash of what was asked for (nonces not included), by which a repetition is recognised. */
  readonly content_hash: Hash
  /** In the order of `transactions`. */
  readonly tx_hashes: readonly Hash[]
  /** Micro-kWh taken from orders, and by which trade. */
  readonly fills: readonly { readonly order_id: string; readonly transaction_id: string; readonly kwh_micro: bigint }[]
  /** Of the market: the sequence of the newest order that it has looked at; 0 if there was none. */
  readonly last_order?: number
  /** The platform user that the voter of an enrolment belongs to, stored in the same transaction. */
  readonly user?: { readonly voter_id: string; readonly user_id: string }
  /** The id of the authority that is to seal it, where this is the recovery of that authority's own key. */
  readonly recovers?: string
}

/** A tick as it is known from its block. */
export interface RestoredTick extends Omit<TickCommit, 'fills' | 'user' | 'transactions' | 'parent'> {
  readonly transactions: readonly ShownTransaction[]
  /** Of each body that is gone, with the id of its transaction if that is known. */
  readonly redactions: readonly Redaction[]
}

export interface StoredTick extends Omit<CommittedTick, 'transactions'> {
  readonly transactions: readonly ShownTransaction[]
  /** In the order of `transactions`, those of redacted ones as well. */
  readonly tx_ids: readonly string[]
  readonly source: TickSource
  readonly content_hash: Hash
  readonly tx_hashes: readonly Hash[]
  /** The block that sealed it; null if it is not sealed yet or has no transactions. */
  readonly block: BlockRow | null
}

/** A tick that was committed and can never be sealed; no block has it, and nobody was told that one would. */
export interface VoidTick extends Omit<CommittedTick, 'transactions'> {
  readonly transactions: readonly ShownTransaction[]
  readonly source: TickSource
  readonly reason: string
  /** Unix milliseconds. */
  readonly voided_at: number
}

/** The tick of a block, without the block. */
export type SealedTick = Omit<StoredTick, 'block'>

export interface BlockRow {
  readonly height: number
  readonly block_hash: Hash
  readonly tick_id: string
  readonly sealed: SealedHeader
  /** Unix milliseconds; null while only proposed. */
  readonly finalized_at: number | null
}

export interface TransactionPlace {
  readonly transaction: ShownTransaction
  readonly tx_hash: Hash
  readonly tick_id: string
  /** null until sealed. */
  readonly block_hash: Hash | null
  readonly height: number | null
}

export interface TransactionQuery {
  /** Only trades of this party (either side), and corrections of them. */
  readonly user_id?: string
  /** Only corrections of this trade. */
  readonly corrects?: string
  /** Unix milliseconds, inclusive. */
  readonly from: number
  /** Unix milliseconds, exclusive. */
  readonly to: number
  readonly after?: string
  readonly limit: number
}

export interface TransactionPage {
  readonly transactions: readonly TransactionPlace[]
  /** Cursor of the next page; null at the end. */
  readonly next: string | null
}
