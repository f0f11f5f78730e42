import { MAX_QUANTITY_MICRO, parseDelta, parseQuantity } from './decimal.ts'
import { MAX_CORRECTIONS_PER_TRADE } from './limits.ts'

/** What is left of a trade after its corrections so far, in micro-units. */
export interface CorrectedSum {
  readonly kwh: bigint
  readonly amount: bigint
  /** How many corrections there are. */
  readonly corrections: number
}

/** What a trade says, before any correction. */
export const sumOfTrade = (trade: { readonly kwh: string; readonly total_amount: string }): CorrectedSum => ({
  kwh: parseQuantity(trade.kwh),
  amount: parseQuantity(trade.total_amount),
  corrections: 0,
})

/** The sum after one more correction, whether or not it may be. */
export const afterCorrection = (
  { kwh, amount, corrections }: CorrectedSum,
  correction: { readonly kwh_delta: string; readonly amount_delta: string },
): CorrectedSum => ({
  kwh: kwh + parseDelta(correction.kwh_delta),
  amount: amount + parseDelta(correction.amount_delta),
  corrections: corrections + 1,
})

/**
 * Why corrections may not leave this (docs/protocol.md 3), else `undefined`: a receipt shows every correction of a trade, and
 * what is left of it as quantities.
 */
export function refusalOfSum({ kwh, amount, corrections }: CorrectedSum, tradeId: string): string | undefined {
  if (kwh < 0n) return `the energy of ${tradeId} would fall below 0 kWh`
  if (amount < 0n) return `the amount of ${tradeId} would fall below 0`
  if (kwh > MAX_QUANTITY_MICRO) return `the energy of ${tradeId} would have more than 12 digits before the point`
  if (amount > MAX_QUANTITY_MICRO) return `the amount of ${tradeId} would have more than 12 digits before the point`
  if (corrections <= MAX_CORRECTIONS_PER_TRADE) return undefined
  return `${tradeId} has ${MAX_CORRECTIONS_PER_TRADE} corrections, the most that a receipt shows`
}
