import { clear, type BookOrder } from '../market/clearing.ts'
import { MAX_OPEN_ORDERS, ORDER_LIFETIME_MS } from '../market/intake.ts'
import { tradesOf } from '../market/trades.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError, type LedgerErrorCode } from '../ports/errors.ts'
import type { PlatformRow, PlatformTick, TickAnswer, TickOutcome } from '../ports/ledger.ts'
import type { Leadership } from '../ports/leadership.ts'
import type { Committed, MarketStore, OpenOrder, StoredTick, TickCommit } from '../ports/market-store.ts'
import { inTurns } from '../ports/turns.ts'
import type { CommittedTick, ShownBlock } from '../protocol/block.ts'
import { bytesToHex } from '../protocol/bytes.ts'
import { parseQuantity } from '../protocol/decimal.ts'
import { isSolarError, type SolarError } from '../protocol/errors.ts'
import { UNKNOWN_ID } from '../protocol/redaction.ts'
import type { RegistryTransaction } from '../protocol/registry-transaction.ts'
import { MAX_FUTURE_MS, MAX_TRANSACTIONS_PER_BLOCK } from '../protocol/limits.ts'
import { payloadCharacters, payloadsFault } from '../protocol/payload.ts'
import { endsPiece, mapInPieces, type Pieces } from '../protocol/pieces.ts'
import { checkTransaction, hashTransaction, type Transaction } from '../protocol/transaction.ts'
import type { Chain, Tip } from './chain.ts'
import type { ChangeLimiter } from './change-limits.ts'
import { checkLeads } from './leading.ts'
import type { LeadRight } from './lead-right.ts'
import { createSerial } from './serial.ts'
import type { Sealer } from './sealer.ts'
import { differenceOf, isSameContent, MARKET_CONTENT, platformContent } from './tick-content.ts'

export interface TickRunnerParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly sealer: Sealer
  readonly leadership: Leadership
  readonly right: Pick<LeadRight, 'recovering'>
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly changeLimiter: ChangeLimiter
  /** Hears of each tick that was not committed before. */
  readonly onTick?: (outcome: TickOutcome) => void
  readonly priceBand?: { readonly floorMicro: bigint; readonly ceilingMicro: bigint }
}

/**
 * Commits ticks and has them sealed, one at a time. SQL comes first: a failed commit leaves no block, and whatever fails
 * after the commit is made good by `Sealer.catchUp` before the next tick.
 */
export interface TickRunner {
  /** Applies what another authority has sealed on the same database; see `Sealer.follow`. */
  follow(): Promise<void>
  /** Makes good what a crash left, or the leader before; afterwards ticks are taken. Does nothing while another one leads. */
  recover(): Promise<void>
  /** Puts a block on top that was sealed before; see `Sealer.restore`. */
  restore(block: ShownBlock, from: string): Promise<void>
  /** An outside engine's tick. Throws `tick_conflict`, `duplicate_transaction`, `bad_transaction`, ... */
  accept(tick: PlatformTick): Promise<TickAnswer>
  /** The built-in market's tick. */
  run(request: { readonly tick_id?: string; readonly timestamp?: number }): Promise<TickAnswer>
  /** A registry change, as a tick of its own. `user`: the platform user of an enrolled voter. */
  register(transaction: RegistryTransaction, userId: string | undefined): Promise<TickAnswer>
  proposeNext(): Promise<TickAnswer | undefined>
  /** Waits for the tick in hand. */
  idle(): Promise<void>
}

