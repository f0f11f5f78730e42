import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf } from '../../ports/file-trouble.ts'
import { parseJson } from '../../protocol/json.ts'
import { isJsonObject } from '../../protocol/shape.ts'
import { shown } from '../../protocol/shown.ts'
import { replayError } from './errors.ts'
import { createTransport, type RawAnswer } from './transport.ts'

export interface HttpAnswer {
  readonly status: number
  readonly body: unknown
}

/** Requests to one authority, one after another over a connection that is kept. All of them may be repeated. */
export interface HttpClient {
  get(path: string): Promise<HttpAnswer>
  post(path: string, body: object): Promise<HttpAnswer>
  close(): void
}

export interface HttpClientParts {
  /** Ends with a slash; paths are below it. */
  readonly baseUrl: URL
  /** Bearer token. */
  readonly token: string | undefined
  /** How long a server that does not answer is asked again. */
  readonly patienceMs: number
  /** Breaks off what is under way; requests then throw `stopped`. */
  readonly signal: AbortSignal
  /** Tells people why it takes so long. */
  readonly notice: (line: string) => void
}

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 2_000
/** A server that asks for longer than this is not one to wait for. */
const LONGEST_RETRY_AFTER_MS = 5 * 60_000
const DEFAULT_RETRY_AFTER_MS = 1_000
/** A server that has a client wait this often in a row will not let it through. */
const MAX_WAITS = 20

/**
 * A client that outlives a restart of the server: no connection, no answer and HTTP 5xx are tried again for `patienceMs`,
 * then `server_gone`; HTTP 429 is waited for as long as Retry-After says. Every other status is an answer. A server that has
 * never answered and is not there, or speaks something else, is `unreachable` at once.
 */
export function createHttpClient(parts: HttpClientParts): HttpClient {
  const { baseUrl, token, patienceMs, signal, notice } = parts
  const headers = { accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  const jsonHeaders = { ...headers, 'content-type': 'application/json' }
  const transport = createTransport(baseUrl.protocol === 'https:')
  let hasAnswered = false
  let hasPosted = false

  async function once(method: string, path: string, body: object | undefined, timeoutMs: number): Promise<RawAnswer> {
    const url = new URL(path, baseUrl)
    // Not AbortSignal.any: each of its results stays listed in the long-lived signal, and a replay makes a great many.
    const limit = new AbortController()
    const end = (): void => limit.abort()
    if (signal.aborted) end()
    const timer = setTimeout(end, timeoutMs)
    signal.addEventListener('abort', end, { once: true })
    try {
      if (body === undefined) return await transport.send(method, url, headers, '', limit.signal)
      return await transport.send(method, url, jsonHeaders, JSON.stringify(body), limit.signal)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
    }
  }

  async function pause(what: string, delayMs: number): Promise<void> {
    try {
      await sleep(delayMs, undefined, { signal })
    } catch (cause) {
      throw replayError('stopped', { what }, cause)
    }
  }

  /** The answer, or what is wrong with the server. */
  async function attempt(...request: Parameters<typeof once>): Promise<RawAnswer | string> {
    try {
      const answer = await once(...request)
      hasAnswered = true
      return answer.status < 500 ? answer : `HTTP ${answer.status} ${problemOf(parseBody(answer.text)).detail}`
    } catch (error) {
      if (!(error instanceof Error)) throw error
      const reason = reasonOf(error)
      const advice = hasAnswered ? undefined : hopelessAdvice(codeOf(error), baseUrl)
      if (advice !== undefined) throw replayError('unreachable', { url: baseUrl.href, reason, advice }, error)
      return reason
    }
  }

  async function request(method: string, path: string, body?: object): Promise<HttpAnswer> {
    const what = `${method} ${path}`
    let deadline = performance.now() + patienceMs
    let pauseMs = FIRST_PAUSE_MS
    let waits = 0
    for (;;) {
      const outcome = await attempt(method, path, body, Math.max(1, deadline - performance.now()))
      if (typeof outcome === 'string') {
        if (signal.aborted) throw replayError('stopped', { what })
        if (performance.now() + pauseMs >= deadline) {
          const advice = hasPosted ? GO_ON : ASK_AGAIN
          throw replayError('server_gone', { url: baseUrl.href, seconds: patienceMs / 1000, reason: outcome, advice })
        }
        if (pauseMs === FIRST_PAUSE_MS) notice(`${baseUrl.href} does not answer (${outcome}), trying again`)
        await pause(what, pauseMs)
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
      } else if (outcome.status === 429 && waits < MAX_WAITS) {
        waits++
        await pause(what, waitOf(what, outcome.retryAfter))
        deadline = performance.now() + patienceMs
      } else {
        return { status: outcome.status, body: parseBody(outcome.text) }
      }
    }
  }
  return {
    get: (path) => request('GET', path),
    post: (path, body) => {
      hasPosted = true
      return request('POST', path, body)
    },
    close: () => transport.close(),
  }
}

const GO_ON = 'What it has committed stays; run the same command again to go on'
const ASK_AGAIN = 'Run the same command again once it does'

/** What to check where a first connection shows that asking again is of no use; `undefined`: it may be of some. */
function hopelessAdvice(code: string, { protocol, port, hostname }: URL): string | undefined {
  if (code === 'ECONNREFUSED') {
    const at = port === '' ? (protocol === 'https:' ? '443' : '80') : port
    return `nothing listens on port ${at} there: check host and port of the URL, and that the node runs with --http`
  }
  if (code === 'ENOTFOUND') return `there is no host ${hostname}: check the URL`
  if (protocol === 'https:' && (code === 'EPROTO' || code.startsWith('ERR_SSL_'))) {
    return 'this port speaks no HTTPS, plain HTTP as a rule: use http://, or the port of the proxy that has the certificate'
  }
  if (CERTIFICATE.test(code)) {
    return 'its certificate is not one that this machine trusts: name its authority in NODE_EXTRA_CA_CERTS, or check the URL'
  }
  if (code.startsWith('HPE_'))
    return 'this port does not speak HTTP: name that of --http (8080 as a rule), not one of --listen'
  return undefined
}

const CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/

function waitOf(what: string, retryAfter: string | undefined): number {
  if (retryAfter === undefined) return DEFAULT_RETRY_AFTER_MS
  const seconds = Number(retryAfter)
  const delayMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000
  if (Number.isNaN(delayMs)) return DEFAULT_RETRY_AFTER_MS
  if (delayMs <= LONGEST_RETRY_AFTER_MS) return Math.max(delayMs, 0)
  throw replayError('refused', { what, status: 429, code: 'too_many_requests', detail: `Retry-After: ${retryAfter}` })
}

/** The body of an answer as JSON; anything else as its text. */
function parseBody(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return text
  }
}

/** A node's own words are shorter. */
const MAX_DETAIL_LENGTH = 500

/** Code and detail of a problem+json answer, as far as it is one; cut, as who answers may be anybody. */
export function problemOf(body: unknown): { readonly code: string; readonly detail: string } {
  const fields = isJsonObject(body) ? body : {}
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' ? shown(value, MAX_DETAIL_LENGTH) : undefined
  return { code: text(fields.code) ?? '', detail: text(fields.detail) ?? text(fields.title) ?? '' }
}

/** A socket's error names itself by its code (ECONNREFUSED, ECONNRESET, ...); an AbortError is our own limit. */
function reasonOf(error: Error): string {
  if (error.name === 'AbortError') return 'no answer in time'
  return 'code' in error ? String(error.code) : error.message
}
