import { parseQuantity } from '../../protocol/decimal.ts'
import { isSolarError } from '../../protocol/errors.ts'
import type { Order } from '../../protocol/order.ts'
import { isJsonObject } from '../../protocol/shape.ts'
import { usersOnChain } from '../user-on-chain.ts'
import { replayError } from './errors.ts'
import { problemOf, type HttpAnswer, type HttpClient } from './http-client.ts'

/** What a replay asks of an authority (docs/protocol.md 9). Errors are those of ./errors. */
export interface Authority {
  /** Throws `no_access` for a token of another role than the operator's, before anything is posted with it. */
  checkOperator(): Promise<void>
  /** In which the chain counts money. */
  currency(): Promise<string>
  /** Height of the newest block; -1 on an empty chain. */
  tipHeight(): Promise<number>
  /** What the chain calls a household: on a pseudonymous ledger another id than its meter's. */
  nameOf(household: string): Promise<string>
  placeOrder(order: Order): Promise<PlacedOrder>
  runTick(tickId: string, timestamp: number): Promise<TickResult>
}

export type PlacedOrder =
  /** `too_small`: the authority's minimum is greater than ours. */
  | { readonly outcome: 'created' | 'same' | 'too_small' }
  /** The tick of the order's interval has run without it: it would never trade, so it was not placed. */
  | { readonly outcome: 'closed'; readonly tickId: string }

export interface TickResult {
  /** null if nothing traded: then there is no block. */
  readonly height: number | null
  readonly block_hash: string | null
  readonly trades: number
  readonly kwhMicro: bigint
  /** What the trades cost together, in micro-units of the chain's currency. */
  readonly amountMicro: bigint
}

export function createAuthorityClient(http: HttpClient): Authority {
  return {
    // The one call that is the operator's alone and changes nothing. A proxy that hides it says nothing about the token.
    checkOperator: async () => refuseRole('replay', await http.get('metrics'), OPERATOR_HINT),
    currency: async () => {
      const what = 'GET genesis'
      const { genesis } = okBody(what, await http.get('genesis'))
      if (isJsonObject(genesis) && typeof genesis.currency === 'string') return genesis.currency
      throw replayError('bad_answer', { what, expected: 'currency' })
    },
    tipHeight: async () => {
      const what = 'GET blocks/latest-headers'
      const answer = okBody(what, await http.get('blocks/latest-headers/?n=1'))
      return heightOf(what, answer.tip_height, 'tip_height') ?? -1
    },
    nameOf: usersOnChain(http),
    placeOrder: async (order) => {
      const answer = await http.post('orders/', order)
      const { code } = problemOf(answer.body)
      if (code === 'order_too_small') return { outcome: 'too_small' }
      if (code === 'interval_closed') return { outcome: 'closed', tickId: closedBy(answer.body, order) }
      okBody(`order ${order.order_id}`, answer)
      return { outcome: answer.status === 201 ? 'created' : 'same' }
    },
    runTick: async (tick_id, timestamp) => {
      const what = `tick ${tick_id}`
      const answer = okBody(what, await http.post('ticks/run/', { tick_id, timestamp }))
      const height = heightOf(what, answer.height, 'height')
      if (height === null) return { height, block_hash: null, trades: 0, kwhMicro: 0n, amountMicro: 0n }
      const { block_hash } = answer
      if (typeof block_hash !== 'string') throw replayError('bad_answer', { what, expected: 'block_hash' })
      return { height, block_hash, ...(await tradedIn(http, block_hash)) }
    },
  }
}

function closedBy(body: unknown, { order_id }: Order): string {
  if (isJsonObject(body) && typeof body.tick_id === 'string') return body.tick_id
  throw replayError('bad_answer', { what: `order ${order_id}`, expected: 'tick_id' })
}

type Traded = Pick<TickResult, 'trades' | 'kwhMicro' | 'amountMicro'>

/** The answer to a tick names its trades by hash only; how much they moved is in the block. */
async function tradedIn(http: HttpClient, blockHash: string): Promise<Traded> {
  const what = `GET blocks/${blockHash}`
  const { transactions } = okBody(what, await http.get(`blocks/${blockHash}`))
  if (!Array.isArray(transactions)) throw replayError('bad_answer', { what, expected: 'transactions' })
  let trades = 0
  let kwhMicro = 0n
  let amountMicro = 0n
  for (const row of transactions as readonly unknown[]) {
    // A redacted body still counts as a trade; its energy is no longer told.
    trades++
    if (!isJsonObject(row) || typeof row.kwh !== 'string' || typeof row.total_amount !== 'string') continue
    kwhMicro += quantityOf(what, row.kwh)
    amountMicro += quantityOf(what, row.total_amount)
  }
  return { trades, kwhMicro, amountMicro }
}

function quantityOf(what: string, text: string): bigint {
  try {
    return parseQuantity(text)
  } catch (error) {
    if (isSolarError(error))
      throw replayError('bad_answer', { what, expected: 'kwh and total_amount that are quantities' }, error)
    throw error
  }
}

function heightOf(what: string, value: unknown, name: string): number | null {
  if (value === null || (typeof value === 'number' && Number.isSafeInteger(value))) return value
  throw replayError('bad_answer', { what, expected: name })
}

const OPERATOR_HINT =
  'this takes the operator token of the authority; give it with --token-file FILE, a file with nothing but the ' +
  'value of "operator" from tokens.json in the --data folder of the authority'

/** Throws `no_access` where the node knows that the token is of no use for a call. */
export function refuseRole(what: string, { status, body }: HttpAnswer, hint: string): void {
  const { code, detail } = problemOf(body)
  if (code !== 'forbidden' && code !== 'bad_credential') return
  throw replayError('no_access', { what, status, hint: `${detail}; ${hint}, nothing was sent` })
}

/** The object of a 2xx answer. Throws `no_access`, `refused`, `bad_answer`. */
export function okBody(what: string, { status, body }: HttpAnswer): Record<string, unknown> {
  const { code, detail } = problemOf(body)
  if (status === 401 || status === 403) {
    throw replayError('no_access', { what, status, hint: OPERATOR_HINT })
  }
  if (code === 'order_conflict') {
    const hint = `${detail}. Was it replayed before with another --feed-in, or has the file changed since? A reading that was traded and is another now goes into a file for --corrections`
    throw replayError('refused', { what, status, code, detail: hint })
  }
  if (status < 200 || status > 299) throw replayError('refused', { what, status, code, detail })
  if (!isJsonObject(body)) throw replayError('bad_answer', { what, expected: 'JSON object' })
  return body
}
