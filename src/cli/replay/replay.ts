import { isSolarError } from '../../protocol/errors.ts'
import { EXIT, exitCodeOf, UsageError } from '../output.ts'
import { createAuthorityClient } from './authority.ts'
import { checkPlatform, sendLateReadings, type LateParts } from './corrections.ts'
import { replayError } from './errors.ts'
import { createHttpClient } from './http-client.ts'
import { loadReadings, type LoadedReadings } from './load-readings.ts'
import { checkOptions, type ReplayOptions } from './options.ts'
import { createReport, type Report } from './report.ts'
import { sendAll } from './send.ts'
import type { Output } from '../terminal.ts'

export interface ReplayIo {
  readonly stdout: Output
  readonly stderr: Output
  /** Stops after the tick in hand; its reason is the error that the command then ends with. */
  readonly signal?: AbortSignal
  /** How long an authority that does not answer is waited for; 20 s. */
  readonly patienceMs?: number
}

/** With the exit itself this keeps "server gone: exit 1 within 30 s" (docs: cli). */
const PATIENCE_MS = 20_000
/** After a stop the tick in hand has this long; the process is to be gone within 5 s. */
const GRACE_MS = 3_000

/**
 * Replays meter readings: for each interval, in time order, the orders of its households, then its tick. Orders go one after
 * another over one connection, since the order of arrival decides between equal prices: so the same files give the same
 * trades. All that is sent follows from the readings, and the authority takes each order and each tick once; so a replay
 * that is run twice, or broken off anywhere and run again, commits nothing twice.
 *
 * @returns the exit code: 0 done; 1 a failure at run time, bad rows, or readings that came after the tick of their interval; 2 an
 * option that cannot be; 128 + signal where one has stopped it before the end
 */
export async function runReplay(options: ReplayOptions, io: ReplayIo): Promise<number> {
  const report = createReport(io.stdout, io.stderr, options.json)
  const fail = (code: string, message: string, exitCode: number): number => {
    report.close()
    io.stderr.write(options.json ? `${JSON.stringify({ error: { code, message } })}\n` : `solar-node: ${message}\n`)
    return exitCode
  }
  const opened: LoadedReadings[] = []
  const load = async (files: readonly string[]): Promise<LoadedReadings> => {
    const loaded = await loadReadings(files, {
      notice: (line) => report.notice(line),
      onProgress: (rows) => report.reading(rows),
      ...(options.clock !== undefined && { clock: options.clock }),
      ...(io.signal !== undefined && { signal: io.signal }),
    })
    opened.push(loaded)
    refuseBadRows(loaded, options.skipBad, report)
    return loaded
  }
  try {
    const checked = await checkOptions(options)
    const readings = await load(options.files)
    refuseNone(readings, options.files)
    const late = options.corrections === undefined ? undefined : await load([options.corrections])
    await sendReadings(readings, late, checked, options.speed, report, io)
    return 0
  } catch (error) {
    if (io.signal?.aborted === true && wasStopped(error)) {
      const reason: unknown = io.signal.reason
      return fail('stopped', reason instanceof Error ? reason.message : String(reason), exitCodeOf(reason))
    }
    if (error instanceof UsageError) return fail('usage', error.message, EXIT.usage)
    if (!isSolarError(error)) throw error
    return fail(error.code, error.message, error.code === 'bad_option' ? EXIT.usage : EXIT.failed)
  } finally {
    report.close()
    for (const { table } of opened) table.close()
  }
}

/** What ends in the middle because of the caller's signal: a reading of a file, a request, the rest of the ticks. */
const wasStopped = (error: unknown): boolean =>
  isSolarError(error, 'stopped') || (error instanceof Error && error.name === 'AbortError')

/** Tells the bad rows, and throws `bad_rows` if there are some that nobody asked to leave out. */
function refuseBadRows({ bad }: LoadedReadings, skipBad: boolean, report: Report): void {
  report.badRows(bad)
  const [first] = bad.rows
  if (skipBad || first === undefined) return
  const others = new Set(bad.rows.map(({ file }) => file)).size - 1
  const files = others === 0 ? first.file : `${first.file} (with ${others} other files)`
  throw replayError('bad_rows', { files, count: bad.count, first: `line ${first.line}: ${first.reason}` })
}

/** Whoever gives files with a header alone has taken the wrong ones, or an export that failed. Throws `no_readings`. */
function refuseNone({ table, bad }: LoadedReadings, files: readonly string[]): void {
  if (table.countIntervals().count > 0) return
  throw replayError('no_readings', { files: files.join(', '), badRows: bad.count })
}

/** Throws `closed` at the end if readings came too late, and what the authority's refusals are. */
async function sendReadings(
  readings: LoadedReadings,
  late: LoadedReadings | undefined,
  { baseUrl, rules, token, platformToken }: Awaited<ReturnType<typeof checkOptions>>,
  speed: number | undefined,
  report: Report,
  io: ReplayIo,
): Promise<void> {
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
    if (late !== undefined) await checkPlatform(platform)
    const totals = await sendAll(readings, { authority, rules, report, speed, signal: io.signal })
    if (late !== undefined) {
      const onCorrected: LateParts['onCorrected'] = (...corrected) => report.corrected(...corrected)
      const parts = { authority, platform, replayed: readings.table, onCorrected }
      report.late(await sendLateReadings(parts, late.table, io.signal))
    }
    const { firstClosed, closed, closedIntervals } = totals
    if (firstClosed === undefined) return
    const { interval: first, household } = firstClosed
    throw replayError('closed', { readings: closed, intervals: closedIntervals, first, household })
  } finally {
    grace.end()
    http.close()
    platform.close()
  }
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
