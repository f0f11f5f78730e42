import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { httpError } from './problem.ts'

/** Requests a second from one IPv4 address or one IPv6 /64 network. */
const DEFAULT_PER_ADDRESS = 200
/** Requests a second by one registered key or one user, from wherever: a household needs a few. */
export const PER_KEY = 50
const WINDOW_MS = 1_000

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that `KeyLimit` counts this request for. */
    limitedKey: string
  }
}

/** Counts what a key does. Only proven work counts, so nobody can use up another's share by naming its id. */
export interface KeyLimit {
  /** Runs `work` if `key` has not used up its second, and counts it once it has succeeded. Throws `too_many_requests`. */
  within<T>(request: FastifyRequest, key: string, work: () => T | Promise<T>): Promise<T>
}

export interface RateLimits {
  /** Counts one request of its address. Throws `too_many_requests`. */
  address(request: FastifyRequest): Promise<void>
  readonly key: KeyLimit
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>

async function take(limiter: Limiter, request: FastifyRequest, increment: boolean): Promise<void> {
  const state = await limiter(request, { increment })
  if (state.isAllowed) return
  // A look without counting must refuse what the next count would refuse.
  const exceeded = increment ? state.isExceeded : state.remaining === 0
  if (exceeded) throw httpError('too_many_requests', { retry_after_s: Math.max(1, state.ttlInSeconds) })
}

/** Counters are kept for the 5,000 addresses and the 5,000 keys seen last, so their memory is bounded. */
export async function createRateLimits(app: FastifyInstance, perAddress = DEFAULT_PER_ADDRESS): Promise<RateLimits> {
  await app.register(rateLimit, { global: false })
  app.decorateRequest('limitedKey', '')
  const addresses = app.createRateLimit({ max: perAddress, timeWindow: WINDOW_MS })
  const keys = app.createRateLimit({
    max: PER_KEY,
    timeWindow: WINDOW_MS,
    keyGenerator: (request) => request.limitedKey,
  })
  return {
    address: (request) => take(addresses, request, true),
    key: {
      async within(request, key, work) {
        request.limitedKey = key
        await take(keys, request, false)
        const result = await work()
        await take(keys, request, true)
        return result
      },
    },
  }
}
