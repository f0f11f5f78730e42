import { once } from 'node:events'
import type { OwnTradesSource, TimeRange } from '../../node/own-trades-source.ts'
import { withStoredTrades } from '../../node/own-trades-source.ts'
import { authorityUrl } from '../keys/submit.ts'
import { UsageError } from '../output.ts'
import { createHttpClient } from '../replay/http-client.ts'
import { storesConfig } from '../stores-config.ts'
import { checkZone } from '../time-zone.ts'
import { readTokenFile } from '../token-file.ts'
import { csvFormat, jsonFormat, textFormat, type ListingFormat } from './format.ts'
import { httpTrades } from './http-source.ts'
import { listTrades, surveyOf, userOf } from './listing.ts'
import { timeOption } from './time-option.ts'

/** As they stand on the command line. */
export interface TradesOptions {
  readonly from?: string
  /** Ends of time and URLs of nodes. */
  readonly to?: readonly string[]
  readonly toUrl?: string
  readonly zone?: string
  readonly data?: string
  readonly database?: string
  readonly tokenFile?: string
  readonly csv?: true
  readonly json?: true
}

/** An authority that restarts is waited for this long. */
const PATIENCE_MS = 5_000

/**
 * Lists trades on standard output. What was typed is looked at before anything is opened or asked. Throws UsageError, and
 * what the source throws.
 */
export async function runTrades(user: string | undefined, options: TradesOptions): Promise<void> {
  if (options.csv === true && options.json === true) throw new UsageError('--csv and --json: expected one of them')
  const zone = options.zone === undefined ? 'UTC' : checkZone(options.zone)
  const range = rangeOf(options, zone)
  await withSource(user, options, (source) => print(source, { ...options, range, zone }))
}

const isUrl = (text: string): boolean => /^https?:\/\//i.test(text)
const endsOf = ({ to = [] }: TradesOptions): readonly string[] => to.filter((text) => !isUrl(text))

function rangeOf(options: TradesOptions, zone: string): TimeRange {
  const ends = endsOf(options)
  const [end] = ends
  if (ends.length > 1) throw new UsageError(`--to: expected one end of time, got ${ends.join(', ')}`)
  const { from } = options
  const range = {
    from: from === undefined ? 0 : timeOption('--from', from, zone),
    to: end === undefined ? Number.MAX_SAFE_INTEGER : timeOption('--to', end, zone),
  }
  if (range.from < range.to) return range
  throw new UsageError(`--from and --to: expected --from before --to, got ${from ?? '1970-01-01'} and ${end ?? 'now'}`)
}

/** The one source that was asked for. */
async function withSource(
  user: string | undefined,
  options: TradesOptions,
  work: (source: OwnTradesSource) => Promise<void>,
): Promise<void> {
  const { data, database, tokenFile, toUrl, to = [] } = options
  const urls = [...(toUrl === undefined ? [] : [toUrl]), ...to.filter(isUrl)]
  const [url] = urls
  if (urls.length > 1) throw new UsageError(`--to-url: expected one node, got ${urls.join(', ')}`)
  if (url !== undefined && (data ?? database) !== undefined) {
    throw new UsageError(`--to-url goes without ${data === undefined ? '--database' : '--data'}: expected one place`)
  }
  if (url === undefined) {
    if (tokenFile !== undefined) throw new UsageError('--token-file goes with --to-url')
    const config = storesConfig(data, database)
    await withStoredTrades(config.dataDirectory, config.database, user, work)
    return
  }
  if (user === undefined) throw new UsageError('user: expected whose trades to list, such as home-3')
  if (tokenFile === undefined) throw new UsageError('--token-file: expected a file with a platform or auditor token')
  const http = createHttpClient({
    baseUrl: authorityUrl(url),
    token: await readTokenFile(tokenFile),
    patienceMs: PATIENCE_MS,
    signal: new AbortController().signal,
    notice: (line) => process.stderr.write(`solar-node: ${line}\n`),
  })
  try {
    await work(await httpTrades(http, user))
  } finally {
    http.close()
  }
}

async function print(
  source: OwnTradesSource,
  options: TradesOptions & { readonly range: TimeRange; readonly zone: string },
): Promise<void> {
  const survey = await surveyOf(source, source.user)
  const user = userOf(survey, source.user)
  const { range, zone, from = null } = options
  const { currency, caveat } = source
  const note = caveat ?? (survey.trades === 0 && user !== null ? noneWords(user) : null)
  const head = { user, from, to: endsOf(options)[0] ?? null, currency, zone, note }
  const format = formatOf(options)
  await write(format.begin(head))
  const listing = listTrades(source, range, user ?? '', survey.corrections)
  let step = await listing.next()
  for (; step.done !== true; step = await listing.next()) await write(format.item(step.value, head))
  await write(format.end(step.value, head))
  // CSV has no place for it.
  if (options.csv === true && note !== null) process.stderr.write(`solar-node: ${note}\n`)
}

const noneWords = (user: string): string =>
  `${user} is a party of no trade of this chain: check its spelling; trades are those of a user (home-3), not of a device (home-3.phone)`

function formatOf({ json, csv }: TradesOptions): ListingFormat {
  if (json === true) return jsonFormat()
  return csv === true ? csvFormat : textFormat
}

/** Waits for whoever reads, so that a long listing is not held in memory. */
async function write(text: string): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain')
}
