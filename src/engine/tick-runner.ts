import { clear, type BookOrder } from '../market/clearing.ts'
import { tradesOf } from '../market/trades.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { PlatformRow, PlatformTick, TickAnswer } from '../ports/ledger.ts'
import type { MarketStore, OpenOrder, StoredTick, TickCommit } from '../ports/market-store.ts'
import { bytesToHex, type Hash } from '../protocol/bytes.ts'
import { parseQuantity } from '../protocol/decimal.ts'
import { sha256Hex } from '../protocol/hash.ts'
import { MAX_FUTURE_MS, MAX_TRANSACTIONS_PER_BLOCK } from '../protocol/limits.ts'
import { checkTransaction, hashTransaction, type Transaction } from '../protocol/transaction.ts'
import type { Chain, Tip } from './chain.ts'
import { createSerial } from './serial.ts'
import type { Sealer } from './sealer.ts'

export interface TickRunnerParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly sealer: Sealer
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly priceBand?: { readonly floorMicro: bigint; readonly ceilingMicro: bigint }
}

/**
 * Commits ticks and has them sealed, one at a time. SQL comes first: a failed commit leaves no block, and whatever fails
 * after the commit is made good by `Sealer.catchUp` before the next tick.
 */
export interface TickRunner {
  /** Makes good what a crash left; afterwards ticks are taken. */
  recover(): Promise<void>
  /** An outside engine's tick. Throws `tick_conflict`, `duplicate_transaction`, `bad_transaction`, ... */
  accept(tick: PlatformTick): Promise<TickAnswer>
  /** The built-in market's tick. */
  run(request: { readonly tick_id?: string; readonly timestamp?: number }): Promise<TickAnswer>
  proposeNext(): Promise<TickAnswer | undefined>
  /** Waits for the tick in hand. */
  idle(): Promise<void>
}

/** A market tick is known by its id alone: asking again answers the same, whatever the time. */
const MARKET_CONTENT = sha256Hex('market')

export function createTickRunner(parts: TickRunnerParts): TickRunner {
  const { chain, store, sealer, clock, randomBytes, priceBand } = parts
  const lane = createSerial()
  // Set while a commit or a seal is under way: if it fails, the stores are asked what happened before anything else runs.
  let uncertain = true

  async function settle(): Promise<void> {
    if (!uncertain) return
    await sealer.catchUp()
    uncertain = false
  }

  async function commitAndSeal(tick: TickCommit): Promise<TickAnswer> {
    uncertain = true
    await store.commitTick(tick)
    const tip = tick.transactions.length === 0 ? null : await sealer.seal(tick, tick.tx_hashes)
    uncertain = false
    return answerOf(tick, tip)
  }

  async function known(tickId: string): Promise<StoredTick | undefined> {
    await settle()
    return await store.tick(tickId)
  }

  async function accept(tick: PlatformTick): Promise<TickAnswer> {
    const { tick_id, timestamp, transactions: rows } = tick
    if (rows.length > MAX_TRANSACTIONS_PER_BLOCK) {
      throw ledgerError('tick_too_large', { count: rows.length, limit: MAX_TRANSACTIONS_PER_BLOCK })
    }
    const content_hash = contentHash(tick)
    const stored = await known(tick_id)
    if (stored !== undefined) {
      if (stored.content_hash === content_hash) return answerOf(stored, stored.block)
      throw ledgerError('tick_conflict', { tick_id, difference: differenceOf(stored, tick) })
    }
    refuseFuture(`tick ${tick_id}`, timestamp, clock.now())
    const nonceOf = noncesFor(rows.length, randomBytes)
    // Not `{ ...row, tick_id }`: V8 makes such objects dictionaries, and everything after reads them four times slower.
    const transactions = rows.map((row, index): Transaction =>
      Object.assign({}, row, { tick_id, nonce: nonceOf(index) }),
    )
    checkRows(transactions, chain.genesis.amount_decimals, clock.now())
    const tx_hashes = transactions.map(hashTransaction)
    return await commitAndSeal({
      tick_id,
      timestamp,
      transactions,
      source: 'platform',
      content_hash,
      tx_hashes,
      fills: [],
    })
  }

  async function run(request: { readonly tick_id?: string; readonly timestamp?: number }): Promise<TickAnswer> {
    const timestamp = request.timestamp ?? clock.now()
    const tick_id = request.tick_id ?? `tick-${timestamp}`
    const stored = await known(tick_id)
    if (stored !== undefined) {
      if (stored.source === 'market') return answerOf(stored, stored.block)
      throw ledgerError('tick_conflict', {
        tick_id,
        difference: 'it came from the platform, not from the built-in market',
      })
    }
    refuseFuture(`tick ${tick_id}`, timestamp, clock.now())
    const orders = await store.openOrders(timestamp)
    const clearing = clear(orders.map(toBookOrder), priceBand === undefined ? {} : { priceBand })
    const { trades, fills } = tradesOf(clearing, {
      tick_id,
      timestamp,
      amountDecimals: chain.genesis.amount_decimals,
      nonces: () => bytesToHex(randomBytes(16)),
    })
    const tx_hashes = trades.map(hashTransaction)
    const content_hash = MARKET_CONTENT
    return await commitAndSeal({
      tick_id,
      timestamp,
      transactions: trades,
      source: 'market',
      content_hash,
      tx_hashes,
      fills,
    })
  }

  return {
    recover: () => lane(settle),
    accept: (tick) => lane(() => accept(tick)),
    run: (request) => lane(() => run(request)),
    proposeNext: () =>
      lane(async () => {
        // One tick alone is sealed, or it fails half-way: the next tick asks the stores what is left.
        uncertain = true
        const sealed = await sealer.proposeNext()
        return (
          sealed && answerOf({ ...sealed.tick, tx_hashes: sealed.tick.transactions.map(hashTransaction) }, sealed.tip)
        )
      }),
    idle: () => lane(() => Promise.resolve()),
  }
}

