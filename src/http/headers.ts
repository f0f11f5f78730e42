import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Call } from './call.ts'

/** An API answer loads nothing, is framed by nobody and is not guessed at. */
const API_POLICY = "default-src 'none'; frame-ancestors 'none'"
/** The dashboard loads from here only, and may open WebSockets to libp2p peers. */
const PAGE_POLICY = [
  "default-src 'self'",
  "connect-src 'self' ws: wss:",
  "img-src 'self' data:",
  "style-src 'self' 'unsafe-inline'",
  "object-src 'none'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * What pages of other origins may call, where the operator lets those in at all: calls open to everybody, and those that a
 * device's signature or the token of a platform user opens. What only a role token opens, and /metrics, which being on
 * this machine opens, stay closed.
 */
export const isCrossOrigin = ({ access }: Pick<Call, 'access'>): boolean =>
  access.others !== 'nobody' && access.others !== 'loopback'

/** Browsers ask again after a day. */
const PREFLIGHT_SECONDS = 86_400

/**
 * Headers of every answer, also of errors, and what browsers ask before they send JSON or a credential to another origin.
 *
 * @param origins whose pages may call this node; none: no page but its own
 * @param callOf the call of a path and a method
 */
export async function addHeaders(
  app: FastifyInstance,
  origins: readonly string[],
  callOf: (method: string, url: string) => Call | undefined,
): Promise<void> {
  await app.register(helmet, {
    // Ours, by the kind of answer.
    contentSecurityPolicy: false,
    xFrameOptions: { action: 'deny' },
    // For the proxy that speaks TLS to say: it holds for a year, and for all that the name serves.
    strictTransportSecurity: false,
    // Browsers ignore both over plain HTTP, and complain to the user.
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
  })
  await app.register(cors, {
    strictPreflight: false,
    delegator: (request, done) => {
      const call = askedFor(request, callOf)
      const isOpen = origins.length > 0 && call !== undefined && isCrossOrigin(call)
      done(null, isOpen ? openTo(origins, call) : { origin: false })
    },
  })
  app.addHook('onRequest', (request, reply, next) => {
    setPolicies(reply, request.routeOptions.config.call, origins.length > 0)
    next()
  })
}

/** The call of a request, or the one that a browser asks about. */
function askedFor(
  { method, headers, url, routeOptions }: FastifyRequest,
  callOf: (method: string, url: string) => Call | undefined,
): Call | undefined {
  if (method !== 'OPTIONS') return routeOptions.config.call
  return callOf(headers['access-control-request-method'] ?? '', url)
}

const openTo = (origins: readonly string[], { method }: Call) => ({
  origin: [...origins],
  methods: [method],
  allowedHeaders: ['authorization', 'content-type', 'solar-membership'],
  exposedHeaders: ['location', 'retry-after', 'www-authenticate'],
  maxAge: PREFLIGHT_SECONDS,
})

function setPolicies(reply: FastifyReply, call: Call | undefined, hasOrigins: boolean): void {
  reply.header('content-security-policy', call === undefined ? PAGE_POLICY : API_POLICY)
  if (call === undefined) return
  reply.header('cache-control', 'no-store')
  if (hasOrigins && isCrossOrigin(call)) reply.header('cross-origin-resource-policy', 'cross-origin')
}
