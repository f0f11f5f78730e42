import { canonicalBytes } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import { shown } from '../protocol/shown.ts'

/** What is answered instead of an answer: `{error: {code, message}}` (docs/protocol.md 8). */
export interface Refusal {
  readonly code: string
  readonly message: string
}

const CODE = /^[a-z][a-z0-9_]{0,63}$/
const MAX_MESSAGE_LENGTH = 500

/** A `SolarError` says its code; anything else is a fault of this node, and no business of the other side. */
export function refusalOf(error: unknown): Refusal {
  if (isSolarError(error)) return { code: error.code, message: error.message }
  return { code: 'internal', message: 'this node failed to answer' }
}

export function encodeRefusal(refusal: Refusal): Uint8Array {
  const message = shown(refusal.message, MAX_MESSAGE_LENGTH)
  return canonicalBytes({ error: { code: refusal.code, message } })
}

/** The refusal that an answer is; undefined for any other answer. */
export function readRefusal(answer: unknown): Refusal | undefined {
  const error = memberOf(answer, 'error')
  if (error === undefined) return undefined
  const code = memberOf(error, 'code')
  const message = memberOf(error, 'message')
  if (typeof code !== 'string' || !CODE.test(code)) return { code: 'unknown', message: 'an error without a code' }
  return { code, message: typeof message === 'string' ? shown(message) : '' }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}