/** A row or tick further ahead than clocks differ is refused at intake. Throws `from_the_future`. */
export function refuseFuture(what: string, timestamp: number, now: number): void {
  if (timestamp > now + MAX_FUTURE_MS) throw ledgerError('from_the_future', { what, timestamp, now })
}

/** What the platform asked for, without what this node adds to it: equal content, equal hash. */
function contentHash({ tick_id, timestamp, transactions }: PlatformTick): Hash {
  return sha256Hex(JSON.stringify([tick_id, timestamp, transactions.map(valuesOf)]))
}

/** The values alone, in a fixed order: one JSON text of a whole tick costs a tenth of a canonical text for each row. */
function valuesOf(row: PlatformRow): readonly (string | number)[] {
  const { kind, id, timestamp } = row
  return kind === 'trade'
    ? [kind, id, row.from_user_id, row.to_user_id, row.kwh, row.price_per_kwh, row.total_amount, timestamp]
    : [kind, id, row.corrects, row.kwh_delta, row.amount_delta, row.reason, timestamp]
}

const NONCE_BYTES = 16

/** The nonce of each row, hex. One request to the random source: 1,000 small ones cost more than hashing the trades. */
function noncesFor(count: number, randomBytes: RandomBytes): (index: number) => string {
  const digits = bytesToHex(randomBytes(count * NONCE_BYTES))
  return (index) => digits.slice(2 * NONCE_BYTES * index, 2 * NONCE_BYTES * (index + 1))
}

function checkRows(transactions: readonly Transaction[], amountDecimals: number, now: number): void {
  const ids = new Set<string>()
  for (const tx of transactions) {
    if (ids.has(tx.id)) throw ledgerError('refused_row', { id: tx.id, reason: 'the id is twice in this tick' })
    ids.add(tx.id)
    refuseFuture(`transaction ${tx.id}`, tx.timestamp, now)
    checkTransaction(tx, amountDecimals)
  }
}

function toBookOrder(order: OpenOrder): BookOrder {
  const { order_id, user_id, side, price_per_kwh, timestamp, sequence } = order
  return {
    order_id,
    user_id,
    side,
    kwh_micro: order.open_micro,
    price_micro: parseQuantity(price_per_kwh),
    timestamp,
    sequence,
  }
}

type Answerable = Pick<StoredTick, 'tick_id' | 'transactions' | 'tx_hashes'>

function answerOf(tick: Answerable, sealed: Tip | StoredTick['block']): TickAnswer {
  const header = sealed?.sealed.header
  const hash = sealed === null ? null : 'hash' in sealed ? sealed.hash : sealed.block_hash
  return {
    tick_id: tick.tick_id,
    height: header?.height ?? null,
    block_hash: hash,
    header_hash: hash,
    merkle_root: header?.merkle_root ?? null,
    transactions: tick.transactions.map((tx, index) => ({
      id: tx.id,
      tx_hash: tick.tx_hashes[index] ?? hashTransaction(tx),
    })),
  }
}

/** Says what differs between a committed tick and one that claims its id. */
function differenceOf(stored: StoredTick, tick: PlatformTick): string {
  if (stored.source !== 'platform') return 'it was run by the built-in market'
  if (stored.timestamp !== tick.timestamp) return `timestamp ${tick.timestamp}, committed is ${stored.timestamp}`
  if (stored.transactions.length !== tick.transactions.length) {
    return `${tick.transactions.length} transactions, committed are ${stored.transactions.length}`
  }
  for (const [index, row] of tick.transactions.entries()) {
    const committed = stored.transactions[index] as Partial<Record<string, unknown>> | undefined
    for (const [field, value] of Object.entries(row as Record<string, unknown>)) {
      if (committed?.[field] !== value) {
        return `transaction ${row.id}: ${field} is ${String(value)}, committed is ${String(committed?.[field])}`
      }
    }
  }
  return 'the order of fields or rows'
}
