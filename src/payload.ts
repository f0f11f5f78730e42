/**
 * `solar-node/payload`: encrypts and opens the payloads of trades, on Node and in browsers.
 */
export { decryptPayload, encryptPayload } from './payload/payload.ts'
export { recipientOf } from './payload/recipient.ts'
