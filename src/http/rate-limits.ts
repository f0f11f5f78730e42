import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isSolarError } from '../protocol/errors.ts'
import type { Clients } from './client-address.ts'
import { httpError } from './problem.ts'

/** Requests a second from one IPv4 address or one IPv6 /64 network. */
const DEFAULT_PER_ADDRESS = 200
/**
 * An address that a proxy on this machine tells, though none is configured, may be invented. So all of them together have
 * the share of this many.
 */
const ASSUMED_ADDRESSES = 10
/** Requests a second by one registered key or one user, from wherever: a household needs a few. */
export const PER_KEY = 50
/** Signatures a second from one address that do not hold: each costs a hundred times what it takes to send it. */
export const WRONG_PER_ADDRESS = 20
const WINDOW_MS = 1_000
/** Changes of one registered id in a minute, and in a day: each makes a block and stays for ever, and is rare. */
export const PER_SUBJECT = 10
export const PER_SUBJECT_DAILY = 50
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that `KeyLimit` counts this request for. */
    limitedKey: string
  }
}

/** Counts what a key does. Only proven work counts, so nobody can use up another's share by naming its id. */
export interface KeyLimit {
  /** Runs `work` if `key` has not used up its window, and counts it once it has succeeded. Throws `too_many_requests`. */
  within<T>(request: FastifyRequest, key: string, work: () => T | Promise<T>): Promise<T>
}

/** Bounds the checks of signatures from an address whose signatures do not hold. */
export interface SignatureLimit {
  /**
   * Runs a check that throws `bad_signature` or `registry_refused`, after those of the same address before it, so that exactly so
   * many fail. Throws `too_many_requests`.
   */
  checked<T>(request: FastifyRequest, check: () => T | Promise<T>): Promise<T>
}

/** Requests of one user that may wait for those before them. */
export const MAX_WAITING = 16

export interface RateLimits {
  /** Counts one request of its address. Throws `too_many_requests`. */
  address(request: FastifyRequest): Promise<void>
  readonly key: KeyLimit
  readonly signatures: SignatureLimit
  /**
   * Runs what a user has asked for after what the same user asked for before: whoever asks for what is dear, again and again,
   * waits for it alone. Throws `too_many_requests` where `MAX_WAITING` wait.
   */
  inTurn<T>(user: string, work: () => Promise<T>): Promise<T>
  /** Of registry changes, by the id that they change; one after another, so that exactly so many pass. */
  readonly subject: KeyLimit
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>

async function take(limiter: Limiter, request: FastifyRequest, increment: boolean): Promise<void> {
  const state = await limiter(request, { increment })
  if (state.isAllowed) return
  // A look without counting must refuse what the next count would refuse.
  const exceeded = increment ? state.isExceeded : state.remaining === 0
  if (exceeded) throw httpError('too_many_requests', { retry_after_s: Math.max(1, state.ttlInSeconds) })
}

/** Counters are kept for the 5,000 addresses, keys and subjects seen last, so their memory is bounded. */
export async function createRateLimits(
  app: FastifyInstance,
  clients: Clients,
  perAddress = DEFAULT_PER_ADDRESS,
): Promise<RateLimits> {
  await app.register(rateLimit, { global: false })
  app.decorateRequest('limitedKey', '')
  const addressOf = (request: FastifyRequest): string => normalizeIP(clients.of(request).address)
  const addresses = app.createRateLimit({ max: perAddress, timeWindow: WINDOW_MS, keyGenerator: addressOf })
  const assumed = app.createRateLimit({
    max: ASSUMED_ADDRESSES * perAddress,
    timeWindow: WINDOW_MS,
    keyGenerator: () => 'assumed',
  })
  return {
    async address(request) {
      const isAssumed = clients.of(request).source === 'assumed'
      // Looked at first, so that invented addresses push out no counter; counted last, so that who is refused uses up nothing.
      if (isAssumed) await take(assumed, request, false)
      await take(addresses, request, true)
      if (isAssumed) await take(assumed, request, true)
    },
    key: createKeyLimit(app, PER_KEY, WINDOW_MS),
    signatures: createSignatureLimit(app, addressOf),
    inTurn: createUserTurns(),
    subject: oneAfterAnother(
      inBoth(createKeyLimit(app, PER_SUBJECT, MINUTE_MS), createKeyLimit(app, PER_SUBJECT_DAILY, DAY_MS)),
    ),
  }
}

function createKeyLimit(app: FastifyInstance, max: number, timeWindow: number): KeyLimit {
  const keys = app.createRateLimit({ max, timeWindow, keyGenerator: (request) => request.limitedKey })
  return {
    async within(request, key, work) {
      request.limitedKey = key
      await take(keys, request, false)
      const result = await work()
      await take(keys, request, true)
      return result
    },
  }
}

function createUserTurns(): RateLimits['inTurn'] {
  const inTurn = createTurnsByKey()
  const waiting = new Map<string, number>()
  return async (user, work) => {
    const before = waiting.get(user) ?? 0
    if (before > MAX_WAITING) throw httpError('too_many_requests', { retry_after_s: 1 })
    waiting.set(user, before + 1)
    try {
      return await inTurn(user, work)
    } finally {
      const left = (waiting.get(user) ?? 1) - 1
      if (left === 0) waiting.delete(user)
      else waiting.set(user, left)
    }
  }
}

const DOES_NOT_HOLD = ['bad_signature', 'registry_refused'] as const

function createSignatureLimit(app: FastifyInstance, addressOf: (request: FastifyRequest) => string): SignatureLimit {
  const wrong = app.createRateLimit({ max: WRONG_PER_ADDRESS, timeWindow: WINDOW_MS, keyGenerator: addressOf })
  const inOrder = oneAfterAnother({
    async within(request, _address, check) {
      await take(wrong, request, false)
      try {
        return await check()
      } catch (error) {
        if (DOES_NOT_HOLD.some((code) => isSolarError(error, code))) await wrong(request, { increment: true })
        throw error
      }
    },
  })
  return { checked: (request, check) => inOrder.within(request, addressOf(request), check) }
}

const inBoth = (one: KeyLimit, other: KeyLimit): KeyLimit => ({
  within: (request, key, work) => one.within(request, key, () => other.within(request, key, work)),
})

/** Work of one key waits for the work of that key before it: what has not succeeded yet is not counted yet. */
function oneAfterAnother(limit: KeyLimit): KeyLimit {
  const inTurn = createTurnsByKey()
  return { within: (request, key, work) => inTurn(key, () => limit.within(request, key, work)) }
}

function createTurnsByKey(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return async (key, work) => {
    const before = last.get(key)
    const run = (async () => {
      await before?.catch(() => undefined)
      return await work()
    })()
    last.set(key, run)
    try {
      return await run
    } finally {
      if (last.get(key) === run) last.delete(key)
    }
  }
}