export function createTickRunner(parts: TickRunnerParts): TickRunner {
  const { chain, store, sealer, leadership, right, clock, randomBytes, changeLimiter, onTick, priceBand } = parts
  const lane = createSerial()
  // Set while a commit or a seal is under way: if it fails, the stores are asked what happened before anything else runs.
  let uncertain = true
  // Between two terms of this node others have led: then the stores are asked as well.
  let settledTerm = leadership.term

  async function settle(): Promise<void> {
    checkLeads(leadership)
    const { term } = leadership
    if (!uncertain && term === settledTerm) return
    uncertain = true
    await sealer.catchUp()
    settledTerm = term
    uncertain = false
  }

  /** What waits is no hindrance to a recovery of the own key: that may be what seals it. */
  async function settleFor(transaction: RegistryTransaction): Promise<void> {
    if (!(await sealer.isTrueRecovery(transaction))) {
      await settle()
      return
    }
    checkLeads(leadership)
    uncertain = true
    await sealer.makeWay(transaction)
  }

  /** Who lacks the key that the registry names leads for the recovery of it alone, and only if nobody else leads. */
  async function leadFor<T>(transaction: RegistryTransaction, work: () => Promise<T>): Promise<T> {
    if (!(await sealer.isTrueRecovery(transaction))) return await work()
    return await right.recovering(async () => {
      if (!leadership.leads()) await leadership.confirm()
      return await work()
    })
  }

  async function commitAndSeal(prepare: Prepare): Promise<TickAnswer> {
    let tick: TickCommit
    let committed: Committed
    do {
      // The tip before the checks: what they looked at.
      const parent = chain.tip?.hash ?? null
      tick = { ...(await prepare()), parent }
      refuseReserved(tick)
      await refuseSealed(tick)
      sealer.checkAllowed(tick.transactions)
      // A tick that nobody can seal must not be committed.
      if (tick.transactions.length > 0) await sealer.checkKey(tick.transactions)
      uncertain = true
      committed = await store.commitTick(tick)
    } while (committed === 'book_moved')
    if (committed === 'behind' && tick.transactions.length > 0) return await sealInOrder(tick)
    const tip = tick.transactions.length === 0 ? null : await sealer.seal(tick, tick.tx_hashes)
    uncertain = false
    return answerOf({ ...tick, tx_ids: idsOf(tick) }, tip)
  }

  /**
   * Seals a tick that was committed behind another, as one that who led before has committed late: the oldest has the next height,
   * and no signer is to be asked for two blocks of it.
   */
  async function sealInOrder({ tick_id }: TickCommit): Promise<TickAnswer> {
    await sealer.catchUp()
    uncertain = false
    const stored = await store.tick(tick_id)
    if (stored === undefined)
      throw (await voidError(tick_id)) ?? ledgerError('not_ready', { reason: `tick ${tick_id} is gone` })
    return answerOf(stored, stored.block)
  }

  /** What SQL has forgotten the blocks know: a tick is sealed once, whatever happened to the database. */
  async function refuseSealed({ tick_id }: Unplaced): Promise<void> {
    const height = await chain.heightOfTick(tick_id)
    if (height === undefined) return
    const difference = `block ${height} has sealed it, and the database does not say with which transactions`
    throw ledgerError('tick_conflict', { tick_id, difference })
  }

  async function known(tickId: string, settled: () => Promise<void>): Promise<StoredTick | undefined> {
    await settled()
    const stored = await store.tick(tickId)
    const isUnsealed = stored?.block === null && stored.transactions.length > 0
    if (!isUnsealed) return stored
    // Committed by somebody else who writes into the same database, and not sealed yet.
    uncertain = true
    await settled()
    return await store.tick(tickId)
  }

  /**
   * The answer of a tick that is committed already, or else of what `prepare` gives.
   *
   * @param judge throws if what is committed under the id is not what is asked for
   * @param settled makes good what was left before
   */
  async function once(tickId: string, judge: Judge, prepare: Prepare, settled = settle): Promise<TickAnswer> {
    const answerStored = async (stored: StoredTick): Promise<TickAnswer> => {
      await judge(stored)
      return answerOf(stored, stored.block)
    }
    const stored = await known(tickId, settled)
    if (stored !== undefined) return await answerStored(stored)
    try {
      const answer = await commitAndSeal(prepare)
      onTick?.(answer.height === null ? 'empty' : 'sealed')
      return answer
    } catch (error) {
      const theirs = await committedElsewhere(tickId, error, settled)
      if (theirs !== undefined) return await answerStored(theirs)
      onTick?.('failed')
      throw isSolarError(error, 'store_failed') ? error : ((await voidError(tickId)) ?? error)
    }
  }

  /** What never was sealed is refused as such, whatever else is wrong with it by now. */
  async function voidError(tick_id: string): Promise<SolarError | undefined> {
    const [voided] = await store.voidTicks(tick_id)
    return voided && ledgerError('tick_void', { tick_id, reason: voided.reason, voided_at: voided.voided_at })
  }

  /** Another authority on this database may have sealed the height, or have committed the tick in the meantime. */
  async function committedElsewhere(
    tickId: string,
    error: unknown,
    settled: () => Promise<void>,
  ): Promise<StoredTick | undefined> {
    if (OVERTAKEN.some((code) => isSolarError(error, code))) await leadership.confirm()
    else if (!isSolarError(error, 'tick_conflict')) return undefined
    return await known(tickId, settled)
  }

  async function accept(tick: PlatformTick): Promise<TickAnswer> {
    const { tick_id, timestamp, transactions: rows } = tick
    if (rows.length > MAX_TRANSACTIONS_PER_BLOCK) {
      throw ledgerError('tick_too_large', { count: rows.length, limit: MAX_TRANSACTIONS_PER_BLOCK })
    }
    const tooLarge = payloadsFault(payloadCharacters(rows))
    if (tooLarge !== undefined) throw ledgerError('payloads_too_large', { reason: tooLarge })
    const content_hash = await inTurns(platformContent(tick))
    const judge = async (stored: StoredTick): Promise<void> => {
      if (await inTurns(isSameContent(stored, tick, content_hash))) return
      throw ledgerError('tick_conflict', { tick_id, ...differenceOf(stored, tick) })
    }
    return await once(tick_id, judge, async () => {
      refuseFuture(`tick ${tick_id}`, timestamp, clock.now())
      const nonceOf = noncesFor(rows.length, randomBytes)
      // Not `{ ...row, tick_id }`: V8 makes such objects dictionaries, and everything after reads them four times slower.
      const withTick = (row: PlatformRow, index: number): Transaction =>
        Object.assign({}, row, { tick_id, nonce: nonceOf(index) })
      const transactions = await inTurns(mapInPieces(rows, withTick))
      await inTurns(checkRows(transactions, chain.genesis.amount_decimals, clock.now()))
      const tx_hashes = await inTurns(mapInPieces(transactions, hashTransaction))
      return { tick_id, timestamp, transactions, source: 'platform', content_hash, tx_hashes, fills: [] }
    })
  }

  async function run(request: { readonly tick_id?: string; readonly timestamp?: number }): Promise<TickAnswer> {
    const timestamp = request.timestamp ?? clock.now()
    const tick_id = request.tick_id ?? `tick-${timestamp}`
    const judge = ({ source }: StoredTick): void => {
      // Whether the market ran a tick that was put back is not known any more: whoever names its id gets its answer.
      if (source === 'market' || source === 'restored') return
      const difference = 'it came from the platform, not from the built-in market'
      throw ledgerError('tick_conflict', { tick_id, difference })
    }
    return await once(tick_id, judge, async () => {
      refuseFuture(`tick ${tick_id}`, timestamp, clock.now())
      await store.expireOrders(clock.now() - ORDER_LIFETIME_MS)
      const { orders, last_order } = await store.openOrders(timestamp, BOOK_LIMITS)
      const book = await inTurns(mapInPieces(orders, toBookOrder))
      const clearing = await inTurns(clear(book, priceBand === undefined ? {} : { priceBand }))
      const terms = { tick_id, timestamp, amountDecimals: chain.genesis.amount_decimals }
      const nonces = () => bytesToHex(randomBytes(NONCE_BYTES))
      const { trades, fills } = await inTurns(tradesOf(clearing, { ...terms, nonces }))
      const tx_hashes = await inTurns(mapInPieces(trades, hashTransaction))
      const content_hash = MARKET_CONTENT
      return { tick_id, timestamp, transactions: trades, source: 'market', content_hash, tx_hashes, fills, last_order }
    })
  }

  async function register(transaction: RegistryTransaction, userId: string | undefined): Promise<TickAnswer> {
    const { id, tick_id, timestamp, subject_id } = transaction
    const tx_hash = hashTransaction(transaction)
    const judge = (stored: StoredTick): void => {
      if (stored.content_hash === tx_hash) return
      const difference = `the nonce of ${id} was used by another registry transaction`
      throw ledgerError('tick_conflict', { tick_id, difference })
    }
    const prepare = async (): Promise<Unplaced> => {
      refuseFuture(`transaction ${id}`, timestamp, clock.now())
      await changeLimiter.check(transaction, userId)
      await sealer.checkSealable([transaction])
      const isOwn = sealer.isOwnRecovery(transaction)
      if (isOwn) await sealer.takePlace(transaction)
      return {
        tick_id,
        timestamp,
        transactions: [transaction],
        source: 'registry',
        content_hash: tx_hash,
        tx_hashes: [tx_hash],
        fills: [],
        ...(userId !== undefined && { user: { voter_id: subject_id, user_id: userId } }),
        ...(isOwn && { recovers: subject_id }),
      }
    }
    return await once(tick_id, judge, prepare, () => settleFor(transaction))
  }

  /** Who led before may have committed a tick, or sealed it, after this node began to lead. */
  const isLeftBehind = async (): Promise<boolean> =>
    (await store.nextUnsealedTick()) !== undefined || (await store.blocks(chain.size, 1)).length > 0

  return {
    follow: () =>
      lane(async () => {
        uncertain = true
        await sealer.follow()
      }),
    recover: () =>
      lane(async () => {
        if (!leadership.leads()) return
        if (!uncertain && (await isLeftBehind())) uncertain = true
        await settle()
      }),
    restore: (block, from) =>
      lane(async () => {
        uncertain = true
        await sealer.restore(block, from)
      }),
    register: (transaction, userId) => lane(() => leadFor(transaction, () => register(transaction, userId))),
    accept: (tick) => lane(() => accept(tick)),
    run: (request) => lane(() => run(request)),
    proposeNext: () =>
      lane(async () => {
        checkLeads(leadership)
        // One tick alone is sealed, or it fails half-way: the next tick asks the stores what is left.
        uncertain = true
        const sealed = await sealer.proposeNext()
        if (sealed === undefined) return undefined
        const { tick, tip } = sealed
        const tx_hashes = await inTurns(mapInPieces(tick.transactions, hashTransaction))
        return answerOf({ ...tick, tx_ids: idsOf(tick), tx_hashes }, tip)
      }),
    idle: () => lane(() => Promise.resolve()),
  }
}

