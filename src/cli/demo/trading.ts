import { setTimeout as pause } from 'node:timers/promises'
import { systemRandomBytes } from '../../node/clock.ts'
import type { TickAnswer } from '../../ports/ledger.ts'
import type { ShownBlock } from '../../protocol/block.ts'
import { bytesToHex, type Hash } from '../../protocol/bytes.ts'
import { formatQuantity } from '../../protocol/decimal.ts'
import type { Order } from '../../protocol/order.ts'
import { signObject, type SigningKey } from '../../protocol/signature.ts'
import { post, troubleOf } from './authority-calls.ts'
import { TICK_MS, type ModelClock } from './model-clock.ts'
import { modelOrder, type Household, type ModelOrder } from './model.ts'
import type { DemoPrinter } from './printer.ts'

/** A household of the demo: what it has, and the key in its node's folder. */
export interface DemoHousehold extends Household {
  readonly key: SigningKey
}

export interface TradingParts {
  /** Of the authority, without a slash at the end. */
  readonly url: string
  readonly operatorToken: string
  readonly chainId: Hash
  readonly households: readonly DemoHousehold[]
  readonly clock: ModelClock
  /** Real milliseconds between two ticks. */
  readonly tickMs: number
  /** Throws `unknown_block`. */
  readonly block: (hash: Hash) => Promise<ShownBlock>
  readonly printer: DemoPrinter
}

/** A quarter of an hour in which somebody has energy to spare. Its orders keep their ids, so it can be posted again. */
interface Quarter {
  /** Its end, Unix ms. */
  readonly timestamp: number
  readonly orders: readonly Order[]
}

/** So long a quarter waits that an authority did not take. */
const RETRY_MS = 1_000

export interface Trading {
  /** Resolves when the model clock has nothing left, or trading was stopped. */
  readonly over: Promise<void>
  stop(): Promise<void>
}

/** Lets the households post signed orders and the operator run a tick, over the authority's own HTTP, quarter after quarter. */
export function startTrading(parts: TradingParts): Trading {
  const { url, chainId, households, clock, tickMs, printer } = parts
  const keys = new Map(households.map(({ id, key }) => [id, key]))
  const stopping = new AbortController()
  const { signal } = stopping
  /** What keeps the ticks from being taken, as `troubleOf` names it; each is told once. */
  let trouble: string | undefined

  async function tradeQuarter({ timestamp, orders }: Quarter): Promise<void> {
    for (const order of orders) {
      const key = keys.get(order.user_id)
      if (key === undefined) continue
      const signature = await signObject('order', chainId, order, key)
      await post(`${url}/orders/`, { ...order, signature }, { signal })
    }
    const tick_id = new Date(timestamp - TICK_MS).toISOString()
    const body = { tick_id, timestamp }
    const answer = (await post(`${url}/ticks/run/`, body, { signal, token: parts.operatorToken })) as TickAnswer
    const block = answer.block_hash === null ? null : await parts.block(answer.block_hash)
    printer.tick({ timestamp, orders, answer, block })
  }

  /** Until the authority has taken it, or refuses it for good. */
  async function tradeUntilTaken(quarter: Quarter): Promise<void> {
    for (;;) {
      try {
        await tradeQuarter(quarter)
        if (trouble !== undefined) printer.recovered()
        trouble = undefined
        return
      } catch (error) {
        if (signal.aborted) throw error
        const { key, message, isRefusal } = troubleOf(error)
        if (key !== trouble) printer.failed(quarter.timestamp, message)
        trouble = key
        if (isRefusal) return
        await pause(RETRY_MS, undefined, { signal })
      }
    }
  }

  async function run(): Promise<void> {
    try {
      for (
        let quarter = nextQuarter(clock, households);
        quarter !== undefined;
        quarter = nextQuarter(clock, households)
      ) {
        await tradeUntilTaken(quarter)
        await pause(tickMs, undefined, { signal })
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  const over = run()
  return {
    over,
    async stop() {
      stopping.abort()
      await over
    },
  }
}

/** The next quarter in which somebody has energy to spare: the night is passed over. `undefined` when the run is over. */
function nextQuarter(clock: ModelClock, households: readonly Household[]): Quarter | undefined {
  for (let timestamp = clock.next(); timestamp !== undefined; timestamp = clock.next()) {
    const orders = ordersAt(households, timestamp)
    if (orders.some(({ side }) => side === 'sell')) return { timestamp, orders }
  }
  return undefined
}

function ordersAt(households: readonly Household[], timestamp: number): readonly Order[] {
  const random = (): number => (systemRandomBytes(1)[0] ?? 0) / 256
  return households.flatMap((household) => {
    const wanted = modelOrder(household, timestamp, random)
    return wanted === null ? [] : [orderOf(household.id, wanted, timestamp)]
  })
}

function orderOf(user_id: string, wanted: ModelOrder, timestamp: number): Order {
  return {
    order_id: bytesToHex(systemRandomBytes(16)),
    user_id,
    side: wanted.side,
    kwh: toQuantity(wanted.kwh),
    price_per_kwh: toQuantity(wanted.pricePerKwh),
    timestamp,
    valid_until: timestamp + 1,
  }
}

/** The model's numbers have 3 decimals. */
const toQuantity = (value: number): string => formatQuantity(BigInt(Math.round(value * 1000)) * 1000n)
