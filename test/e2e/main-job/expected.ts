/**
 * What a replay must trade, worked out apart from the code under test: its own reading of the file, its own decimals, and
 * the definition of a call auction instead of an algorithm.
 */
export interface ExpectedOrder {
  readonly side: 'buy' | 'sell'
  readonly kwhMicro: bigint
  readonly limitMicro: bigint
}

export interface ExpectedTick {
  readonly tickId: string
  /** By household. */
  readonly orders: ReadonlyMap<string, ExpectedOrder>
  /** Micro-kWh; 0 if no two limits cross. */
  readonly tradedMicro: bigint
}

const SCALE = 60
const FEED_IN_MICRO = 80_000n
const MINIMUM_MICRO = 10_000n

/** The ticks of a CSV text in the order of its rows, which are by time. */
export function expectedTicks(csv: string): ExpectedTick[] {
  const [head = '', ...lines] = csv.trim().split(/\r?\n/)
  const names = head.split(',')
  const ticks = new Map<string, Map<string, ExpectedOrder>>()
  for (const line of lines) {
    const values = line.split(',')
    const value = (name: RegExp): string => values[names.findIndex((column) => name.test(column))] ?? ''
    // An interval has one name, with seconds, also where the file leaves them out.
    const tickId = value(/^(interval_start_local|timestamp)$/).padEnd('2016-08-08T00:00:00'.length, ':00')
    const orders = ticks.get(tickId) ?? new Map<string, ExpectedOrder>()
    ticks.set(tickId, orders)
    const net = toMicro(exact(value(/^pv_kwh$/)) - exact(value(/^load_kwh$/)))
    const kwhMicro = net < 0n ? -net : net
    if (kwhMicro < MINIMUM_MICRO) continue
    const limitMicro = net > 0n ? FEED_IN_MICRO : toMicro(exact(value(/^price_(usd_)?per_kwh$/)))
    orders.set(value(/^household$/), { side: net > 0n ? 'sell' : 'buy', kwhMicro, limitMicro })
  }
  return [...ticks].map(([tickId, orders]) => ({ tickId, orders, tradedMicro: tradable([...orders.values()]) }))
}

/** The most that can change hands at one price: at each limit, the smaller of what is offered and what is wanted there. */
function tradable(orders: readonly ExpectedOrder[]): bigint {
  const sum = (side: ExpectedOrder['side'], accepts: (limit: bigint) => boolean): bigint =>
    orders.reduce((total, order) => {
      return order.side === side && accepts(order.limitMicro) ? total + order.kwhMicro : total
    }, 0n)
  return orders
    .map(({ limitMicro: price }) => {
      const offered = sum('sell', (limit) => limit <= price)
      const wanted = sum('buy', (limit) => limit >= price)
      return offered < wanted ? offered : wanted
    })
    .reduce((most, quantity) => (quantity > most ? quantity : most), 0n)
}

/** A decimal number, also with an exponent, times 10^SCALE. */
function exact(text: string): bigint {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  return BigInt(whole + fraction) * 10n ** BigInt(SCALE + Number(exponent) - fraction.length)
}

/** To 6 decimals; a half goes to the even neighbour. */
function toMicro(scaled: bigint): bigint {
  const unit = 10n ** BigInt(SCALE - 6)
  const size = scaled < 0n ? -scaled : scaled
  const twice = (size % unit) * 2n
  const down = size / unit
  const rounded = twice > unit || (twice === unit && down % 2n === 1n) ? down + 1n : down
  return scaled < 0n ? -rounded : rounded
}

/** "1.25" -> 1250000n. */
export const micro = (text: unknown): bigint => toMicro(exact(String(text)))