type Judge = (stored: StoredTick) => void | Promise<void>
/** Checks what was asked for, and gives it as it is to be committed on the present tip. */
type Prepare = () => Unplaced | Promise<Unplaced>
type Unplaced = Omit<TickCommit, 'parent'>

/** What tells a node that others have written into its database. */
const OVERTAKEN = ['fenced', 'tip_moved', 'missing_parent'] satisfies LedgerErrorCode[]

/** A row or tick further ahead than clocks differ is refused at intake. Throws `from_the_future`. */
export function refuseFuture(what: string, timestamp: number, now: number): void {
  if (timestamp > now + MAX_FUTURE_MS) throw ledgerError('from_the_future', { what, timestamp, now })
}

/** A clearing has fewer trades than orders, so the tick fits a block. */
const BOOK_LIMITS = { orders: MAX_TRANSACTIONS_PER_BLOCK, ofUser: MAX_OPEN_ORDERS }

const NONCE_BYTES = 16

/** The nonce of each row, hex. One request to the random source: 1,000 small ones cost more than hashing the trades. */
function noncesFor(count: number, randomBytes: RandomBytes): (index: number) => string {
  const bytes = randomBytes(count * NONCE_BYTES)
  return (index) => bytesToHex(bytes.subarray(NONCE_BYTES * index, NONCE_BYTES * (index + 1)))
}

