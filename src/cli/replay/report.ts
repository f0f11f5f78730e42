import cliProgress from 'cli-progress'
import { count } from '../../node/count-words.ts'
import { formatQuantity } from '../../protocol/decimal.ts'
import type { TickResult } from './authority.ts'
import type { LateTotals } from './corrections.ts'
import type { BadRows } from './load-readings.ts'

/** A terminal or a pipe. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean }

/** What a replay has done so far. */
export interface Totals {
  ticks: number
  /** Ticks that traded. */
  blocks: number
  trades: number
  kwhMicro: bigint
  /** What the trades cost together, in micro-units of the chain's currency. */
  amountMicro: bigint
  orders: number
  /** Blocks and orders that the authority had from an earlier run. */
  blocksThere: number
  ordersThere: number
  /** Readings below the minimum, ours or the authority's. */
  dropped: number
  badRows: number
  /** Readings that several files have. */
  repeated: number
  /** Readings that came after the tick of their interval, and of how many intervals. */
  closed: number
  closedIntervals: number
  firstClosed?: { readonly interval: string; readonly household: string }
}

/** Says how a replay goes: a progress bar on a terminal, else a JSON line for each event. */
export interface Report {
  /** So many rows are read. */
  reading(rows: number): void
  start(ticks: number): void
  badRows(bad: BadRows): void
  /** The interval's tick has run without these households: their readings come too late. */
  closed(tickId: string, households: readonly string[]): void
  tick(tickId: string, result: TickResult, wasThere: boolean, totals: Totals): void
  /** Something that takes time, for people. */
  notice(line: string): void
  finish(totals: Totals, stopped: boolean): void
  /** Corrections of an interval were posted. */
  corrected(tickId: string, corrections: number, kwhMicro: bigint): void
  /** What all late readings came to. */
  late(totals: LateTotals): void
  /** Leaves the terminal as it was; to be called whatever happened. */
  close(): void
}

const SHOWN_LINES = 20
const SHOWN_HOUSEHOLDS = 5
/** Reading takes a moment as a rule; only where it takes long people are told how far it is. */
const READING_EVERY_MS = 5_000

export function createReport(stdout: Output, stderr: Output, json: boolean): Report {
  return stdout.isTTY === true && !json ? barReport(stdout, stderr) : jsonReport(stdout)
}

/** Hands on, of what is told, what comes at least so long after the last. */
function nowAndThen(everyMs: number, tell: (rows: number) => void): (rows: number) => void {
  let due = performance.now() + everyMs
  return (rows) => {
    if (performance.now() < due) return
    due = performance.now() + everyMs
    tell(rows)
  }
}

function barReport(stdout: Output, stderr: Output): Report {
  let closedLines = 0
  const format = '{bar} {value}/{total} ticks · {trades} trades · {kwh} kWh · {tick}'
  const bar = new cliProgress.SingleBar(
    { format, stream: stdout, hideCursor: true, gracefulExit: false, barsize: 24 },
    cliProgress.Presets.shades_classic,
  )
  return {
    reading: nowAndThen(READING_EVERY_MS, (rows) => stderr.write(`${count(rows, 'row')} read\n`)),
    start: (ticks) => bar.start(ticks, 0, { trades: 0, kwh: '0', tick: '' }),
    badRows: ({ rows, count: all }) => {
      for (const { file, line, reason } of rows.slice(0, SHOWN_LINES)) stderr.write(`${file}:${line}: ${reason}\n`)
      if (all > SHOWN_LINES) stderr.write(`and ${count(all - SHOWN_LINES, 'more bad row')}\n`)
    },
    closed: (tickId, households) => {
      // The line at the end counts the rest.
      if (closedLines++ < SHOWN_LINES) stderr.write(`\n${closedOf(tickId, households)}\n`)
    },
    tick: (tick, _result, _wasThere, { ticks, trades, kwhMicro }) =>
      bar.update(ticks, { trades, kwh: formatQuantity(kwhMicro), tick }),
    notice: (line) => stderr.write(`\n${line}\n`),
    finish: (totals, stopped) => {
      bar.stop()
      stdout.write(`${summaryOf(totals, stopped)}\n`)
    },
    corrected: (tickId, corrections, kwhMicro) => stdout.write(`${correctedOf(tickId, corrections, kwhMicro)}\n`),
    late: (totals) => stdout.write(`${lateSummaryOf(totals)}\n`),
    close: () => bar.stop(),
  }
}

