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
  /**
   * Runs `work` if `key` has not used up its window, and counts it once it has succeeded. Throws `too_many_requests`.
   *
   * @param isWork false for what has changed nothing, and is not counted; all counts if absent
   */
  within<T>(
    request: FastifyRequest,
    key: string,
    work: () => T | Promise<T>,
    isWork?: (result: T) => boolean,
  ): Promise<T>
}

/** Bounds the checks of signatures from an address whose signatures do not hold. */
export interface SignatureLimit {
  /** Runs a check that throws `bad_signature` or `registry_refused`, which counts. Throws `too_many_requests`. */
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
  /** Of registry changes, by the id that they change. */
  readonly subject: {
    within<T>(request: FastifyRequest, key: string, work: () => T | Promise<T>): Promise<T>
  }
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>

const tooMany = (ttlInSeconds: number): Error =>
  httpError('too_many_requests', { retry_after_s: Math.max(1, ttlInSeconds) })

/** Counts one. Throws `too_many_requests`. */
async function count(limiter: Limiter, request: FastifyRequest): Promise<void> {
  const state = await limiter(request, { increment: true })
  if (!state.isAllowed && state.isExceeded) throw tooMany(state.ttlInSeconds)
}

/** How many more may count now, at least one. Throws `too_many_requests`. */
async function leftOf(limiter: Limiter, request: FastifyRequest): Promise<number> {
  const state = await limiter(request, { increment: false })
  if (state.isAllowed) return Infinity
  if (state.remaining === 0) throw tooMany(state.ttlInSeconds)
  return state.remaining
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
      if (isAssumed) await leftOf(assumed, request)
      await count(addresses, request)
      if (isAssumed) await count(assumed, request)
    },
    key: createKeyLimit(app, PER_KEY, WINDOW_MS),
    signatures: createSignatureLimit(app, addressOf),
    inTurn: createUserTurns(),
    subject: createSubjectLimit(app),
  }
}

function createKeyLimit(app: FastifyInstance, max: number, timeWindow: number): KeyLimit {
  const keys = app.createRateLimit({ max, timeWindow, keyGenerator: (request) => request.limitedKey })
  return {
    async within(request, key, work, isWork = () => true) {
      request.limitedKey = key
      await leftOf(keys, request)
      const result = await work()
      if (isWork(result)) await count(keys, request)
      return result
    },
  }
}

type ExactLimit = RateLimits['subject']

/** What of a key is in hand, and who waits for a place. */
interface InHand {
  places: number
  /** How many have left their place so far. */
  ended: number
  readonly waiting: (() => void)[]
  /** Of those that have a place, or want one. */
  requests: number
}

/**
 * A limit that holds exactly, though it is known only afterwards whether something counts: no more is in hand at one time
 * than may still count. Beyond that requests of the key wait in order.
 *
 * @param counts whether what has ended counts, by what it has thrown; `undefined`: it succeeded
 */
function createExactLimit(limiter: Limiter, counts: (error: unknown) => boolean): ExactLimit {
  const keys = new Map<string, InHand>()

  /** Resolves when the request has its place. Throws `too_many_requests`. */
  async function enter(request: FastifyRequest, own: InHand): Promise<void> {
    let isFirst = true
    try {
      for (;;) {
        const { ended } = own
        const left = await leftOf(limiter, request)
        // What has ended meanwhile may have counted.
        if (ended !== own.ended) continue
        if (own.places < left) break
        await new Promise<void>((resolve) => (isFirst ? own.waiting.push(resolve) : own.waiting.unshift(resolve)))
        isFirst = false
      }
      own.places++
    } finally {
      // There may be room for one more, or none for anybody.
      own.waiting.shift()?.()
    }
  }

  async function inPlace<T>(request: FastifyRequest, own: InHand, work: () => T | Promise<T>): Promise<T> {
    await enter(request, own)
    let error: unknown
    try {
      return await work()
    } catch (thrown) {
      error = thrown
      throw thrown
    } finally {
      if (counts(error)) await limiter(request, { increment: true })
      own.places--
      own.ended++
      own.waiting.shift()?.()
    }
  }

  return {
    async within(request, key, work) {
      const own = keys.get(key) ?? { places: 0, ended: 0, waiting: [], requests: 0 }
      keys.set(key, own)
      own.requests++
      try {
        return await inPlace(request, own, work)
      } finally {
        own.requests--
        if (own.requests === 0) keys.delete(key)
      }
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
  const limit = createExactLimit(wrong, (error) => DOES_NOT_HOLD.some((code) => isSolarError(error, code)))
  return { checked: (request, check) => limit.within(request, addressOf(request), check) }
}

function createSubjectLimit(app: FastifyInstance): ExactLimit {
  const limit = (max: number, timeWindow: number): ExactLimit =>
    createExactLimit(
      app.createRateLimit({ max, timeWindow, keyGenerator: (request) => request.limitedKey }),
      (error) => error === undefined,
    )
  const minute = limit(PER_SUBJECT, MINUTE_MS)
  const day = limit(PER_SUBJECT_DAILY, DAY_MS)
  return {
    within(request, key, work) {
      request.limitedKey = key
      return minute.within(request, key, () => day.within(request, key, work))
    },
  }
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
