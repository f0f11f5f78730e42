import { getPosition } from 'suncalc'

/** Of a place with sun, as far north as Los Angeles, Fez and Osaka. Degrees. */
const LATITUDE = 34
/** Minutes of model time that one tick stands for. */
export const TICK_MINUTES = 15
const HOURS_PER_TICK = TICK_MINUTES / 60
/** The month as `Date` counts it. */
const JULY = 6
/** How far the sun goes. */
const DEGREES_PER_MINUTE = 360 / (24 * 60)

/** A household of the model. */
export interface Household {
  readonly id: string
  /** Peak power of its panels, kW; 0 for a household that only buys. */
  readonly peakKw: number
  /** Mean load, kW. */
  readonly loadKw: number
}

export const HOUSEHOLDS: readonly Household[] = [
  { id: 'casa-aurora', peakKw: 5.2, loadKw: 0.7 },
  { id: 'casa-brisa', peakKw: 3.1, loadKw: 0.9 },
  { id: 'casa-cedro', peakKw: 0, loadKw: 1.1 },
  { id: 'casa-delta', peakKw: 4.4, loadKw: 0.6 },
  { id: 'casa-encina', peakKw: 0, loadKw: 1.6 },
]

/** Buyers pay up to the retail price, sellers ask at least the feed-in tariff, each a little differently. Per kWh. */
const RETAIL_PRICE = 0.28
const FEED_IN_PRICE = 0.08

/**
 * Altitude of the sun, degrees above the horizon. The model street lies in the zone of this machine, which is that of a browser on
 * it, at the longitude where the clocks of that zone show noon when the sun is highest in summer.
 */
export function sunAltitude(timeMs: number): number {
  const time = new Date(timeMs)
  const minutesWestOfUtc = new Date(time.getFullYear(), JULY, 1).getTimezoneOffset()
  return getPosition(time, LATITUDE, -minutesWestOfUtc * DEGREES_PER_MINUTE).altitude
}

/** What a household meters and offers in one tick. */
export interface ModelOrder {
  readonly side: 'buy' | 'sell'
  /** kWh and price with at most 3 decimals. */
  readonly kwh: number
  readonly pricePerKwh: number
}

/**
 * Net energy of a household in the tick that ends at `timeMs` (Unix ms): panels under a clear sky with passing clouds
 * less a load that peaks in the morning and in the evening.
 *
 * @param random uniform in [0, 1)
 */
export function modelOrder(household: Household, timeMs: number, random: () => number): ModelOrder | null {
  const altitude = Math.max(0, sunAltitude(timeMs))
  const clouds = 0.75 + 0.25 * random()
  const panels = household.peakKw * Math.sin((altitude * Math.PI) / 180) * clouds
  const load = household.loadKw * loadShape(localHour(timeMs)) * (0.8 + 0.4 * random())
  const net = Math.round((panels - load) * HOURS_PER_TICK * 1000) / 1000
  if (Math.abs(net) < 0.01) return null
  const side = net > 0 ? 'sell' : 'buy'
  const price = side === 'sell' ? FEED_IN_PRICE + 0.06 * random() : RETAIL_PRICE - 0.06 * random()
  return { side, kwh: Math.abs(net), pricePerKwh: Math.round(price * 1000) / 1000 }
}

/** Hour of the day by this machine's zone, 0..24. */
function localHour(timeMs: number): number {
  const time = new Date(timeMs)
  return time.getHours() + time.getMinutes() / 60
}

/** Load over the day around 1: a morning and an evening peak. */
function loadShape(hour: number): number {
  const peak = (at: number, width: number) => Math.exp(-(((hour - at) / width) ** 2))
  return 0.5 + 0.8 * peak(7.5, 1.5) + 1.4 * peak(19.5, 2.5)
}
