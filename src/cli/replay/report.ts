import cliProgress from 'cli-progress'
import { count } from '../../protocol/count-words.ts'
import { formatQuantity } from '../../protocol/decimal.ts'
import type { TickResult } from './authority.ts'
import type { LateTotals } from './corrections.ts'
import type { BadRows } from './load-readings.ts'
import { canDrawBar, type Output } from '../terminal.ts'

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

/** Says how a replay goes: a progress bar on a terminal (lines where it cannot draw one), else a JSON line for each event. */
export interface Report {
  /** So many rows are read. */
  reading(rows: number): void
  /** `currency`: in which the authority counts money. */
  start(ticks: number, currency: string): void
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
/** Bad rows are bad for one reason as a rule; --json has them all. */
const SHOWN_BAD_ROWS = 10
const SHOWN_HOUSEHOLDS = 5
/** Where there is no bar people are told now and then how far it is. */
const TOLD_EVERY_MS = 5_000

export function createReport(stdout: Output, stderr: Output, json: boolean): Report {
  if (stdout.isTTY === true && !json) return peopleReport(stdout, stderr)
  return jsonReport(stdout, json ? Infinity : SHOWN_BAD_ROWS)
}

/** Hands on, of what is told, what comes at least so long after the last. */
function nowAndThen<T>(everyMs: number, tell: (state: T) => void): (state: T) => void {
  let due = performance.now() + everyMs
  return (state) => {
    if (performance.now() < due) return
    due = performance.now() + everyMs
    tell(state)
  }
}

/** Of the ticks that are done, and how many there are. */
interface Progress {
  start(ticks: number): void
  update(ticks: number, counts: string): void
  stop(): void
  /** Ends a line that is only half written. */
  readonly lineBreak: '' | '\n'
}

function barProgress(stream: Output): Progress {
  // The cursor is left as it is: a second interrupt ends the process at once, and nobody would put it back.
  const options = { format: '{bar} {value}/{total} {counts}', hideCursor: false, gracefulExit: false, barsize: 24 }
  const bar = new cliProgress.SingleBar({ ...options, stream }, cliProgress.Presets.shades_classic)
  return {
    start: (ticks) => bar.start(ticks, 0, { counts: '' }),
    update: (ticks, counts) => bar.update(ticks, { counts }),
    stop: () => bar.stop(),
    lineBreak: '\n',
  }
}

function lineProgress(stream: Output): Progress {
  let total = 0
  const tell = nowAndThen(TOLD_EVERY_MS, (line: string) => stream.write(`${line}\n`))
  return {
    start: (ticks) => (total = ticks),
    update: (ticks, counts) => tell(`${ticks}/${total} ${counts}`),
    stop: () => undefined,
    lineBreak: '',
  }
}

function peopleReport(stdout: Output, stderr: Output): Report {
  let closedLines = 0
  let currency = ''
  let total = 0
  const progress = canDrawBar(stdout) ? barProgress(stdout) : lineProgress(stdout)
  const { lineBreak } = progress
  return {
    reading: nowAndThen(TOLD_EVERY_MS, (rows) => stderr.write(`${count(rows, 'row')} read\n`)),
    start(ticks, named) {
      currency = named
      total = ticks
      progress.start(ticks)
    },
    badRows: ({ rows, count: all }) => {
      for (const { file, line, reason } of rows.slice(0, SHOWN_BAD_ROWS)) stderr.write(`${file}:${line}: ${reason}\n`)
      if (all > SHOWN_BAD_ROWS) stderr.write(`and ${count(all - SHOWN_BAD_ROWS, 'more bad row')}\n`)
    },
    closed: (tickId, households) => {
      // The line at the end counts the rest.
      if (closedLines++ < SHOWN_LINES) stderr.write(`${lineBreak}${closedOf(tickId, households)}\n`)
    },
    tick(tick, _result, _wasThere, { ticks, trades, kwhMicro }) {
      const ofTicks = total === 1 ? 'tick' : 'ticks'
      progress.update(ticks, `${ofTicks} · ${count(trades, 'trade')} · ${formatQuantity(kwhMicro)} kWh · ${tick}`)
    },
    notice: (line) => stderr.write(`${lineBreak}${line}\n`),
    finish: (totals, stopped) => {
      progress.stop()
      stdout.write(`${summaryOf(totals, currency, stopped)}\n`)
    },
    corrected: (tickId, corrections, kwhMicro) => stdout.write(`${correctedOf(tickId, corrections, kwhMicro)}\n`),
    late: (totals) => stdout.write(`${lateSummaryOf(totals)}\n`),
    close: () => progress.stop(),
  }
}

function jsonReport(stdout: Output, shownBadRows: number): Report {
  let currency = ''
  const write = (line: object): void => {
    stdout.write(`${JSON.stringify(line)}\n`)
  }
  return {
    reading: nowAndThen(TOLD_EVERY_MS, (rows) => write({ event: 'reading', rows, msg: `${count(rows, 'row')} read` })),
    start(ticks, named) {
      currency = named
      write({ event: 'start', ticks, currency, msg: `${count(ticks, 'tick')} to replay` })
    },
    badRows: ({ rows, count: all }) => {
      const shown = rows.slice(0, shownBadRows)
      for (const { file, line, reason } of shown) write({ event: 'bad_row', file, line, msg: reason })
      const more = all - shown.length
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
        height === null
          ? 'nothing traded'
          : `block ${height}: ${count(trades, 'trade')}, ${kwh} kWh, worth ${amount} ${currency}`
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
        currency,
        orders,
        already_there: { blocks: totals.blocksThere, orders: totals.ordersThere },
        below_minimum: dropped,
        bad_rows: badRows,
        repeated,
        closed,
        stopped,
        msg: summaryOf(totals, currency, stopped),
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

function summaryOf(totals: Totals, currency: string, stopped: boolean): string {
  const { ticks, blocks, trades, kwhMicro, amountMicro, orders, blocksThere, ordersThere } = totals
  const { dropped, badRows, repeated, closed } = totals
  const parts = [
    `${count(ticks, 'tick')}, ${count(blocks, 'block')}, ${count(trades, 'trade')}, ${formatQuantity(kwhMicro)} kWh from ${count(orders, 'order')}`,
    `worth ${formatQuantity(amountMicro)} ${currency}`,
    `already there: ${count(blocksThere, 'block')}, ${count(ordersThere, 'order')}`,
    `${count(dropped, 'reading')} below the minimum`,
  ]
  if (repeated > 0) parts.push(`${count(repeated, 'reading')} in more than one file`)
  if (badRows > 0) parts.push(`${count(badRows, 'bad row')} skipped`)
  if (closed > 0) parts.push(`${count(closed, 'reading')} too late, the interval was closed`)
  if (stopped) parts.push('stopped before the end, run the same command again to go on')
  return parts.join(' · ')
}
