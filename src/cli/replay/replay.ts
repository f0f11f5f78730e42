import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Interval, Readings } from '../../market/readings.ts'
import { parseQuantity } from '../../protocol/decimal.ts'
import { decodeText } from '../../protocol/text.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { DEFAULT_MIN_TRADE_MICRO } from '../../protocol/limits.ts'
import { createAuthorityClient, type Authority } from './authority.ts'
import { replayError } from './errors.ts'
import { createHttpClient } from './http-client.ts'
import { sendLateReadings, type LateParts } from './corrections.ts'
import { readNets, readReadings } from './read-file.ts'
import { createReport, type Output, type Report, type Totals } from './report.ts'

/** The command line of `solar-node replay`, as it was typed. */
export interface ReplayOptions {
  readonly file: string
  /** http or https URL of the authority. */
  readonly to: string
  /** At most this many ticks a second; absent: as fast as the authority takes them. */
  readonly speed?: number
  /** File with one operator token as plain text. */
  readonly tokenFile?: string
  /** Late readings, a file of the same columns: what was traded beyond them is corrected. Takes `platformTokenFile`. */
  readonly corrections?: string
  /** File with one platform token as plain text. */
  readonly platformTokenFile?: string
  /** What sellers ask, currency a kWh, a decimal. */
  readonly feedIn: string
  /** Leaves bad rows out; otherwise a file with bad rows is not sent at all. */
  readonly skipBad: boolean
  /** JSON lines also on a terminal. */
  readonly json: boolean
}

export interface ReplayIo {
  readonly stdout: Output
  readonly stderr: Output
  /** Stops after the tick in hand. */
  readonly signal?: AbortSignal
  /** How long an authority that does not answer is waited for; 20 s. */
  readonly patienceMs?: number
}

/** With the exit itself this keeps "server gone: exit 1 within 30 s" (docs: cli). */
const PATIENCE_MS = 20_000
/** After a stop the tick in hand has this long; the process is to be gone within 5 s. */
const GRACE_MS = 3_000

/**
 * Replays a file of meter readings: for each interval, in time order, the orders of its households, then its tick. Orders
 * go one after another over one connection, since the order of arrival decides between equal prices: so the same file
 * gives the same trades. All that is sent follows from the file, and the authority takes each order and each tick once;
 * so a replay that is run twice, or broken off anywhere and run again, commits nothing twice.
 *
 * @returns the exit code: 0 done, or stopped by `signal`; 1 a failure at run time, or bad rows; 2 an option that cannot be
 */
export async function runReplay(options: ReplayOptions, io: ReplayIo): Promise<number> {
  const report = createReport(io.stdout, io.stderr, options.file, options.json)
  const fail = (code: string, message: string): void => {
    report.close()
    io.stderr.write(options.json ? `${JSON.stringify({ error: { code, message } })}\n` : `solar-node: ${message}\n`)
  }
  try {
    const { baseUrl, rules, token, platformToken } = await checkOptions(options)
    const readings = await readReadings(options.file, rules, io.signal)
    report.badRows(readings.bad)
    if (readings.bad.length > 0 && !options.skipBad) {
      throw replayError('bad_rows', { file: options.file, count: readings.bad.length })
    }
    const late =
      options.corrections === undefined ? undefined : await readLate(options, options.corrections, io.signal, report)
    const grace = gracePeriod(io.signal)
    const clientWith = (bearer: string | undefined) =>
      createHttpClient({
        baseUrl,
        token: bearer,
        patienceMs: io.patienceMs ?? PATIENCE_MS,
        signal: grace.signal,
        notice: (line) => report.notice(line),
      })
    const http = clientWith(token)
    const platform = clientWith(platformToken)
    try {
      const authority = createAuthorityClient(http)
      await sendAll(authority, readings, report, options.speed, io.signal)
      if (late !== undefined) {
        const onCorrected: LateParts['onCorrected'] = (...corrected) => report.corrected(...corrected)
        const parts = { authority, platform, replayed: late.replayed, onCorrected }
        report.late(await sendLateReadings(parts, late.intervals, io.signal))
      }
    } finally {
      grace.end()
      http.close()
      platform.close()
    }
    return 0
  } catch (error) {
    if (io.signal?.aborted === true && error instanceof Error && error.name === 'AbortError') return 0
    if (!isSolarError(error)) throw error
    fail(error.code, error.message)
    return error.code === 'bad_option' ? 2 : 1
  } finally {
    report.close()
  }
}

