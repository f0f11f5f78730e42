import type { Hash } from './bytes.ts'
import { quantity } from './decimal.ts'
import { identifier, object, oneOf, signatureHex, timestampMs, type TypeOf } from './shape.ts'
import { verifyObject } from './signature.ts'

/** An order to sell or buy energy in the built-in market (docs/protocol.md 9). */
const orderFields = {
  order_id: identifier,
  user_id: identifier,
  side: oneOf('buy', 'sell'),
  kwh: quantity,
  /** The lowest price a seller takes, the highest a buyer pays. */
  price_per_kwh: quantity,
  timestamp: timestampMs,
}
/** `valid_until` (Unix ms, exclusive): ticks from then on no longer match it; absent: open until filled. */
export const orderShape = object(orderFields, { valid_until: timestampMs })
export const signedOrderShape = object({ ...orderFields, signature: signatureHex }, { valid_until: timestampMs })
export type Order = TypeOf<typeof orderShape>
export type SignedOrder = TypeOf<typeof signedOrderShape>

/** True if `order.signature` is `publicKey`'s over the order without it. */
export function verifyOrderSignature(order: SignedOrder, chainId: Hash, publicKey: string): boolean {
  const { signature, ...body } = order
  return verifyObject('order', chainId, body, signature, publicKey)
}
