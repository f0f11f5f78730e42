import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import { shown } from '../protocol/shown.ts'
import {
  ANYONE,
  authorize,
  challengeOf,
  userOfCaller,
  type Caller,
  type DeviceRegistry,
  type PlatformUserTokens,
} from './access.ts'
import { readBodies, refuseEncodedBody } from './bodies.ts'
import { jsonOf } from './large-answer.ts'
import { DEFAULT_BODY_LIMIT, EVENT_STREAM, TAKEN, type Call } from './call.ts'
import { createClients, type Clients } from './client-address.ts'
import { addHeaders } from './headers.ts'
import type { Metrics } from './metrics.ts'
import { httpError, problemOf, PROBLEM_TYPE, type Problem } from './problem.ts'
import { createRateLimits, type RateLimits } from './rate-limits.ts'
import { createRefusalLog, type RefusalLog } from './refusal-log.ts'
import { limitReaders } from './slow-readers.ts'
import type { TokenBook } from '../ports/tokens.ts'
import { grantOfRequest, isTrusted } from './tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    call?: Call
  }
  interface FastifyRequest {
    /** What the bearer token opens, whatever the call; absent where the address is no address, and until it was looked up. */
    token?: Awaited<ReturnType<typeof grantOfRequest>>
    /** True with a trusted token, and for a program on this machine: they may know of the inside of the node. */
    isInsider: boolean
    caller: Caller
  }
}

export interface AppParts {
  readonly metrics: Metrics
  readonly clock: Clock
  readonly logger: Logger
  readonly tokens?: TokenBook
  readonly devices?: DeviceRegistry
  /** Without trusted proxies if absent. */
  readonly clients?: Clients
  /** Whether a request asks for this node by a name of its own; any name is if absent. */
  readonly isOwnName?: (request: FastifyRequest) => boolean
  /** Says which platform user a token is of; absent: no such token is taken. */
  readonly users?: PlatformUserTokens | undefined
  /** Requests name users whom the log shall not: of a refusal it tells the code, not what was sent. */
  readonly isDiscreet?: boolean
}

/** What an operator sets. */
export interface AppOptions {
  /** Requests a second from one address, 200 if absent; valid role tokens are not held back. */
  readonly rateLimitPerSecond?: number | undefined
  /** Origins whose pages may call this node; none if absent. */
  readonly corsOrigins?: readonly string[] | undefined
}

/** A whole upload of 32 MiB over a slow line; a client that trickles its request is cut off then. */
const REQUEST_TIMEOUT_MS = 120_000
const KEEP_ALIVE_TIMEOUT_MS = 10_000
/** Longer path segments are no id and no hash; up to here they get a 400 that says so. */
const MAX_SEGMENT_LENGTH = 1_000

/** `/blocks/{block_hash}/status/` -> `/blocks/:block_hash/status`: the router takes both spellings of the end. */
const toUrl = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1').replace(/\/$/, '')

/** What every server here shares: errors, credentials, limits, headers and timing around a list of calls. */
export async function createApp(
  parts: AppParts,
  { rateLimitPerSecond, corsOrigins = [] }: AppOptions = {},
): Promise<{ app: FastifyInstance; limits: RateLimits; addCalls: (calls: readonly Call[]) => void }> {
  const clients = parts.clients ?? createClients()
  const refusals = createRefusalLog(parts.logger, parts.clock)
  const sendError = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    sendProblem(error, request, reply, { ...parts, clients, refusals })
  const app = Fastify({
    logger: false,
    trustProxy: false,
    bodyLimit: DEFAULT_BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // What arrives while the server stops is still answered in the one form of answers.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_SEGMENT_LENGTH },
    frameworkErrors: (error: FastifyError, request, reply) => void sendError(error, request, reply),
    clientErrorHandler: refuseConnection,
  })
  app.decorateRequest('token')
  app.decorateRequest('isInsider', false)
  app.decorateRequest('caller')
  readBodies(app)
  const limits = await createRateLimits(app, clients, rateLimitPerSecond)
  const calls: Call[] = []
  // Before what may refuse: a page is to be able to read why.
  await addHeaders(app, corsOrigins, (method, url) =>
    calls.find((call) => call.method === method && matches(call.path, pathOf(url))),
  )
  limitReaders(app, clients, parts.clock)

  app.addHook('onRequest', async (request) => {
    request.token = await grantOfRequest(request, parts.tokens, parts.clock.now())
    const { grant } = request.token
    request.isInsider = isTrusted(grant) || clients.isLocal(request)
    if (!isTrusted(grant)) await limits.address(request)
    // Before the body is read: a foreign path is a 404 whatever is sent to it.
    if (request.is404) throw notFound(request, calls)
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { call } = request.routeOptions.config
    const route = call?.path ?? (request.is404 ? 'unknown' : 'page')
    // A stream lasts as long as its client: no duration that says anything.
    if (call?.contentType !== EVENT_STREAM) {
      parts.metrics.recordRequest(request.method, route, reply.statusCode, reply.elapsedTime / 1000)
    }
    logUse(request, reply, route, parts.logger)
    done()
  })
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((request) => {
    throw notFound(request, calls)
  })

  const addCalls = (added: readonly Call[]): void => {
    calls.push(...added)
    for (const call of added) registerCall(app, call, { ...parts, clients }, limits)
  }
  return { app, limits, addCalls }
}

