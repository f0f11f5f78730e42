/**
 * One error class for the whole project. Each layer declares its codes once, with the fields of each code and the
 * sentence rendered from them; `errorFactory` turns that table into a typed constructor.
 */
export class SolarError<Code extends string = string, Fields extends object = object> extends Error {
  override readonly name = 'SolarError'
  /** Stable, machine-readable, snake_case. */
  readonly code: Code
  /** The values the message was rendered from. Never secrets. */
  readonly fields: Fields

  constructor(code: Code, message: string, fields: Fields, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.fields = fields
  }
}

/** A layer's table: code -> sentence rendered from that code's fields. */
export type ErrorTable = Record<string, (fields: never) => string>

type FieldsOf<Table extends ErrorTable, Code extends keyof Table> = Parameters<Table[Code]>[0]

/** Makes the typed constructor of a layer's errors: `fail('malformed', { path, expected, got })`. */
export function errorFactory<Table extends ErrorTable>(table: Table) {
  return <Code extends keyof Table & string>(
    code: Code,
    fields: FieldsOf<Table, Code>,
    cause?: unknown,
  ): SolarError<Code, FieldsOf<Table, Code>> => {
    const render = table[code] as (fields: FieldsOf<Table, Code>) => string
    return new SolarError(code, render(fields), fields, cause)
  }
}

/** True if `error` is a `SolarError`, with that code if one is given. */
export function isSolarError(error: unknown, code?: string): error is SolarError {
  return error instanceof SolarError && (code === undefined || error.code === code)
}

const protocolErrors = {
  /** A value does not have the shape that protocol.md gives it. */
  malformed: (f: { path: string; expected: string; got: string }) => `${f.path}: expected ${f.expected}, got ${f.got}`,
  /** Bytes are not the canonical JSON of what they say. */
  not_canonical: (f: { reason: string }) => `not canonical JSON: ${f.reason}`,
  /** A public key that the signature rule refuses, whatever it signs. */
  bad_public_key: (f: { public_key: string; reason: string }) => `public key ${f.public_key}: ${f.reason}`,
  /**
   * A trade's total is not kwh x price, within half a unit of the last decimal of this chain's amounts. `rounded_to`: the
   * fewer decimals that it was rounded to, if that is what is wrong with it.
   */
  wrong_total: (f: {
    id: string
    kwh: string
    price_per_kwh: string
    total_amount: string
    expected: string
    amount_decimals: number
    rounded_to?: number
  }) =>
    `trade ${f.id}: total_amount ${f.total_amount} is not ${f.kwh} x ${f.price_per_kwh} ` +
    `(expected ${f.expected}, amount_decimals of this chain is ${f.amount_decimals})` +
    (f.rounded_to === undefined
      ? ''
      : `; it is rounded to ${f.rounded_to} decimals: send more of them, amount_decimals is fixed in the genesis`),
  /** A row that is well formed and still cannot be a transaction. */
  bad_transaction: (f: { id: string; reason: string }) => `transaction ${f.id}: ${f.reason}`,
  /** A genesis that no chain can start from. */
  bad_genesis: (f: { reason: string }) => `genesis: ${f.reason}`,
  /** A registry transaction that the registry before it does not allow. */
  registry_refused: (f: { id: string; reason: string }) => `registry transaction ${f.id}: ${f.reason}`,
  /** A proof was asked for an index or size that its tree does not have. */
  out_of_range: (f: { what: string; value: number; limit: number }) =>
    `${f.what} ${f.value} is out of range (limit ${f.limit})`,
} satisfies ErrorTable

export type ProtocolErrorCode = keyof typeof protocolErrors
export const protocolError = errorFactory(protocolErrors)

/** A failed check. */
export interface Failure<Code extends string = string> {
  readonly ok: false
  readonly code: Code
  readonly reason: string
}

/** The outcome of a verification: malformed input throws, a failed check is an answer with its code. */
export type Verdict<Code extends string = string> = { readonly ok: true } | Failure<Code>

export const VALID = { ok: true } as const

/** Makes the verdict of a failed check. */
export function invalid<Code extends string>(code: Code, reason: string): Failure<Code> {
  return { ok: false, code, reason }
}

/** The first check that fails, or VALID: cheap checks first, signatures last. */
export function firstFailure<Code extends string>(...checks: (() => Verdict<Code>)[]): Verdict<Code> {
  for (const check of checks) {
    const verdict = check()
    if (!verdict.ok) return verdict
  }
  return VALID
}
