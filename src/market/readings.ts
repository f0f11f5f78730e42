import { formatQuantity } from '../protocol/decimal.ts'
import { edgeIdentifier } from '../protocol/edge.ts'
import { isSolarError } from '../protocol/errors.ts'
import { sha256Hex } from '../protocol/hash.ts'
import type { Order } from '../protocol/order.ts'
import { refuse } from '../protocol/shape.ts'
import { parseExactDecimal, subtractExact, toMicroHalfEven } from './exact-decimal.ts'
import { parseIntervalStart } from './interval-time.ts'

/**
 * Meter readings to orders (docs: cli, replay CSV). A row is one household in one interval; the rows of an interval are one
 * tick, whose id is the text of its start.
 */
export interface ReadingColumns {
  readonly start: Column
  readonly household: Column
  readonly load: Column
  readonly pv: Column
  readonly price: Column
}

/** Where a column is, and how this file calls it. */
export interface Column {
  readonly index: number
  readonly name: string
}

export interface ReadingRules {
  /** What sellers ask, micro-units a kWh. */
  readonly feedInMicro: bigint
  /** A smaller surplus or need is dropped, micro-kWh. */
  readonly minTradeMicro: bigint
}

/** One tick's worth of readings. */
export interface Interval {
  /** The text of the interval's start, verbatim. */
  readonly tick_id: string
  /** Start of the interval, Unix milliseconds. */
  readonly timestamp: number
  /** In the order of the rows. */
  readonly orders: readonly Order[]
}

export interface BadRow {
  /** Line in the file; the header line is 1. */
  readonly line: number
  readonly reason: string
}

export interface Readings {
  /** By time. */
  readonly intervals: readonly Interval[]
  readonly bad: readonly BadRow[]
  /** Rows whose surplus or need is below the minimum. */
  readonly dropped: number
}

/** Spellings of a column, the first one wins if a file has several. */
const COLUMN_NAMES = {
  start: ['interval_start_local', 'timestamp'],
  household: ['household'],
  load: ['load_kwh'],
  pv: ['pv_kwh'],
  price: ['price_usd_per_kwh', 'price_per_kwh'],
} as const satisfies Record<keyof ReadingColumns, readonly string[]>

/** Finds the columns in a header line; other columns do not matter. Throws `malformed`. */
export function findColumns(header: readonly string[]): ReadingColumns {
  const find = (names: readonly string[]): Column => {
    const name = names.find((candidate) => header.includes(candidate))
    if (name === undefined) refuse('header', `a column ${names.join(' or ')}`, header.join(','))
    const index = header.indexOf(name)
    if (header.includes(name, index + 1)) refuse('header', `one column ${name}`, header.join(','))
    return { index, name }
  }
  return {
    start: find(COLUMN_NAMES.start),
    household: find(COLUMN_NAMES.household),
    load: find(COLUMN_NAMES.load),
    pv: find(COLUMN_NAMES.pv),
    price: find(COLUMN_NAMES.price),
  }
}

interface Reading {
  readonly tick_id: string
  readonly timestamp: number
  readonly household: string
  /** pv - load, micro-kWh, rounded half to even. */
  readonly netMicro: bigint
  /** Rounded half to even: a price column may have more than 6 decimals. */
  readonly priceMicro: bigint
}

function parseReading(columns: ReadingColumns, fields: readonly string[]): Reading {
  const text = ({ index }: Column): string => fields[index] ?? ''
  const decimal = (column: Column) => parseExactDecimal(text(column), column.name)
  const tick_id = text(columns.start)
  const priceMicro = toMicroHalfEven(decimal(columns.price))
  formatQuantity(priceMicro, columns.price.name)
  return {
    tick_id,
    timestamp: parseIntervalStart(tick_id, columns.start.name),
    household: edgeIdentifier(text(columns.household), columns.household.name),
    netMicro: toMicroHalfEven(subtractExact(decimal(columns.pv), decimal(columns.load))),
    priceMicro,
  }
}

const MAX_IDENTIFIER_LENGTH = 64

/** `<tick_id>@<household>`, or the SHA-256 of that where it would be too long for an identifier. */
function orderId(tickId: string, household: string): string {
  const plain = `${tickId}@${household}`
  return plain.length <= MAX_IDENTIFIER_LENGTH ? plain : sha256Hex(plain)
}

