import { once } from 'node:events'
import type { Command } from 'commander'
import { fromShape } from '../../config/values.ts'
import type { OwnTradesSource } from '../../node/own-trades-source.ts'
import { identifier } from '../../protocol/shape.ts'
import { authorityUrl } from '../keys/submit.ts'
import { UsageError } from '../output.ts'
import type { GlobalOptions } from '../program.ts'
import { createHttpClient } from '../replay/http-client.ts'
import { storesConfig } from '../stores-config.ts'
import { readTokenFile } from '../token-file.ts'
import { csvFormat, jsonFormat, textFormat, type ListingFormat } from '../trades/format.ts'
import { httpTrades } from '../trades/http-source.ts'
import { commonParty, listTrades } from '../trades/listing.ts'
import { timeOption, zoneOption } from '../trades/time-option.ts'

const EXAMPLES = `
Examples:
  solar-node trades --data ./solar-data                     a household: what its own light node, now stopped, has proved
  solar-node trades home-3 --from 2026-06-01 --to 2026-07-01 --zone Europe/Vienna \\
      --to-url http://127.0.0.1:8080 --token-file platform.token --csv

--to is an end of time, and where it is a URL the node, as --to-url is. Trades from --from on and before --to are listed, each
with all its corrections so far. --json has {user, from, to, currency, trades, redacted, sums, note}.`

interface TradesOptions extends GlobalOptions {
  readonly from?: string
  readonly to?: readonly string[]
  readonly toUrl?: string
  readonly zone?: string
  readonly data?: string
  readonly database?: string
  readonly tokenFile?: string
  readonly csv?: true
}

/** An authority that restarts is waited for this long. */
const PATIENCE_MS = 5_000
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

/** `solar-node trades`: one's own trades with sums. */
export function registerTrades(program: Command): void {
  program
    .command('trades')
    .description('list the trades of one user with sums, after corrections')
    .argument('[user]', 'whose; a light node knows its own household')
    .option('--from <time>', 'from this date or time on (default: the first)')
    .option('--to <time|url>', 'before this date or time (default: up to now); a URL is taken as --to-url', collect)
    .option('--zone <name>', 'time zone of dates, and of the times that are shown (default: UTC, and this machine)')
    .option('--data <dir>', 'the data directory of a light node or an authority that is stopped')
    .option('--database <url>', 'with --data of an authority: where its SQL is, if it is not there')
    .option('--to-url <url>', 'instead: a running authority, such as http://127.0.0.1:8080')
    .option('--token-file <file>', 'with --to-url: file with its platform or auditor token')
    .option('--csv', 'RFC 4180, a line for each trade')
    .addHelpText('after', EXAMPLES)
    .action(async (user: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<TradesOptions>()
      if (user !== undefined && fromShape(identifier)(user) === undefined) {
        throw new UsageError(`user: expected an id [A-Za-z0-9._:@+-]{1,64}, got ${JSON.stringify(user.slice(0, 80))}`)
      }
      if (options.csv === true && options.json === true) throw new UsageError('--csv and --json: expected one of them')
      await withSource(user, options, (source) => print(source, user, options))
    })
}

const isUrl = (text: string): boolean => /^https?:\/\//i.test(text)

/** The one source that was asked for. Throws UsageError. */
async function withSource(
  user: string | undefined,
  options: TradesOptions,
  work: (source: OwnTradesSource) => Promise<void>,
): Promise<void> {
  const { data, database, tokenFile, toUrl, to = [] } = options
  const urls = [...(toUrl === undefined ? [] : [toUrl]), ...to.filter(isUrl)]
  const [url] = urls
  if (urls.length > 1) throw new UsageError(`--to-url: expected one node, got ${urls.join(', ')}`)
  if (url !== undefined && data !== undefined) throw new UsageError('--data and --to-url: expected one of them')
  if (url === undefined) {
    if (tokenFile !== undefined) throw new UsageError('--token-file goes with --to-url')
    const config = storesConfig(data, database)
    const { withStoredTrades } = await import('../../node/own-trades-source.ts')
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

async function print(source: OwnTradesSource, asked: string | undefined, options: TradesOptions): Promise<void> {
  const zone = zoneOption(options.zone)
  const ends = (options.to ?? []).filter((text) => !isUrl(text))
  const [end] = ends
  if (ends.length > 1) throw new UsageError(`--to: expected one end of time, got ${ends.join(', ')}`)
  const range = {
    from: options.from === undefined ? 0 : timeOption('--from', options.from, zone),
    to: end === undefined ? Number.MAX_SAFE_INTEGER : timeOption('--to', end, zone),
  }
  if (range.from >= range.to) throw new UsageError(`--from ${options.from ?? ''} is not before --to ${end ?? ''}`)
  const user = asked ?? (await commonParty(source))
  if (user === undefined) {
    throw new UsageError('user: the trades here do not tell whose they are (there may be none): name the user')
  }
  const { from = null } = options
  const { currency, caveat } = source
  const head = { user, from, to: end ?? null, currency, zone: options.zone, caveat }
  const format = formatOf(options)
  await write(format.begin(head))
  const listing = listTrades(source, range, user)
  let step = await listing.next()
  for (; step.done !== true; step = await listing.next()) await write(format.item(step.value, head))
  await write(format.end(step.value, head))
  if (options.csv === true && caveat !== null) process.stderr.write(`solar-node: ${caveat}\n`)
}

function formatOf({ json, csv }: TradesOptions): ListingFormat {
  if (json === true) return jsonFormat()
  return csv === true ? csvFormat : textFormat
}

/** Waits for whoever reads, so that a long listing is not held in memory. */
async function write(text: string): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain')
}
