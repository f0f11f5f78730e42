import cliProgress from 'cli-progress'
import type { BadRow } from '../../market/readings.ts'
import { formatQuantity } from '../../protocol/decimal.ts'
import type { TickResult } from './authority.ts'
import type { LateTotals } from './corrections.ts'

/** A terminal or a pipe. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean }

/** What a replay has done so far. */
export interface Totals {
  ticks: number
  /** Ticks that traded. */
  blocks: number
  trades: number
  kwhMicro: bigint
  orders: number
  /** Blocks and orders that the authority had from an earlier run. */
  blocksThere: number
  ordersThere: number
  /** Readings below the minimum, ours or the authority's. */
  dropped: number
  badRows: number
}

/** Says how a replay goes: a progress bar on a terminal, else a JSON line for each event. */
export interface Report {
  start(ticks: number): void
  badRows(rows: readonly BadRow[]): void
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

const SHOWN_BAD_ROWS = 20

export function createReport(stdout: Output, stderr: Output, file: string, json: boolean): Report {
  return stdout.isTTY === true && !json ? barReport(stdout, stderr, file) : jsonReport(stdout)
}

function barReport(stdout: Output, stderr: Output, file: string): Report {
  const format = '{bar} {value}/{total} ticks · {trades} trades · {kwh} kWh · {tick}'
  const bar = new cliProgress.SingleBar(
    { format, stream: stdout, hideCursor: true, gracefulExit: false, barsize: 24 },
    cliProgress.Presets.shades_classic,
  )
  return {
    start: (ticks) => bar.start(ticks, 0, { trades: 0, kwh: '0', tick: '' }),
    badRows: (rows) => {
      for (const { line, reason } of rows.slice(0, SHOWN_BAD_ROWS)) stderr.write(`${file}:${line}: ${reason}\n`)
      const more = rows.length - SHOWN_BAD_ROWS
      if (more > 0) stderr.write(`${file}: and ${more} more bad rows\n`)
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
    start: (ticks) => write({ event: 'start', ticks, msg: `${ticks} ticks to replay` }),
    badRows: (rows) => {
      for (const { line, reason } of rows) write({ event: 'bad_row', line, msg: reason })
    },
    tick: (tick_id, { height, block_hash, trades, kwhMicro }, already_there) => {
      const kwh = formatQuantity(kwhMicro)
      const msg = height === null ? 'nothing traded' : `block ${height}: ${trades} trades, ${kwh} kWh`
      write({ event: 'tick', tick_id, height, block_hash, trades, kwh, already_there, msg })
    },
    notice: (line) => write({ event: 'notice', msg: line }),
    finish: (totals, stopped) => {
      const { ticks, blocks, trades, kwhMicro, orders, blocksThere, ordersThere, dropped, badRows } = totals
      write({
        event: 'summary',
        ticks,
        blocks,
        trades,
        kwh: formatQuantity(kwhMicro),
        orders,
        already_there: { blocks: blocksThere, orders: ordersThere },
        below_minimum: dropped,
        bad_rows: badRows,
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
  `${tickId}: ${corrections} corrections, ${formatQuantity(kwhMicro)} kWh taken back`

const lateSummaryOf = ({ readings, unknown, corrections, kwhMicro }: LateTotals): string =>
  `${readings} late readings differ, ${unknown} are of nothing that was replayed: ` +
  `${corrections} corrections posted now, ${formatQuantity(kwhMicro)} kWh taken back`

function summaryOf(totals: Totals, stopped: boolean): string {
  const { ticks, blocks, trades, kwhMicro, orders, blocksThere, ordersThere, dropped, badRows } = totals
  const parts = [
    `${ticks} ticks, ${blocks} blocks, ${trades} trades, ${formatQuantity(kwhMicro)} kWh from ${orders} orders`,
    `already there: ${blocksThere} blocks, ${ordersThere} orders`,
    `${dropped} readings below the minimum`,
  ]
  if (badRows > 0) parts.push(`${badRows} bad rows skipped`)
  if (stopped) parts.push('stopped before the end, run the same command again to go on')
  return parts.join(' · ')
}
