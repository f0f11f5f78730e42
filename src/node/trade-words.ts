import { formatDelta, parseDelta, parseQuantity } from '../protocol/decimal.ts'
import type { Correction, Trade } from '../protocol/transaction.ts'

/** Trades in the words of a household: when, how much, at what price, with whom. */

/** What corrections take from a trade or add to it, in micro-units. */
export interface CorrectionSum {
  readonly kwh: bigint
  readonly amount: bigint
  readonly count: number
}

/** The sum with one correction more. */
export function addCorrection(sum: CorrectionSum | undefined, { kwh_delta, amount_delta }: Correction): CorrectionSum {
  return {
    kwh: (sum?.kwh ?? 0n) + parseDelta(kwh_delta),
    amount: (sum?.amount ?? 0n) + parseDelta(amount_delta),
    count: (sum?.count ?? 0) + 1,
  }
}

/** What is left of a trade, as decimal text. */
export interface TradeNet {
  readonly kwh: string
  readonly total_amount: string
}

export function netOf(trade: Trade, corrections: CorrectionSum | undefined): TradeNet {
  return {
    kwh: formatDelta(parseQuantity(trade.kwh) + (corrections?.kwh ?? 0n)),
    total_amount: formatDelta(parseQuantity(trade.total_amount) + (corrections?.amount ?? 0n)),
  }
}

/** On which side of a trade a household is. */
export type Side = 'sold' | 'bought'

/** The side of a user; `undefined` if it is not known who that is: the id of a device says nothing. */
export function sideOf(trade: Trade, userId: string | null): Side | undefined {
  if (trade.from_user_id === userId) return 'sold'
  return trade.to_user_id === userId ? 'bought' : undefined
}

/** `sold 1.5 kWh to ben at 0.18 EUR/kWh for 0.27 EUR`; without a side both parties are named. */
export function tradeWords(trade: Trade, side: Side | undefined, currency: string): string {
  const { from_user_id: seller, to_user_id: buyer, kwh, price_per_kwh, total_amount } = trade
  const price = `at ${price_per_kwh} ${currency}/kWh for ${total_amount} ${currency}`
  if (side === 'sold') return `sold ${kwh} kWh to ${buyer} ${price}`
  if (side === 'bought') return `bought ${kwh} kWh from ${seller} ${price}`
  return `${seller} sold ${kwh} kWh to ${buyer} ${price}`
}

/** `-0.25 kWh, -0.05 EUR (the meter was read late)`. */
export function correctionWords({ kwh_delta, amount_delta, reason }: Correction, currency: string): string {
  return `${signed(kwh_delta)} kWh, ${signed(amount_delta)} ${currency} (${reason})`
}

const signed = (delta: string): string => (delta.startsWith('-') || delta === '0' ? delta : `+${delta}`)

/** `1.25 kWh, 0.225 EUR`. */
export const netWords = ({ kwh, total_amount }: TradeNet, currency: string): string =>
  `${kwh} kWh, ${total_amount} ${currency}`

/**
 * `2026-06-01 14:00 +02:00`: date and time on the wall, with the offset from UTC that makes it one moment.
 *
 * @param zone of the IANA database; that of this machine without it
 */
export function localTime(timestamp: number, zone?: string): string {
  const parts = Object.fromEntries(
    wallFormat(zone)
      .formatToParts(timestamp)
      .map(({ type, value }) => [type, value]),
  )
  const { year, month, day, hour, minute, second, timeZoneName = '' } = parts
  const seconds = second === '00' ? '' : `:${second}`
  const offset = timeZoneName.replace('GMT', '')
  const isUtc = offset === '' || offset === '+00:00'
  return `${year?.padStart(4, '0')}-${month}-${day} ${hour}:${minute}${seconds} ${isUtc ? 'UTC' : offset}`
}

/** One for each zone: making it takes far longer than using it. */
const formats = new Map<string | undefined, Intl.DateTimeFormat>()

function wallFormat(zone: string | undefined): Intl.DateTimeFormat {
  const made = formats.get(zone)
  if (made !== undefined) return made
  const format = new Intl.DateTimeFormat('en-US-u-ca-iso8601', {
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' },
    ...{ hourCycle: 'h23', timeZoneName: 'longOffset', ...(zone !== undefined && { timeZone: zone }) },
  })
  formats.set(zone, format)
  return format
}