/** The late readings, and what was replayed. Bad rows of either are as bad as those of the first reading. */
async function readLate(options: ReplayOptions, file: string, signal: AbortSignal | undefined, report: Report) {
  const replayed = await readNets(options.file, signal)
  const { intervals, bad } = await readNets(file, signal)
  report.badRows(bad)
  if (bad.length > 0 && !options.skipBad) throw replayError('bad_rows', { file, count: bad.length })
  return { intervals, replayed: new Map(replayed.intervals.map((interval) => [interval.tick_id, interval])) }
}

async function checkOptions({ to, feedIn, speed, tokenFile, corrections, platformTokenFile }: ReplayOptions) {
  const url = URL.canParse(to) ? new URL(to) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw replayError('bad_option', { name: '--to', value: to, expected: 'a URL such as http://127.0.0.1:8080' })
  }
  if (speed !== undefined && !(speed > 0 && Number.isFinite(speed))) {
    throw replayError('bad_option', { name: '--speed', value: String(speed), expected: 'ticks a second, more than 0' })
  }
  const rules = { feedInMicro: feedInMicro(feedIn), minTradeMicro: DEFAULT_MIN_TRADE_MICRO }
  const token = tokenFile === undefined ? undefined : await readToken('--token-file', 'operator', tokenFile)
  if ((corrections === undefined) !== (platformTokenFile === undefined)) {
    const expected = 'to go with --corrections: corrections are posted with a platform token'
    throw replayError('bad_option', { name: '--platform-token-file', value: platformTokenFile ?? '', expected })
  }
  const platformToken =
    platformTokenFile === undefined
      ? undefined
      : await readToken('--platform-token-file', 'platform', platformTokenFile)
  const baseUrl = new URL(url.pathname.endsWith('/') ? url.href : `${url.origin}${url.pathname}/`)
  return { baseUrl, rules, token, platformToken }
}

function feedInMicro(value: string): bigint {
  try {
    return parseQuantity(value)
  } catch (error) {
    const expected = 'a price with at most 6 decimals, such as 0.08'
    throw replayError('bad_option', { name: '--feed-in', value, expected }, error)
  }
}

async function readToken(name: string, role: string, file: string): Promise<string> {
  let token: string
  try {
    token = decodeText(await readFile(file)).trim()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw replayError('bad_option', { name, value: file, expected: `a readable file (${reason})` }, error)
  }
  // The file is never shown: it may be the wrong one and still hold a secret.
  if (/^[\x21-\x7e]+$/.test(token) && !token.startsWith('{')) return token
  const expected = `a file with one token as plain text, the value of "${role}" in tokens.json`
  throw replayError('bad_option', { name, value: file, expected })
}

/** A signal that follows `signal` after the time that the tick in hand has. */
function gracePeriod(signal: AbortSignal | undefined) {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const begin = (): void => {
    timer = setTimeout(() => controller.abort(), GRACE_MS)
  }
  if (signal?.aborted === true) begin()
  else signal?.addEventListener('abort', begin, { once: true })
  return {
    signal: controller.signal,
    end: (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', begin)
    },
  }
}

async function sendAll(
  authority: Authority,
  readings: Readings,
  report: Report,
  speed: number | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { intervals, dropped, bad } = readings
  const counts = { ticks: 0, blocks: 0, trades: 0, kwhMicro: 0n, orders: 0, blocksThere: 0, ordersThere: 0 }
  const totals: Totals = { ...counts, dropped, badRows: bad.length }
  try {
    const tipBefore = await authority.tipHeight()
    report.start(intervals.length)
    const startedAt = performance.now()
    for (const [index, interval] of intervals.entries()) {
      if (speed !== undefined) await waitUntil(startedAt + (index * 1000) / speed, signal)
      if (signal?.aborted === true) break
      await sendInterval(authority, interval, tipBefore, report, totals)
    }
  } catch (error) {
    if (!isSolarError(error, 'stopped')) throw error
  }
  report.finish(totals, totals.ticks < intervals.length)
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
  authority: Authority,
  { tick_id, timestamp, orders }: Interval,
  tipBefore: number,
  report: Report,
  totals: Totals,
): Promise<void> {
  for (const order of orders) {
    const outcome = await authority.placeOrder(order)
    if (outcome === 'too_small') totals.dropped++
    else totals.orders++
    if (outcome === 'same') totals.ordersThere++
  }
  const result = await authority.runTick(tick_id, timestamp)
  const wasThere = result.height !== null && result.height <= tipBefore
  totals.ticks++
  totals.trades += result.trades
  totals.kwhMicro += result.kwhMicro
  if (result.height !== null) totals.blocks++
  if (wasThere) totals.blocksThere++
  report.tick(tick_id, result, wasThere, totals)
}