function jsonReport(stdout: Output): Report {
  const write = (line: object): void => {
    stdout.write(`${JSON.stringify(line)}\n`)
  }
  return {
    reading: nowAndThen(READING_EVERY_MS, (rows) =>
      write({ event: 'reading', rows, msg: `${count(rows, 'row')} read` }),
    ),
    start: (ticks) => write({ event: 'start', ticks, msg: `${count(ticks, 'tick')} to replay` }),
    badRows: ({ rows, count: all }) => {
      for (const { file, line, reason } of rows) write({ event: 'bad_row', file, line, msg: reason })
      const more = all - rows.length
      if (more > 0) write({ event: 'notice', msg: `and ${count(more, 'more bad row')}` })
    },
    closed: (tick_id, households) => {
      const msg = closedOf(tick_id, households)
      write({
        event: 'closed',
        tick_id,
        readings: households.length,
        households: households.slice(0, SHOWN_HOUSEHOLDS),
        msg,
      })
    },
    tick: (tick_id, { height, block_hash, trades, kwhMicro, amountMicro }, already_there) => {
      const [kwh, amount] = [formatQuantity(kwhMicro), formatQuantity(amountMicro)]
      const msg =
        height === null ? 'nothing traded' : `block ${height}: ${count(trades, 'trade')}, ${kwh} kWh, worth ${amount}`
      write({ event: 'tick', tick_id, height, block_hash, trades, kwh, amount, already_there, msg })
    },
    notice: (line) => write({ event: 'notice', msg: line }),
    finish: (totals, stopped) => {
      const { ticks, blocks, trades, kwhMicro, amountMicro, orders, dropped, badRows, repeated, closed } = totals
      write({
        event: 'summary',
        ticks,
        blocks,
        trades,
        kwh: formatQuantity(kwhMicro),
        amount: formatQuantity(amountMicro),
        orders,
        already_there: { blocks: totals.blocksThere, orders: totals.ordersThere },
        below_minimum: dropped,
        bad_rows: badRows,
        repeated,
        closed,
        stopped,
        msg: summaryOf(totals, stopped),
      })
    },
    corrected: (tick_id, corrections, kwhMicro) => {
      const kwh = formatQuantity(kwhMicro)
      write({ event: 'corrected', tick_id, corrections, kwh, msg: correctedOf(tick_id, corrections, kwhMicro) })
    },
    late: (totals) => {
      const { readings, unknown, corrections, kwhMicro } = totals
      const kwh = formatQuantity(kwhMicro)
      write({ event: 'late_summary', readings, unknown, corrections, kwh, msg: lateSummaryOf(totals) })
    },
    close: () => undefined,
  }
}

const correctedOf = (tickId: string, corrections: number, kwhMicro: bigint): string =>
  `${tickId}: ${count(corrections, 'correction')}, ${formatQuantity(kwhMicro)} kWh taken back`

const lateSummaryOf = ({ readings, unknown, corrections, kwhMicro }: LateTotals): string =>
  `${readings === 1 ? '1 late reading differs' : `${readings} late readings differ`}, ${unknown} of nothing that was replayed: ` +
  `${count(corrections, 'correction')} posted now, ${formatQuantity(kwhMicro)} kWh taken back`

function closedOf(tickId: string, households: readonly string[]): string {
  const more = households.length - SHOWN_HOUSEHOLDS
  const names = `${households.slice(0, SHOWN_HOUSEHOLDS).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  return `interval ${tickId} was closed before, ${names} can never trade in it`
}

function summaryOf(totals: Totals, stopped: boolean): string {
  const { ticks, blocks, trades, kwhMicro, amountMicro, orders, blocksThere, ordersThere } = totals
  const { dropped, badRows, repeated, closed } = totals
  const parts = [
    `${count(ticks, 'tick')}, ${count(blocks, 'block')}, ${count(trades, 'trade')}, ${formatQuantity(kwhMicro)} kWh from ${count(orders, 'order')}`,
    `worth ${formatQuantity(amountMicro)}`,
    `already there: ${count(blocksThere, 'block')}, ${count(ordersThere, 'order')}`,
    `${count(dropped, 'reading')} below the minimum`,
  ]
  if (repeated > 0) parts.push(`${count(repeated, 'reading')} in more than one file`)
  if (badRows > 0) parts.push(`${count(badRows, 'bad row')} skipped`)
  if (closed > 0) parts.push(`${count(closed, 'reading')} too late, the interval was closed`)
  if (stopped) parts.push('stopped before the end, run the same command again to go on')
  return parts.join(' · ')
}
