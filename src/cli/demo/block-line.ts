import { divideHalfEven, formatQuantity } from '../../protocol/decimal.ts'
import { count } from '../../protocol/count-words.ts'
import type { BlockSummary } from './block-tally.ts'
import { sunAltitude } from './model.ts'

/**
 * One line for people about a block. What a narrow terminal has no room for is left out: who co-signed, the sun, how many trades
 * there are, the co-signing.
 */
export function blockLine(summary: BlockSummary, currency: string, columns: number): string {
  const { height, timestamp, trades, kwhMicro, amountMicro, provers, proved, acks, rejects } = summary
  const words = [
    `${count(provers, 'household')} proved ${count(proved, 'trade')}`,
    count(acks, 'ack'),
    ...(rejects === 0 ? [] : [count(rejects, 'reject')]),
  ].join(', ')
  const line = ({ by, sun, traded, coSigned }: Shown): string =>
    [
      clockTime(timestamp),
      ...(sun ? [sunText(timestamp)] : []),
      `block ${height}`,
      ...(traded ? [count(trades, 'trade')] : []),
      `${decimals(kwhMicro, 3)} kWh`,
      `${decimals(amountMicro, 2)} ${currency}`,
      coSigned ? `${words}, ${validatorWord(summary.validator)}${by ? ' by validator' : ''}` : words,
    ].join('  ')
  return LAYOUTS.map(line).find((text) => text.length < columns) ?? line(NARROWEST)
}

interface Shown {
  readonly by: boolean
  readonly sun: boolean
  readonly traded: boolean
  readonly coSigned: boolean
}

const NARROWEST: Shown = { by: false, sun: false, traded: false, coSigned: false }
/** The widest first. */
const LAYOUTS: readonly Shown[] = [
  { by: true, sun: true, traded: true, coSigned: true },
  { by: false, sun: true, traded: true, coSigned: true },
  { by: false, sun: false, traded: true, coSigned: true },
  { by: false, sun: false, traded: false, coSigned: true },
]

function validatorWord(decision: BlockSummary['validator']): string {
  if (decision === undefined) return 'not yet co-signed'
  return decision === 'ack' ? 'co-signed' : 'rejected'
}

/** Altitude of the sun in whole degrees, "sun  7°". */
export const sunText = (timestamp: number): string => `sun ${sunAltitude(timestamp).toFixed(0).padStart(2)}°`

/** hh:mm by this machine's zone, as a browser on it shows the time of a block. Unix ms. */
export function clockTime(timestamp: number): string {
  const time = new Date(timestamp)
  return [time.getHours(), time.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':')
}

/** Day and date by this machine's zone, "Sunday 3 May 2026". Unix ms. */
export const dayText = (timestamp: number): string => {
  const date = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })
  return date.format(timestamp)
}

/** The zone of this machine with its offset at that time, "Europe/Berlin (GMT+2)". Unix ms. */
export function zoneText(timestamp: number): string {
  const format = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'shortOffset' })
  const offset = format.formatToParts(timestamp).find(({ type }) => type === 'timeZoneName')?.value ?? ''
  // Where TZ is no name that is known, such as UTC+3, there is only the offset.
  const name = format.resolvedOptions().timeZone as string | undefined
  return name === undefined || name === 'Etc/Unknown' ? offset : `${name} (${offset})`
}

/** Micro-units with so many decimals (0..6), rounded half to even. */
function decimals(micro: bigint, digits: number): string {
  const unit = 10n ** BigInt(6 - digits)
  const [whole = '0', fraction = ''] = formatQuantity(divideHalfEven(micro, unit) * unit).split('.')
  return `${whole}.${fraction.padEnd(digits, '0')}`
}
