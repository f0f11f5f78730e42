import { canonicalText } from '../protocol/canonical-json.ts'
import { normalizeDelta } from '../protocol/decimal.ts'
import { edgeIdentifier } from '../protocol/edge.ts'
import { parseJson, repeatsName } from '../protocol/json.ts'
import { transactionShape, type Transaction } from '../protocol/transaction.ts'

/** One field of what was pasted. Numbers are kept as the text that stood there: every digit counts. */
export interface Claim {
  readonly name: string
  readonly value: unknown
}

const DECIMALS: readonly string[] = ['kwh', 'price_per_kwh', 'total_amount', 'kwh_delta', 'amount_delta']
const NAMES: readonly string[] = ['id', 'from_user_id', 'to_user_id', 'corrects', 'tick_id']
const HASHES: readonly string[] = ['tx_hash', 'block_hash']
const COMMON_FIELDS = ['id', 'timestamp', 'tick_id', 'nonce']
const TRADE_FIELDS = [...COMMON_FIELDS, 'from_user_id', 'to_user_id', 'kwh', 'price_per_kwh', 'total_amount']
const CORRECTION_FIELDS = [...COMMON_FIELDS, 'corrects', 'kwh_delta', 'amount_delta', 'reason']
/** Where a transaction is, as some answers of the API have it around its own fields. */
const PLACES = ['tx_hash', 'block_hash', 'height']
/** A date and a time with its offset; without one nobody knows which moment it is. */
const DATED = /^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{4,20}(?:Z|[+-][0-9]{2}:[0-9]{2})$/

/** The one spelling of a value that a platform may write as text or as a number; `null` if it cannot be compared. */
function spelled(name: string, value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return canonicalText(value)
  const text = String(value)
  if (DECIMALS.includes(name)) return normalizeDelta(text)
  if (NAMES.includes(name)) return edgeIdentifier(text, name)
  if (HASHES.includes(name)) return text.toLowerCase().replace(/^0x/, '')
  if (name !== 'timestamp' || /^[0-9]+$/.test(text)) return text
  const at = DATED.test(text) ? Date.parse(text.replace(' ', 'T')) : NaN
  return Number.isNaN(at) ? null : String(at)
}

/** As it stands where it has no spelling of its own kind: then it differs from every value of the ledger. */
function spelledOrAsItIs(name: string, value: unknown): string | null {
  try {
    return spelled(name, value)
  } catch {
    return String(value)
  }
}

/** The transaction that the fields make, in the ledger's spelling, if they are all there; its hash decides then. */
export function wholeOf(claims: readonly Claim[]): Transaction | undefined {
  const fields = new Map(claims.map(({ name, value }) => [name, value]))
  const kind = fields.get('kind') ?? (fields.has('corrects') ? 'correction' : 'trade')
  const names = kind === 'trade' ? TRADE_FIELDS : kind === 'correction' ? CORRECTION_FIELDS : [...fields.keys()]
  const own = names
    .filter((name) => fields.has(name) && !PLACES.includes(name))
    .map((name): readonly [string, unknown] => {
      const value = fields.get(name)
      if (typeof value !== 'string') return [name, value]
      const text = spelledOrAsItIs(name, value)
      return [name, name === 'timestamp' ? Number(text ?? NaN) : text]
    })
  try {
    return transactionShape({ ...Object.fromEntries(own), kind }, 'transaction')
  } catch {
    return undefined
  }
}

/** What comparing found, by the names of the fields. */
export interface Comparison {
  readonly same: readonly string[]
  readonly different: readonly string[]
  /** The ledger has such a field, but it is not shown here, or what was pasted in it cannot be read. */
  readonly undecided: readonly string[]
  /** The ledger has no such field. Of a trade whose content is not shown nobody can tell: `undecided`. */
  readonly unknown: readonly string[]
}

/**
 * Compares what was pasted with what is known of the transaction, field by field.
 *
 * @param content its fields; null if they are not shown here
 * @param place its hash and where it is
 */
export function compareClaims(
  claims: readonly Claim[],
  content: Transaction | null,
  place: { readonly tx_hash: string; readonly block_hash: string; readonly height: number },
): Comparison {
  const known = new Map<string, unknown>([...Object.entries(content ?? {}), ...Object.entries(place)])
  const found = { same: [], different: [], undecided: [], unknown: [] } as Record<keyof Comparison, string[]>
  for (const { name, value } of claims) found[verdictOf(name, value)].push(name)
  return found

  function verdictOf(name: string, value: unknown): keyof Comparison {
    if (!known.has(name)) return content === null ? 'undecided' : 'unknown'
    const said = spelledOrAsItIs(name, value)
    if (said === null) return 'undecided'
    return said === spelledOrAsItIs(name, known.get(name)) ? 'same' : 'different'
  }
}

/** A row of a platform is far shorter. */
const MAX_ROW_CHARACTERS = 100_000
const JSON_STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*/g

/**
 * The fields of a JSON object. JavaScript keeps numbers beyond 2^53, and their spelling, only as text, so they are read as that.
 * Throws an Error whose message is for people.
 *
 * @param text valid JSON
 * @param pick takes the object that is meant out of the whole
 */
export function claimsOf(text: string, pick: (whole: unknown) => Readonly<Record<string, unknown>>): readonly Claim[] {
  if (text.length > MAX_ROW_CHARACTERS) throw new Error('This is too long for a trade, and it is no receipt.')
  const whole = parseJson(text)
  if (repeatsName(text, whole)) {
    throw new Error(
      'This JSON has a field twice, and programs differ in which one they take: paste it with each field once.',
    )
  }
  const plain = pick(whole)
  const exact = pick(
    parseJson(text.replace(JSON_STRING_OR_NUMBER, (token) => (token.startsWith('"') ? token : `"${token}"`))),
  )
  return Object.entries(plain).map(([name, value]) => {
    const written = typeof value === 'number' ? exact[name] : value
    if (typeof value === 'number' && NAMES.includes(name) && !/^(?:0|-?[1-9][0-9]*)$/.test(String(written))) {
      throw new Error(
        `${name} is the number ${String(written)}, which programs write in many ways: put the id in quotes.`,
      )
    }
    return { name, value: written }
  })
}