/**
 * The order of a reading; `undefined` below the minimum. A replay that is run again must send the very same order, so all of
 * it follows from this row and the rules. That is why it is valid at the interval's start only, the time at which its
 * tick is run, and not until the next interval's start: that would depend on which other rows the file has.
 */
function orderOf(reading: Reading, rules: ReadingRules): Order | undefined {
  const sells = reading.netMicro > 0n
  const size = sells ? reading.netMicro : -reading.netMicro
  if (size === 0n || size < rules.minTradeMicro) return undefined
  return {
    order_id: orderId(reading.tick_id, reading.household),
    user_id: reading.household,
    side: sells ? 'sell' : 'buy',
    kwh: formatQuantity(size, 'pv_kwh - load_kwh'),
    price_per_kwh: formatQuantity(sells ? rules.feedInMicro : reading.priceMicro),
    timestamp: reading.timestamp,
    valid_until: reading.timestamp + 1,
  }
}

/** Takes the rows of a file one after another. */
export interface Collector<Result> {
  /** A row with its line number; a row that cannot be used is noted, not thrown. */
  add(fields: readonly string[], line: number): void
  finish(): Result
}
export type ReadingCollector = Collector<Readings>

/** The readings of an interval themselves: what late ones are compared with. */
export interface MeteredInterval {
  readonly tick_id: string
  /** Unix milliseconds. */
  readonly timestamp: number
  /** pv - load by household, micro-kWh, in the order of the rows. */
  readonly nets: ReadonlyMap<string, bigint>
}

/** Collects what the meters said, by time; the last of several readings of a household in an interval is a bad row. */
export function collectNets(
  columns: ReadingColumns,
): Collector<{ intervals: readonly MeteredInterval[]; bad: readonly BadRow[] }> {
  const intervals = new Map<string, { tick_id: string; timestamp: number; nets: Map<string, bigint> }>()
  const bad: BadRow[] = []
  return {
    add: (fields, line) => {
      try {
        const { tick_id, timestamp, household, netMicro } = parseReading(columns, fields)
        const { nets } = intervals.get(tick_id) ?? { nets: new Map<string, bigint>() }
        if (nets.has(household)) refuse('household', 'one reading an interval', household)
        nets.set(household, netMicro)
        intervals.set(tick_id, { tick_id, timestamp, nets })
      } catch (error) {
        if (!isSolarError(error)) throw error
        bad.push({ line, reason: error.message })
      }
    },
    finish: () => ({ intervals: [...intervals.values()].sort((a, b) => a.timestamp - b.timestamp), bad }),
  }
}

interface OpenInterval {
  readonly tick_id: string
  readonly timestamp: number
  readonly orders: Order[]
  /** Household to the line of its reading. */
  readonly lines: Map<string, number>
}

export function collectReadings(columns: ReadingColumns, rules: ReadingRules): ReadingCollector {
  const intervals = new Map<number, OpenInterval>()
  const bad: BadRow[] = []
  let dropped = 0

  const place = (reading: Reading): OpenInterval => {
    const { tick_id, timestamp, household } = reading
    const interval = intervals.get(timestamp) ?? { tick_id, timestamp, orders: [], lines: new Map<string, number>() }
    // Two ids for one time would be two ticks, and orders of the one would be open in the other.
    if (interval.tick_id !== tick_id) refuse(columns.start.name, `the spelling ${interval.tick_id}`, tick_id)
    const known = interval.lines.get(household)
    if (known !== undefined) refuse('household', `one reading an interval (the first is in line ${known})`, household)
    return interval
  }
  return {
    add: (fields, line) => {
      try {
        const reading = parseReading(columns, fields)
        const interval = place(reading)
        const order = orderOf(reading, rules)
        interval.lines.set(reading.household, line)
        intervals.set(interval.timestamp, interval)
        if (order === undefined) dropped++
        else interval.orders.push(order)
      } catch (error) {
        if (!isSolarError(error)) throw error
        bad.push({ line, reason: error.message })
      }
    },
    finish: () => ({
      intervals: [...intervals.values()]
        .sort((a, b) => a.timestamp - b.timestamp)
        .map(({ tick_id, timestamp, orders }) => ({ tick_id, timestamp, orders })),
      bad,
      dropped,
    }),
  }
}
