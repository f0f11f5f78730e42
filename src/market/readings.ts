import { formatQuantity } from '../protocol/decimal.ts'
import { edgeIdentifier } from '../protocol/edge.ts'
import { protocolError } from '../protocol/errors.ts'
import { sha256Hex } from '../protocol/hash.ts'
import type { Order } from '../protocol/order.ts'
import { refuse } from '../protocol/shape.ts'
import { subtractExact, toMicroHalfEven, type DecimalReader } from './exact-decimal.ts'
import { intervalId, parseIntervalStart, type IntervalStart, type WallClock } from './interval-time.ts'

/**
 * Meter readings to orders (docs: cli, replay CSV). A row is one household in one interval; the rows of an interval, from
 * however many files, are one tick.
 */
export interface ReadingColumns {
  readonly start: Column
  readonly household: Column
  readonly load: Column
  readonly pv: Column
  readonly price: Column
  /** How many columns there are. */
  readonly width: number
}

/** Where a column is, and which of the known names it has. */
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

/** What the meter of a household said of an interval. */
export interface Reading {
  /** Start of the interval, Unix milliseconds. */
  readonly timestamp: number
  readonly household: string
  /** pv - load, micro-kWh, rounded half to even. */
  readonly netMicro: bigint
  /** Rounded half to even: a price column may have more than 6 decimals. */
  readonly priceMicro: bigint
}

/** A reading as its row alone tells it: in the hour that comes twice two instants are left. */
export interface ParsedReading extends Reading, Pick<IntervalStart, 'later' | 'hasOffset'> {}

/** Spellings of a column, the first one wins if a file has several. */
const COLUMN_NAMES = {
  start: ['interval_start_local', 'timestamp'],
  household: ['household'],
  load: ['load_kwh'],
  pv: ['pv_kwh'],
  price: ['price_usd_per_kwh', 'price_per_kwh'],
} as const

/** "Load (kWh)" and "LOAD_KWH" are load_kwh. */
export const columnKey = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_|_$/g, '')

const KNOWN_COLUMNS: ReadonlySet<string> = new Set(Object.values(COLUMN_NAMES).flat())
/** How many of the columns that matter a header line has. */
export const countKnown = (header: readonly string[]): number =>
  header.filter((name) => KNOWN_COLUMNS.has(columnKey(name))).length

/**
 * Finds the columns in a header line; other columns do not matter. Where there is no other column for the start of an
 * interval, one whose name says `local` is taken. Throws `malformed`, which names all that are missing.
 */
export function findColumns(header: readonly string[]): ReadingColumns {
  const keys = header.map(columnKey)
  const missing: string[] = []
  const refuseHeader = (expected: string): never => {
    throw protocolError('malformed', { path: 'header', expected, got: listOf(header) })
  }
  const find = (names: readonly string[]): Column => {
    const key = names.find((candidate) => keys.includes(candidate)) ?? ''
    const index = keys.indexOf(key)
    if (key === '') missing.push(names.join(' or '))
    else if (keys.includes(key, index + 1)) refuseHeader(`one column ${key}`)
    return { index, name: key }
  }
  const locals = keys.filter((key) => /local(?!i)/.test(key))
  const hasStart = COLUMN_NAMES.start.some((name) => keys.includes(name))
  const columns = {
    start: find(hasStart || locals.length !== 1 ? COLUMN_NAMES.start : locals),
    household: find(COLUMN_NAMES.household),
    load: find(COLUMN_NAMES.load),
    pv: find(COLUMN_NAMES.pv),
    price: find(COLUMN_NAMES.price),
    width: header.length,
  }
  if (missing.length > 0) refuseHeader(missing.map((names) => `a column ${names}`).join(', '))
  return columns
}

/** Whether a column says that its times are local ones, and is not the one that has always been read as UTC. */
export const needsZone = ({ start }: ReadingColumns): boolean =>
  start.name.includes('local') && !COLUMN_NAMES.start.some((name) => name === start.name)

const MAX_NAMES_SHOWN = 30
const MAX_NAME_SHOWN = 40
function listOf(header: readonly string[]): string {
  const shown = header.slice(0, MAX_NAMES_SHOWN).map((name) => JSON.stringify(name.slice(0, MAX_NAME_SHOWN)))
  const more = header.length - shown.length
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ')
}

/** A year of quarter hours, with room: in a file that goes by household each time comes once a household. */
const MAX_TIMES_KEPT = 40_000

/**
 * Reads the rows of one file. What it gives throws `malformed` for a row that cannot be used: which column, what is
 * expected, what is there.
 */
export function readingParser(
  columns: ReadingColumns,
  decimals: DecimalReader,
  clock: WallClock,
): (fields: readonly string[]) => ParsedReading {
  const times = new Map<string, IntervalStart>()
  const text = (fields: readonly string[], { index }: Column): string => fields[index] ?? ''

  function startOf(written: string): IntervalStart {
    const known = times.get(written)
    if (known !== undefined) return known
    const start = parseIntervalStart(written, columns.start.name, clock)
    if (times.size >= MAX_TIMES_KEPT) times.clear()
    times.set(written, start)
    return start
  }
  return (fields) => {
    checkWidth(fields, columns.width)
    const decimal = (column: Column) => decimals.read(text(fields, column), column.name)
    const start = startOf(text(fields, columns.start))
    const household = edgeIdentifier(text(fields, columns.household), columns.household.name)
    const netMicro = toMicroHalfEven(subtractExact(decimal(columns.pv), decimal(columns.load)))
    const priceMicro = toMicroHalfEven(decimal(columns.price))
    // Beyond what a quantity can hold is a mistake of the file, and no number for an order.
    formatQuantity(netMicro < 0n ? -netMicro : netMicro, 'pv_kwh - load_kwh')
    formatQuantity(priceMicro, columns.price.name)
    return { ...start, household, netMicro, priceMicro }
  }
}

/** A number written with an unquoted comma makes two fields of one, and shifts all that follow. */
function checkWidth(fields: readonly string[], width: number): void {
  if (fields.length <= width || fields.slice(width).every((field) => field === '')) return
  refuse('row', `${width} fields as in the header (a comma in a number?)`, fields.length)
}

const MAX_IDENTIFIER_LENGTH = 64

/** `<tick_id>@<name>`, or the SHA-256 of that where it would be too long for an identifier. */
function orderId(tickId: string, name: string): string {
  const plain = `${tickId}@${name}`
  return plain.length <= MAX_IDENTIFIER_LENGTH ? plain : sha256Hex(plain)
}

/**
 * The order of a reading; `undefined` below the minimum. A replay that is run again must send the very same order, so all of
 * it follows from this reading and the rules. That is why it is valid at the interval's start only, the time at which its
 * tick is run, and not until the next interval's start: that would depend on which other rows there are.
 *
 * @param name of the household in the order's id
 */
export function orderOf(reading: Reading, rules: ReadingRules, name = reading.household): Order | undefined {
  const { timestamp, household, netMicro, priceMicro } = reading
  const sells = netMicro > 0n
  const size = sells ? netMicro : -netMicro
  if (size === 0n || size < rules.minTradeMicro) return undefined
  return {
    order_id: orderId(intervalId(timestamp), name),
    user_id: household,
    side: sells ? 'sell' : 'buy',
    kwh: formatQuantity(size),
    price_per_kwh: formatQuantity(sells ? rules.feedInMicro : priceMicro),
    timestamp,
    valid_until: timestamp + 1,
  }
}
