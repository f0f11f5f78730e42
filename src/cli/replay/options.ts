import type { WallClock } from '../../market/interval-time.ts'
import { parseQuantity } from '../../protocol/decimal.ts'
import { DEFAULT_MIN_TRADE_MICRO } from '../../protocol/limits.ts'
import { readTokenFile } from '../token-file.ts'
import { replayError } from './errors.ts'

/** The command line of `solar-node replay`, as it was typed. */
export interface ReplayOptions {
  /** Readings of one community: the rows of an interval trade with each other, whichever file they are in. */
  readonly files: readonly string[]
  /** http or https URL of the authority. */
  readonly to: string
  /** How local times without an offset are read; absent: as UTC. */
  readonly clock?: WallClock
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

/** What the options come to, the tokens read. Throws `bad_option`, UsageError. */
export async function checkOptions({ to, feedIn, speed, tokenFile, corrections, platformTokenFile }: ReplayOptions) {
  const url = URL.canParse(to) ? new URL(to) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw replayError('bad_option', { name: '--to', value: to, expected: 'a URL such as http://127.0.0.1:8080' })
  }
  if (speed !== undefined && !(speed > 0 && Number.isFinite(speed))) {
    throw replayError('bad_option', { name: '--speed', value: String(speed), expected: 'ticks a second, more than 0' })
  }
  const rules = { feedInMicro: feedInMicro(feedIn), minTradeMicro: DEFAULT_MIN_TRADE_MICRO }
  const token = tokenFile === undefined ? undefined : await readTokenFile(tokenFile, '--token-file', 'operator')
  if ((corrections === undefined) !== (platformTokenFile === undefined)) {
    const expected = 'to go with --corrections: corrections are posted with a platform token'
    throw replayError('bad_option', { name: '--platform-token-file', value: platformTokenFile ?? '', expected })
  }
  const platformToken =
    platformTokenFile === undefined
      ? undefined
      : await readTokenFile(platformTokenFile, '--platform-token-file', 'platform')
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
