import {
  errorFactory,
  isSolarError,
  type SolarError,
  type ErrorTable,
  type ProtocolErrorCode,
} from '../protocol/errors.ts'
import { shown } from '../protocol/shown.ts'
import { timeWords } from '../protocol/time-words.ts'
import type { LedgerErrorCode } from '../ports/errors.ts'

/** What only HTTP can refuse. */
const httpErrors = {
  missing_credential: (f: { accepted: string }) => `this call needs a credential: ${f.accepted}`,
  bad_credential: (f: { reason: string }) => f.reason,
  wrong_audience: (f: { reason: string; to: string; accepted: readonly string[] }) => f.reason,
  wrong_host: (f: { host: string }) =>
    `this node is not called ${f.host}: its operator names the proxy in trusted_proxies, or the origin in public_urls`,
  stale_request: (f: { timestamp: number; now: number }) =>
    `the request was signed at ${timeWords(f.timestamp)}, this clock says ${timeWords(f.now)}: more than 60 s apart`,
  replayed_request: (f: { id: string }) => `the signed request ${f.id} was used before`,
  not_found: (f: { method: string; path: string }) => `there is no ${f.method} ${f.path}`,
  method_not_allowed: (f: { method: string; path: string; allow: string }) =>
    `${f.path} does not take ${f.method}, it takes ${f.allow}`,
  unsupported_media_type: (f: { expected: string }) => `the body must be ${f.expected}`,
  unsupported_encoding: (f: { encoding: string }) =>
    `Content-Encoding ${f.encoding} is not taken, send the body as it is`,
  body_too_large: (f: { limit_bytes: number }) => `the body is larger than ${f.limit_bytes} bytes`,
  too_many_requests: (f: { retry_after_s: number }) => `too many requests, try again in ${f.retry_after_s} s`,
  too_many_streams: (f: { limit: number }) => `there are ${f.limit} event streams already`,
  bad_request: (f: { reason: string }) => f.reason,
  request_timeout: (f: { reason: string }) => f.reason,
  headers_too_large: (f: { reason: string }) => f.reason,
  internal: (f: { reason: string }) => f.reason,
} satisfies ErrorTable

export type HttpErrorCode = keyof typeof httpErrors
export const httpError = errorFactory(httpErrors)

export type ProblemCode = LedgerErrorCode | ProtocolErrorCode | HttpErrorCode

interface ProblemRow {
  readonly status: number
  readonly title: string
  /** The fields tell about the inside of the node: they go to the log only. */
  readonly hidden?: true
}

/** All that is told of what goes wrong inside. */
const HIDDEN_DETAIL = 'something went wrong here; the log of the node says what'

const UNPROCESSABLE = 422

