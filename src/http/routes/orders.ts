import { verifyOrderSignature, type Order } from '../../protocol/order.ts'
import { isJsonObject } from '../../protocol/shape.ts'
import { ledgerError } from '../../ports/errors.ts'
import type { Ledger } from '../../ports/ledger.ts'
import type { OrderState } from '../../ports/market-store.ts'
import { challengeOf, userOfCaller, type Access, type Caller } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { httpError } from '../problem.ts'
import type { RateLimits } from '../rate-limits.ts'
import { arrayOf, choiceOf, named, nullableOf, objectOf } from '../schema.ts'
import { decimalIn, hash, id, idIn, signature, decimalAsSigned, timeIn } from '../schemas.ts'

const orderFields = (decimal: typeof decimalIn) => ({
  order_id: idIn('order-1'),
  user_id: idIn('household-7'),
  side: choiceOf('sell', 'buy'),
  kwh: decimal('1.25'),
  price_per_kwh: decimal('0.2'),
  timestamp: timeIn,
})
const orderBody = objectOf(orderFields(decimalIn), { valid_until: timeIn, signature })
const signedOrderBody = objectOf({ ...orderFields(decimalAsSigned), signature }, { valid_until: timeIn })
/** What is signed is spelled as it is signed. */
const orderIn: typeof orderBody = {
  ...orderBody,
  shape: (value, path) =>
    (isJsonObject(value) && Object.hasOwn(value, 'signature') ? signedOrderBody : orderBody).shape(value, path),
}
type OrderLimits = Pick<RateLimits, 'key' | 'signatures'>
const mayOrder: Access = { roles: ['platform', 'operator'], others: 'signed-body' }

/** Throws unless one of the user's registered devices signed the order. */
async function checkSignature(ledger: Ledger, order: Order, signature: string): Promise<void> {
  const devices = await ledger.devicesOf(order.user_id)
  // Who has a pseudonym is nobody's business.
  if (devices.length === 0 && ledger.privacy !== 'pseudonymous') {
    throw ledgerError('unknown_voter', { voter_id: order.user_id, reason: 'this user has no registered device' })
  }
  const signed = { ...order, signature }
  if (devices.some((device) => verifyOrderSignature(signed, ledger.chainId, device.public_key))) return
  throw ledgerError('bad_signature', { signer: order.user_id })
}

const placeCall = (ledger: Ledger, limits: OrderLimits): Call =>
  defineCall({
    method: 'POST',
    path: '/orders/',
    access: mayOrder,
    summary: 'Places an order',
    description:
      'Signed (type `order`) by a device of the user, or without signature with a token. A signature that is there is checked whoever sends it; it is over the order as it is stored (ids and quantities in their one spelling), so the quantities of a signed order come in that spelling. The same order_id again is 200, with other content 409. An order for one moment only (valid_until = timestamp + 1) is 409 once a market tick has run at that time.',
    body: orderIn,
    answer: objectOf({ order_id: id('order-1') }),
    statuses: { 201: 'Placed', 200: 'Placed before' },
    handle: async ({ body, caller, request }) => {
      const { signature, ...order } = body
      const { order_id, user_id } = order
      const place = async () => {
        if (signature !== undefined) {
          const check = () => checkSignature(ledger, order, signature)
          await (caller.kind === 'role' ? check() : limits.signatures.checked(request, check))
        }
        return ledger.placeOrder(order)
      }
      if (signature === undefined && caller.kind !== 'role') {
        throw httpError('missing_credential', { accepted: `a signature, or ${challengeOf(mayOrder)}` })
      }
      const placed = caller.kind === 'role' ? await place() : await limits.key.within(request, `user ${user_id}`, place)
      const headers = { location: `/orders/${encodeURIComponent(order_id)}` }
      return { status: placed === 'created' ? 201 : 200, body: { order_id }, headers }
    },
  })

const orderAnswer = named(
  'OrderAnswer',
  objectOf({
    order_id: id('order-1'),
    status: choiceOf('partial', 'open', 'filled', 'expired', 'cancelled'),
    transactions: arrayOf(objectOf({ id: id('trade-1'), tx_hash: hash, block_hash: nullableOf(hash) })),
  }),
)
const answerOf = ({ order, status, transactions }: OrderState) => ({ order_id: order.order_id, status, transactions })

const readCall = (ledger: Ledger): Call =>
  defineCall({
    method: 'GET',
    path: '/orders/{order_id}',
    access: { roles: ['platform'], others: 'signed-request' },
    summary: 'What became of an order',
    description: 'A device reads the orders of its own user. block_hash is null until the tick is sealed.',
    params: objectOf({ order_id: idIn('order-1') }),
    answer: orderAnswer,
    statuses: { 200: 'The order' },
    handle: async ({ params, caller }) => ({
      status: 200,
      body: answerOf(await ownOrder(ledger, params.order_id, caller)),
    }),
  })

const cancelCall = (ledger: Ledger): Call =>
  defineCall({
    method: 'DELETE',
    path: '/orders/{order_id}',
    access: { roles: ['platform', 'operator'], others: 'signed-request' },
    summary: 'Takes what is left of an order out of the book',
    description:
      'A device cancels the orders of its own user. The answer says what became of the order: what was traded stays traded, and where nothing was left nothing changes. The order_id stays taken.',
    params: objectOf({ order_id: idIn('order-1') }),
    answer: orderAnswer,
    statuses: { 200: 'The order as it is now' },
    handle: async ({ params, caller }) => {
      await ownOrder(ledger, params.order_id, caller)
      return { status: 200, body: answerOf(await ledger.cancelOrder(params.order_id)) }
    },
  })

/** Throws `unknown_order`, or `forbidden` for a device of another user. */
async function ownOrder(ledger: Ledger, orderId: string, caller: Caller): Promise<OrderState> {
  const state = await ledger.order(orderId)
  const own = userOfCaller(caller)
  if (own === undefined || own === state.order.user_id) return state
  throw ledgerError('forbidden', { reason: 'the order belongs to another user' })
}

/** The built-in market, from outside. */
export const orderCalls = (ledger: Ledger, limits: OrderLimits): readonly Call[] => [
  placeCall(ledger, limits),
  readCall(ledger),
  cancelCall(ledger),
]
