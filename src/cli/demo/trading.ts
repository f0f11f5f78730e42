import { bytesToHex } from '../../protocol/bytes.ts'
import { formatQuantity } from '../../protocol/decimal.ts'
import type { Order } from '../../protocol/order.ts'
import { signObject } from '../../protocol/signature.ts'
import type { TickAnswer } from '../../ports/ledger.ts'
import { systemRandomBytes } from '../../node/clock.ts'
import type { DemoHousehold } from './demo.ts'
import { HOUSEHOLDS, modelOrder, TICK_MINUTES } from './model.ts'
import type { DemoPrinter } from './printer.ts'

export interface TradingParts {
  readonly url: string
  readonly operatorToken: string
  readonly chainId: string
  readonly households: readonly DemoHousehold[]
  /** Model time of the first tick, Unix ms. */
  readonly startAt: number
  readonly tickMs: number
  readonly printer: DemoPrinter
}

const TICK_MODEL_MS = TICK_MINUTES * 60_000

/** Lets the households post signed orders and the operator run a tick, over the authority's own HTTP, until stopped. */
export function createTrading(parts: TradingParts) {
  const { households, printer, tickMs } = parts
  const random = (): number => (systemRandomBytes(1)[0] ?? 0) / 256
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let stopped = false

  async function tick(timestamp: number): Promise<void> {
    const orders = households.flatMap((household, index) => {
      const model = HOUSEHOLDS[index]
      const wanted = model && modelOrder(model, timestamp, random)
      return wanted ? [{ household, order: orderOf(household.id, wanted, timestamp) }] : []
    })
    for (const { household, order } of orders) {
      const signature = signObject('order', parts.chainId, order, household.key)
      await post('/orders/', { ...order, signature })
    }
    const tick_id = new Date(timestamp - TICK_MODEL_MS).toISOString()
    const answer = (await post('/ticks/run/', { tick_id, timestamp }, parts.operatorToken)) as TickAnswer
    printer.tick(
      timestamp,
      orders.map(({ order }) => order),
      answer,
    )
  }

  async function post(path: string, body: object, token?: string): Promise<unknown> {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const response = await fetch(`${parts.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
    return await response.json()
  }

  function next(timestamp: number): void {
    if (stopped) return
    running = tick(timestamp).catch((error: unknown) => {
      if (!stopped) printer.failed(error)
    })
    void running.then(() => {
      if (!stopped) timer = setTimeout(() => next(timestamp + TICK_MODEL_MS), tickMs)
    })
  }

  return {
    start: (): void => next(parts.startAt),
    async stop(): Promise<void> {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

function orderOf(
  user_id: string,
  wanted: { side: 'buy' | 'sell'; kwh: number; pricePerKwh: number },
  timestamp: number,
): Order {
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
