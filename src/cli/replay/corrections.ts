import { lateCorrections, lateId, type LateReading, type TradeState } from '../../market/late-readings.ts'
import { intervalId } from '../../market/interval-time.ts'
import { parseDelta, parseQuantity } from '../../protocol/decimal.ts'
import { genesisAsIs } from '../../protocol/genesis.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { array, isJsonObject, type Shape } from '../../protocol/shape.ts'
import { shownTransactionShape, transactionShape, type Trade, type Transaction } from '../../protocol/transaction.ts'
import { usersOnChain } from '../user-on-chain.ts'
import { okBody, refuseRole, type Authority } from './authority.ts'
import { replayError } from './errors.ts'
import type { HttpClient } from './http-client.ts'
import type { ReadingsTable } from './readings-table.ts'

/** What late readings came to. */
export interface LateTotals {
  /** Readings that differ from those that were traded on. */
  readings: number
  /** Readings of intervals or households that were never replayed. */
  unknown: number
  corrections: number
  kwhMicro: bigint
}

export interface LateParts {
  /** For the tick of an interval, which answers again which block it has. */
  readonly authority: Authority
  /** With a platform token: it reads trades and posts corrections. */
  readonly platform: HttpClient
  /** The readings that were replayed. */
  readonly replayed: ReadingsTable
  readonly onCorrected: (tickId: string, corrections: number, kwhMicro: bigint) => void
}

/** Throws `no_access` for a token of another role than the platform's: an order that is not there is the platform's alone to ask for. */
export async function checkPlatform(platform: HttpClient): Promise<void> {
  const hint = 'give the value of "platform" from tokens.json of the authority with --platform-token-file FILE'
  refuseRole('corrections', await platform.get('orders/none'), hint)
}

/**
 * Posts what late readings take back, one tick for each interval. It follows from the trades and corrections that the
 * authority has: run again, or broken off and run again, it posts nothing twice. Throws `stopped` where `signal` ends it.
 */
export async function sendLateReadings(
  { authority, platform, replayed, onCorrected }: LateParts,
  late: ReadingsTable,
  signal: AbortSignal | undefined,
): Promise<LateTotals> {
  const totals: LateTotals = { readings: 0, unknown: 0, corrections: 0, kwhMicro: 0n }
  const amountDecimals = await amountDecimalsOf(platform)
  const nameOf = usersOnChain(platform)
  for (const { timestamp, readings } of late.intervals()) {
    if (signal?.aborted === true) throw replayError('stopped', { what: 'corrections' })
    const tick_id = intervalId(timestamp)
    const changed: LateReading[] = []
    for (const { household, netMicro } of readings) {
      const known = replayed.netOf(timestamp, household)
      if (known === undefined) totals.unknown += 1
      else if (known !== netMicro) changed.push({ household, netMicro })
    }
    totals.readings += changed.length
    if (changed.length === 0) continue
    const { block_hash } = await authority.runTick(tick_id, timestamp)
    if (block_hash === null) continue
    // On a pseudonymous ledger trades, and what is said of them, name nobody as the meter does.
    const named: LateReading[] = []
    for (const { household, netMicro } of changed) named.push({ household: await nameOf(household), netMicro })
    const trades = await tradesNow(platform, block_hash)
    const transactions = lateCorrections(trades, named, { timestamp, amountDecimals })
    if (transactions.length === 0) continue
    const earlier = trades.reduce((sum, { corrections }) => sum + corrections, 0)
    const tick = { tick_id: lateId(tick_id, earlier + 1), timestamp, transactions }
    okBody(`corrections of ${tick_id}`, await platform.post('ticks/', tick))
    const kwhMicro = transactions.reduce((sum, { kwh_delta }) => sum - parseDelta(kwh_delta), 0n)
    totals.corrections += transactions.length
    totals.kwhMicro += kwhMicro
    onCorrected(tick_id, transactions.length, kwhMicro)
  }
  return totals
}

async function amountDecimalsOf(platform: HttpClient): Promise<number> {
  const what = 'GET genesis'
  const { genesis } = okBody(what, await platform.get('genesis'))
  return shaped(what, genesis, genesisAsIs).amount_decimals
}

/** The trades of a block as their corrections have left them. */
async function tradesNow(platform: HttpClient, blockHash: string): Promise<TradeState[]> {
  const what = `GET blocks/${blockHash}`
  const { transactions } = okBody(what, await platform.get(`blocks/${blockHash}`))
  const trades = shaped(what, transactions, array(shownTransactionShape, Number.MAX_SAFE_INTEGER))
  const states: TradeState[] = []
  // What was redacted stays as it is: nobody may correct it any more.
  for (const trade of trades) if (trade.kind === 'trade') states.push(await tradeNow(platform, trade))
  return states
}

async function tradeNow(platform: HttpClient, trade: Trade): Promise<TradeState> {
  const { id, from_user_id, to_user_id } = trade
  let kwhMicro = parseQuantity(trade.kwh)
  let amountMicro = parseQuantity(trade.total_amount)
  const corrections = await correctionsOf(platform, id)
  for (const correction of corrections) {
    if (correction.kind !== 'correction') continue
    kwhMicro += parseDelta(correction.kwh_delta)
    amountMicro += parseDelta(correction.amount_delta)
  }
  const priceMicro = parseQuantity(trade.price_per_kwh)
  return { id, from_user_id, to_user_id, priceMicro, kwhMicro, amountMicro, corrections: corrections.length }
}

const PAGE = 1_000

async function correctionsOf(platform: HttpClient, tradeId: string): Promise<Transaction[]> {
  const what = `GET transactions?corrects=${tradeId}`
  const found: Transaction[] = []
  let after = ''
  for (;;) {
    const query = `corrects=${encodeURIComponent(tradeId)}&limit=${PAGE}${after}`
    const { transactions, next } = okBody(what, await platform.get(`transactions?${query}`))
    if (!Array.isArray(transactions)) throw replayError('bad_answer', { what, expected: 'transactions' })
    for (const placed of transactions as readonly unknown[])
      found.push(shaped(what, withoutPlace(placed), transactionShape))
    if (typeof next !== 'string') return found
    after = `&after=${encodeURIComponent(next)}`
  }
}

/** A transaction without the place that the answer tells beside it. */
function withoutPlace(placed: unknown): unknown {
  if (!isJsonObject(placed)) return placed
  const place = ['tx_hash', 'block_hash', 'height']
  return Object.fromEntries(Object.entries(placed).filter(([name]) => !place.includes(name)))
}

function shaped<T>(what: string, value: unknown, shape: Shape<T>): T {
  try {
    return shape(value, 'answer')
  } catch (error) {
    if (isSolarError(error))
      throw replayError('bad_answer', { what, expected: `usable value: ${error.message}` }, error)
    throw error
  }
}