function registerCall(
  app: FastifyInstance,
  call: Call,
  parts: AppParts & { readonly clients: Clients },
  limits: RateLimits,
): void {
  const isOwnName = parts.isOwnName ?? (() => true)
  const guard = { ...parts, isOwnName, keyLimit: limits.key, signatures: limits.signatures }
  app.route({
    method: call.method,
    url: toUrl(call.path),
    config: { call },
    bodyLimit: call.bodyLimit,
    exposeHeadRoute: call.method === 'GET' && call.access.others === 'anyone' && call.contentType !== EVENT_STREAM,
    // Before the body is read, so that 32 MiB are taken only from whom they are taken from.
    preParsing: async (request) => {
      request.caller = await authorize(request, call.access, request.token ?? {}, guard)
      refuseEncodedBody(request)
    },
    handler: async (request, reply) => {
      const { params, query, body, caller } = request
      const run = () => call.run({ params, query, body, caller, request, reply })
      const user = userOfCaller(caller)
      const answer = await (user === undefined ? run() : limits.inTurn(user, async () => await run()))
      if (answer === TAKEN) return reply
      reply.code(answer.status).headers(answer.headers ?? {})
      if (answer.body === undefined) return reply.send()
      if (typeof answer.body === 'string') {
        return reply.type(answer.headers?.['content-type'] ?? call.contentType ?? 'text/plain').send(answer.body)
      }
      return reply.type('application/json; charset=utf-8').send(jsonOf(answer.body))
    },
  })
}

/** 405 with the methods that the path takes, or 404. */
function notFound(request: FastifyRequest, calls: readonly Call[]): Error {
  const { method } = request
  const path = pathOf(request.raw.url ?? '')
  const allowed = calls.filter((call) => matches(call.path, path)).map((call) => call.method)
  if (allowed.length === 0) return httpError('not_found', { method, path: shown(path) })
  return httpError('method_not_allowed', { method, path: shown(path), allow: [...new Set(allowed)].join(', ') })
}

const pathOf = (url: string): string => url.split('?', 1)[0] ?? ''

/** Segment by segment, a `{name}` stands for any. */
function matches(pattern: string, path: string): boolean {
  const wanted = pattern.replace(/\/$/, '').split('/')
  const given = path.replace(/\/$/, '').split('/')
  return wanted.length === given.length && wanted.every((part, i) => part.startsWith('{') || part === given[i])
}

interface LogParts {
  readonly logger: Logger
  readonly clients: Clients
  readonly refusals: RefusalLog
  readonly isDiscreet?: boolean
}

function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply, parts: LogParts): FastifyReply {
  const call = request.routeOptions.config.call
  const problem = problemOf(error, call?.bodyLimit ?? DEFAULT_BODY_LIMIT)
  const { status, headers, body } = problem
  logProblem(error, problem, request, parts)
  if (status === 401) reply.header('www-authenticate', challengeOf(call?.access ?? ANYONE))
  if ('allow' in body) reply.header('allow', body.allow)
  // As bytes: to a string Fastify would add a charset, which JSON types do not have (RFC 8259, 11).
  return reply
    .code(status)
    .headers(headers)
    .type(PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify(body)))
}

/** Who has changed something by a token. The platform does it all day long, in ticks that the ledger tells of. */
function logUse({ method, token }: FastifyRequest, reply: FastifyReply, route: string, logger: Logger): void {
  const grant = token?.grant
  if (grant === undefined || method === 'GET' || method === 'HEAD' || reply.statusCode >= 400) return
  const use = { method, route, status: reply.statusCode, token_name: grant.name, role: grant.role }
  logger[grant.role === 'platform' ? 'debug' : 'info'](use, `${method} ${route} with the token ${grant.name}`)
}

/** What a node answers while it waits for its turn, or for room: a state that is asked for, not a failure. */
const STATES: readonly string[] = ['not_ready', 'not_leading', 'tip_moved', 'too_many_streams']

function logProblem(
  error: unknown,
  { status, body }: Problem,
  request: FastifyRequest,
  { logger, clients, refusals, isDiscreet = false }: LogParts,
): void {
  const { method } = request
  const { code } = body
  const route = request.routeOptions.config.call?.path ?? 'unknown'
  if (status >= 500 && !STATES.includes(code)) {
    logger.error({ method, route, code, error }, 'request failed')
    return
  }
  const grant = request.token?.grant
  const named = grant === undefined ? {} : { token_name: grant.name }
  const refusal = { method, route, code, status, client: clients.of(request).address, ...named }
  // Who brings something in, or a wrong credential, is to be found in the log; who only asks for what is not there is not.
  const isWorthTelling = (method !== 'GET' && method !== 'HEAD') || status === 401 || status === 403
  if (isWorthTelling) refusals.warn(refusal, String(isDiscreet ? body.title : body.detail))
  else logger.debug(refusal, 'request refused')
}

/** What is not even HTTP gets one answer in the same form, and no second chance. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const refusal =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? httpError('request_timeout', { reason: 'the request took too long to arrive' })
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? httpError('headers_too_large', { reason: 'the header fields are too large' })
        : httpError('bad_request', { reason: 'this is not HTTP' })
  const { status, body } = problemOf(refusal, DEFAULT_BODY_LIMIT)
  const text = JSON.stringify(body)
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}
