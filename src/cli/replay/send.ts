import { setTimeout as sleep } from 'node:timers/promises'
import { intervalId } from '../../market/interval-time.ts'
import { orderOf, type ReadingRules } from '../../market/readings.ts'
import { isSolarError } from '../../protocol/errors.ts'
import type { Authority } from './authority.ts'
import type { LoadedReadings } from './load-readings.ts'
import { replayError } from './errors.ts'
import type { MeteredInterval } from './readings-table.ts'
import type { Report, Totals } from './report.ts'

export interface SendParts {
  readonly authority: Authority
  readonly rules: ReadingRules
  readonly report: Report
  /** Ticks a second; absent: as fast as the authority takes them. */
  readonly speed: number | undefined
  /** Stops after the tick in hand. */
  readonly signal: AbortSignal | undefined
}

/** Sends the orders of each interval, in time order, and then its tick. Throws what `Authority` throws; `stopped` before the end. */
export async function sendAll({ table, bad, repeated }: LoadedReadings, parts: SendParts): Promise<Totals> {
  const { authority, report, speed, signal } = parts
  const sent = { ticks: 0, blocks: 0, trades: 0, kwhMicro: 0n, amountMicro: 0n, orders: 0 }
  const left = { blocksThere: 0, ordersThere: 0, dropped: 0, closed: 0, closedIntervals: 0 }
  const totals: Totals = { ...sent, ...left, repeated, badRows: bad.count }
  const { count } = table.countIntervals()
  try {
    const tipBefore = await authority.tipHeight()
    await authority.checkOperator()
    report.start(count, await authority.currency())
    const startedAt = performance.now()
    let number = 0
    for (const interval of table.intervals()) {
      if (speed !== undefined) await waitUntil(startedAt + (number * 1000) / speed, signal)
      if (signal?.aborted === true) throw replayError('stopped', { what: 'replay' })
      number++
      await sendInterval(interval, tipBefore, totals, parts)
    }
  } catch (error) {
    if (isSolarError(error, 'stopped')) report.finish(totals, true)
    throw error
  }
  report.finish(totals, false)
  return totals
}

/** Waits for a time of `performance.now()`; a stop ends the wait. */
async function waitUntil(time: number, signal: AbortSignal | undefined): Promise<void> {
  const delayMs = time - performance.now()
  if (delayMs <= 0 || signal?.aborted === true) return
  await sleep(delayMs, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    if (signal?.aborted !== true) throw error
  })
}

async function sendInterval(
  { timestamp, readings }: MeteredInterval,
  tipBefore: number,
  totals: Totals,
  { authority, rules, report }: SendParts,
): Promise<void> {
  // The tick that closed the interval may have another id: of a version that named intervals as the file spelled them.
  let tickId = intervalId(timestamp)
  const closed: string[] = []
  for (const reading of readings) {
    const order = orderOf(reading, rules, await authority.nameOf(reading.household))
    if (order === undefined) {
      totals.dropped++
      continue
    }
    const placed = await authority.placeOrder(order)
    if (placed.outcome === 'closed') {
      tickId = placed.tickId
      closed.push(reading.household)
    } else if (placed.outcome === 'too_small') totals.dropped++
    else totals.orders++
    if (placed.outcome === 'same') totals.ordersThere++
  }
  if (closed.length > 0) {
    totals.firstClosed ??= { interval: tickId, household: closed[0] ?? '' }
    totals.closed += closed.length
    totals.closedIntervals++
    report.closed(tickId, closed)
  }
  const result = await authority.runTick(tickId, timestamp)
  const wasThere = result.height !== null && result.height <= tipBefore
  totals.ticks++
  totals.trades += result.trades
  totals.kwhMicro += result.kwhMicro
  totals.amountMicro += result.amountMicro
  if (result.height !== null) totals.blocks++
  if (wasThere) totals.blocksThere++
  report.tick(tickId, result, wasThere, totals)
}
