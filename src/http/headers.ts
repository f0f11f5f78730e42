import type { FastifyInstance, FastifyReply } from 'fastify'
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
 * Pages of other origins may make the calls that a household makes: those open to everybody, and those that a device's
 * signature opens. Nothing here is ambient (no cookies, no client certificates), so a foreign page can do no more than
 * its own server could. What only a role token opens, and /metrics, which being on this machine opens, stay closed.
 */
export const isCrossOrigin = ({ access }: Pick<Call, 'access'>): boolean =>
  access.others !== 'nobody' && access.others !== 'loopback'

/** Headers of every answer, also of errors. */
export function setCommonHeaders(reply: FastifyReply, call: Call | undefined): void {
  reply.headers({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy': call === undefined ? PAGE_POLICY : API_POLICY,
  })
  if (call === undefined) return
  reply.header('cache-control', 'no-store')
  if (!isCrossOrigin(call)) return
  reply.headers({
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'location, retry-after, www-authenticate',
    'cross-origin-resource-policy': 'cross-origin',
  })
}

/** Answers what browsers ask before they send JSON or a signed request to another origin. */
export function registerPreflights(
  app: FastifyInstance,
  calls: readonly Call[],
  toUrl: (path: string) => string,
): void {
  const methodsByPath = new Map<string, string[]>()
  for (const call of calls.filter(isCrossOrigin)) {
    const url = toUrl(call.path)
    methodsByPath.set(url, [...(methodsByPath.get(url) ?? []), call.method])
  }
  for (const [url, methods] of methodsByPath) {
    app.options(url, (_request, reply) =>
      reply
        .code(204)
        .headers({
          'access-control-allow-origin': '*',
          'access-control-allow-methods': methods.join(', '),
          'access-control-allow-headers': 'authorization, content-type, solar-membership',
          'access-control-max-age': '86400',
        })
        .send(),
    )
  }
}
