import { setTimeout as pause } from 'node:timers/promises'
import type { PlatformTick, TickAnswer } from '../../../src/ports/ledger.ts'
import type { Witness } from './witness.ts'

/** An answer that no retry can help. */
export class Refused extends Error {}

/** HTTP calls that insist: while the authority is gone they are repeated, as a real platform does. */
export interface Platform {
  call(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown>
}

/** Lets calls out, or holds them back before they are tried, so that a check can look at a chain that stands still. */
export interface Valve {
  open(): void
  close(): void
  /** Resolves while it is open. */
  passed(): Promise<void>
}

export function createValve(): Valve {
  let opened = Promise.withResolvers<undefined>()
  let isOpen = false
  return {
    open() {
      isOpen = true
      opened.resolve(undefined)
    },
    close() {
      if (isOpen) opened = Promise.withResolvers()
      isOpen = false
    },
    async passed() {
      while (!isOpen) await opened.promise
    },
  }
}

/** What a caller needs of a running authority. */
export interface PlatformParts {
  readonly url: string
  /** Read anew while the authority makes it. */
  readonly tokens: () => Promise<{ readonly operator: string; readonly platform: string }>
  readonly valve: Valve
  readonly signal: AbortSignal
}

const RETRY_MS = 15

export function createPlatform({ url, tokens, valve, signal }: PlatformParts): Platform {
  return {
    async call(method, path, body) {
      for (;;) {
        await valve.passed()
        signal.throwIfAborted()
        const { operator, platform } = await tokens()
        const token = path === '/ticks/run/' ? operator : platform
        const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
        let response: Response
        let text: string
        try {
          const init = { method, headers, ...(body && { body: JSON.stringify(body) }) }
          response = await fetch(`${url}${path}`, init)
          text = await response.text()
        } catch {
          // Killed before it answered: nobody knows what became of the tick, so it is sent again.
          await pause(RETRY_MS)
          continue
        }
        if (text.includes('"code":"not_leading"')) {
          // It has not got the lead of its shared database yet, as after its last life was killed.
          await pause(RETRY_MS)
          continue
        }
        if (!response.ok) throw new Refused(`${method} ${path}: ${response.status} ${text}`)
        return JSON.parse(text) as unknown
      }
    },
  }
}

export const TRADES_A_TICK = 40

/** A tick of trades between the two households and others. */
export function platformTick(worker: string, n: number): PlatformTick {
  const tick_id = `${worker}:${n}`
  const timestamp = Date.now()
  const parties = [
    ['ada', 'ben'],
    ['carla', 'ada'],
    ['dan', 'carla'],
  ] as const
  return {
    tick_id,
    timestamp,
    transactions: Array.from({ length: TRADES_A_TICK }, (_, i) => {
      const [from_user_id, to_user_id] = parties[i % parties.length] ?? parties[0]
      const [kwh, total_amount] = [`${i + 1}`, `${i + 1}`]
      return {
        ...{ kind: 'trade', id: `${tick_id}:${i}`, from_user_id, to_user_id },
        ...{ kwh, price_per_kwh: '1', total_amount, timestamp },
      }
    }),
  }
}

export interface Load {
  /** Every tick that was sent, answered or not, by id. */
  readonly sent: ReadonlyMap<string, PlatformTick>
  /** Market ticks that were run. */
  readonly markets: number
  /** Rejects as soon as a call is refused. */
  readonly done: Promise<void>
  /** No tick after the one in hand; resolves when each of those is answered. */
  stop(): Promise<void>
}

/** Trading without end: platform engines that post ticks, and a market that orders are put into. */
export function startLoad(platform: Platform, witness: Witness): Load {
  const sent = new Map<string, PlatformTick>()
  let markets = 0
  let stopping = false

  async function post(tick: PlatformTick): Promise<void> {
    witness.answered((await platform.call('POST', '/ticks/', tick)) as TickAnswer)
  }

  async function engine(worker: string): Promise<void> {
    for (let n = 0; !stopping; n++) {
      const tick = platformTick(worker, n)
      sent.set(tick.tick_id, tick)
      // An engine that is impatient: it sends a tick on two connections at once, and an old one again.
      const old = n % 4 === 3 ? sent.get(`${worker}:${n - 2}`) : undefined
      const twice = n % 3 === 2 ? tick : undefined
      await Promise.all([tick, twice, old].flatMap((one) => (one === undefined ? [] : [post(one)])))
    }
  }

  async function market(): Promise<void> {
    for (; !stopping; markets++) {
      const order = { kwh: '1', price_per_kwh: '0.2', timestamp: Date.now() }
      await platform.call('POST', '/orders/', { ...order, order_id: `sell:${markets}`, user_id: 'ada', side: 'sell' })
      await platform.call('POST', '/orders/', { ...order, order_id: `buy:${markets}`, user_id: 'ben', side: 'buy' })
      const answer = (await platform.call('POST', '/ticks/run/', { tick_id: `market:${markets}` })) as TickAnswer
      witness.answered(answer)
      const { length } = answer.transactions
      if (length !== 1) witness.complain(`tick market:${markets} made ${length} trades out of one pair of orders`)
    }
  }

  const done = Promise.all([engine('north'), engine('south'), market()]).then(() => undefined)
  done.catch(() => undefined)
  return {
    sent,
    done,
    get markets() {
      return markets
    },
    stop: () => ((stopping = true), done),
  }
}