/** Code -> status, for every code there is: a new one does not compile without a row (docs/protocol.md 9). */
export const problems: Readonly<Record<ProblemCode, ProblemRow>> = {
  malformed: { status: 400, title: 'Malformed input' },
  not_canonical: { status: 400, title: 'Not canonical JSON' },
  bad_public_key: { status: 400, title: 'Public key refused' },
  bad_request: { status: 400, title: 'Bad request' },

  bad_signature: { status: 401, title: 'Wrong signature' },
  missing_credential: { status: 401, title: 'Credential needed' },
  bad_credential: { status: 401, title: 'Credential refused' },
  wrong_audience: { status: 401, title: 'Credential for another node' },
  stale_request: { status: 401, title: 'Signed request too old or too new' },
  replayed_request: { status: 401, title: 'Signed request used before' },

  forbidden: { status: 403, title: 'Not allowed' },
  no_membership: { status: 403, title: 'Whose device it is is not known' },
  unknown_voter: { status: 403, title: 'Voter not registered' },

  unknown_block: { status: 404, title: 'Unknown block' },
  unknown_transaction: { status: 404, title: 'Unknown transaction' },
  unknown_order: { status: 404, title: 'Unknown order' },
  no_final_header: { status: 404, title: 'No final header yet' },
  not_found: { status: 404, title: 'No such call' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  request_timeout: { status: 408, title: 'Request took too long' },

  vote_conflict: { status: 409, title: 'Conflicting vote' },
  tick_conflict: { status: 409, title: 'Tick committed before with other content' },
  duplicate_transaction: { status: 409, title: 'Transaction on the chain already' },
  no_receipt: { status: 409, title: 'No receipt can be given' },
  missing_body: { status: 409, title: 'A body is missing here' },
  tick_void: { status: 409, title: 'Tick could never be sealed' },
  order_conflict: { status: 409, title: 'Order placed before with other content' },
  interval_closed: { status: 409, title: 'The tick of the interval has run' },
  too_many_orders: { status: 409, title: 'Too many open orders' },
  fenced: { status: 409, title: 'Sealed already by another header' },
  already_signed: { status: 409, title: 'Signed something else before' },

  tick_too_large: { status: 413, title: 'Tick too large' },
  payloads_too_large: { status: 413, title: 'Payloads too large' },
  body_too_large: { status: 413, title: 'Body too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  unsupported_encoding: { status: 415, title: 'Unsupported content encoding' },

  wrong_total: { status: UNPROCESSABLE, title: 'Total is not kwh x price' },
  bad_transaction: { status: UNPROCESSABLE, title: 'Transaction refused' },
  bad_genesis: { status: UNPROCESSABLE, title: 'Genesis refused' },
  registry_refused: { status: UNPROCESSABLE, title: 'Registry transaction refused' },
  refused_row: { status: UNPROCESSABLE, title: 'Row refused' },
  out_of_range: { status: UNPROCESSABLE, title: 'Out of range' },
  from_the_future: { status: UNPROCESSABLE, title: 'From the future' },
  wrong_chain: { status: UNPROCESSABLE, title: 'Another chain' },
  wrong_header: { status: UNPROCESSABLE, title: 'Header and height do not belong together' },
  order_too_small: { status: UNPROCESSABLE, title: 'Order too small' },

  wrong_host: { status: 421, title: 'Name of another host' },

  too_many_requests: { status: 429, title: 'Too many requests' },
  too_many_changes: { status: 429, title: 'Too many changes of the registry' },
  too_many_enrolments: { status: 429, title: 'Too many enrolments' },
  headers_too_large: { status: 431, title: 'Header fields too large' },

  internal: { status: 500, title: 'Internal error', hidden: true },
  corrupt: { status: 500, title: 'Stored data is damaged', hidden: true },
  peer_refused: { status: 502, title: 'A peer refused', hidden: true },
  signer_refused: { status: 503, title: 'The signer refused', hidden: true },
  store_failed: { status: 503, title: 'A store failed', hidden: true },
  not_ready: { status: 503, title: 'Not ready' },
  not_leading: { status: 503, title: 'Another authority leads' },
  tip_moved: { status: 503, title: 'Another authority was faster' },
  missing_parent: { status: 503, title: 'The database lacks a block' },
  too_many_streams: { status: 503, title: 'Too many event streams' },
  peer_unreachable: { status: 503, title: 'A peer cannot be reached', hidden: true },
}

export const PROBLEM_TYPE = 'application/problem+json'

/** An error as RFC 9457 sends it. */
export interface Problem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>> & { readonly code: ProblemCode }
}

const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(problems, code)

/** Seconds until trying again can help; `undefined` where it cannot. */
function retryAfterSeconds(code: ProblemCode, fields: object): number | undefined {
  if (problems[code].status === 429) return 'retry_after_s' in fields ? Number(fields.retry_after_s) : 1
  if (code === 'store_failed') return 'retryable' in fields && fields.retryable === true ? 1 : undefined
  // Whoever leads answers at once, and where nobody does somebody takes over within seconds.
  if (code === 'not_leading' || code === 'tip_moved') return 1
  return problems[code].status === 503 ? 5 : undefined
}

/** What a refusal tells in headers; RFC 9110, 12.5.3 for the encoding. */
function headersOf(code: ProblemCode, fields: object): Readonly<Record<string, string>> {
  if (code === 'unsupported_encoding') return { 'accept-encoding': 'identity' }
  const retryAfter = retryAfterSeconds(code, fields)
  return retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
}

function problemOfSolarError(error: SolarError, code: ProblemCode): Problem {
  const { status, title, hidden } = problems[code]
  return {
    status,
    headers: headersOf(code, error.fields),
    body: {
      ...(hidden !== true && error.fields),
      type: `urn:solar-node:problem:${code}`,
      title,
      status,
      detail: hidden === true ? HIDDEN_DETAIL : error.message,
      code,
    },
  }
}

/** What Fastify refuses by itself, in our words. */
function fromFastify(error: unknown, bodyLimit: number): SolarError | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return undefined
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return httpError('unsupported_media_type', { expected: 'application/json' })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return httpError('body_too_large', { limit_bytes: bodyLimit })
    default:
      return typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500
        ? httpError('bad_request', { reason: shown(error.message) })
        : undefined
  }
}

/**
 * The answer to any error. An error that is no refusal is `internal`, without a word about the inside.
 *
 * @param bodyLimit of the call, in bytes
 */
export function problemOf(error: unknown, bodyLimit: number): Problem {
  const known = isSolarError(error) ? error : fromFastify(error, bodyLimit)
  if (known !== undefined && isProblemCode(known.code)) return problemOfSolarError(known, known.code)
  return problemOfSolarError(httpError('internal', { reason: HIDDEN_DETAIL }), 'internal')
}