function* checkRows(transactions: readonly Transaction[], amountDecimals: number, now: number): Pieces<void> {
  const ids = new Set<string>()
  for (const [index, tx] of transactions.entries()) {
    if (endsPiece(index)) yield
    if (ids.has(tx.id)) throw ledgerError('refused_row', { id: tx.id, reason: 'the id is twice in this tick' })
    ids.add(tx.id)
    refuseFuture(`transaction ${tx.id}`, tx.timestamp, now)
    checkTransaction(tx, amountDecimals)
  }
}

/** A name that is made here for what has lost its own must not be taken: whoever puts the blocks back could not tell the two apart. */
function refuseReserved({ tick_id, transactions }: CommittedTick): void {
  for (const id of [tick_id, ...transactions.map((tx) => tx.id)]) {
    if (!id.startsWith(UNKNOWN_ID)) continue
    const reason = `ids that begin with ${UNKNOWN_ID} are kept for transactions whose body is gone; take another id`
    throw ledgerError('refused_row', { id, reason })
  }
}

function toBookOrder(order: OpenOrder): BookOrder {
  const { order_id, user_id, side, price_per_kwh, sequence } = order
  return {
    order_id,
    user_id,
    side,
    kwh_micro: order.open_micro,
    price_micro: parseQuantity(price_per_kwh),
    sequence,
  }
}

const idsOf = ({ transactions }: CommittedTick): readonly string[] => transactions.map(({ id }) => id)

type Answerable = Pick<StoredTick, 'tick_id' | 'tx_ids' | 'tx_hashes'>

function answerOf(tick: Answerable, sealed: Tip | StoredTick['block']): TickAnswer {
  const header = sealed?.sealed.header
  const hash = sealed === null ? null : 'hash' in sealed ? sealed.hash : sealed.block_hash
  return {
    tick_id: tick.tick_id,
    height: header?.height ?? null,
    block_hash: hash,
    header_hash: hash,
    merkle_root: header?.merkle_root ?? null,
    transactions: tick.tx_ids.map((id, index) => ({ id, tx_hash: tick.tx_hashes[index] ?? '' })),
  }
}
