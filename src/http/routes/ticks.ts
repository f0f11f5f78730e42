import { MAX_TICK_BYTES, MAX_TRANSACTIONS_PER_BLOCK } from '../../protocol/limits.ts'
import { atOnce } from '../../protocol/pieces.ts'
import { arrayInPieces, isJsonObject, withItemsInPieces, type Shape } from '../../protocol/shape.ts'
import { ledgerError } from '../../ports/errors.ts'
import type { Ledger, PlatformRow, PlatformTick, TickAnswer } from '../../ports/ledger.ts'
import { rolesOnly } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { arrayOf, documented, named, nullableOf, objectOf, orEmpty, type Schema } from '../schema.ts'
import { constant, decimalIn, hash, height, id, idIn, payload, reason, signedDecimalIn, timeIn } from '../schemas.ts'

const tradeRow = objectOf(
  {
    id: idIn('trade-1'),
    from_user_id: idIn('household-7'),
    to_user_id: idIn('household-9'),
    kwh: decimalIn('1.25'),
    price_per_kwh: decimalIn('0.2'),
    total_amount: decimalIn('0.25'),
    timestamp: timeIn,
  },
  { kind: constant('trade'), payload },
)
const correctionRow = objectOf({
  kind: constant('correction'),
  id: idIn('correction-1'),
  corrects: idIn('trade-1'),
  kwh_delta: signedDecimalIn('-0.25'),
  amount_delta: signedDecimalIn('-0.05'),
  reason,
  timestamp: timeIn,
})

const tradeOf: Shape<PlatformRow> = (value, path) => {
  const trade = tradeRow.shape(value, path)
  const { id, from_user_id, to_user_id, kwh, price_per_kwh, total_amount, timestamp } = trade
  // Written out: up to 100,000 rows come at once, and a spread costs as much as checking the row.
  const row: PlatformRow = { kind: 'trade', id, from_user_id, to_user_id, kwh, price_per_kwh, total_amount, timestamp }
  return trade.payload === undefined ? row : { ...row, payload: trade.payload }
}
const rowShape: Shape<PlatformRow> = (value, path) =>
  isJsonObject(value) && value.kind === 'correction' ? correctionRow.shape(value, path) : tradeOf(value, path)
const row: Schema<PlatformRow> = named(
  'TickRow',
  documented(rowShape, { oneOf: [tradeRow.json, correctionRow.json] }, { ...tradeRow.example, kind: 'trade' }),
)

const tickOfRows = objectOf({
  tick_id: idIn('2025-10-09T09:00'),
  timestamp: timeIn,
  transactions: arrayOf(row, MAX_TRANSACTIONS_PER_BLOCK),
})
const rowsInPieces = arrayInPieces(rowShape, MAX_TRANSACTIONS_PER_BLOCK)

/** A tick as a platform writes it, whichever way it comes. Throws `malformed`, `tick_too_large`. */
export const tickInPieces = withItemsInPieces(tickOfRows.shape, 'transactions', (rows, path) => {
  // Too many rows are 413, and refused before any of them is looked at.
  if (rows.length <= MAX_TRANSACTIONS_PER_BLOCK) return rowsInPieces(rows, path)
  throw ledgerError('tick_too_large', { count: rows.length, limit: MAX_TRANSACTIONS_PER_BLOCK })
})

const platformTick: Schema<PlatformTick> = {
  ...tickOfRows,
  shape: (value, path) => atOnce(tickInPieces(value, path)),
  inPieces: tickInPieces,
}

const tickAnswer: Schema<TickAnswer> = named(
  'TickAnswer',
  objectOf({
    tick_id: id('2025-10-09T09:00'),
    height: nullableOf(height),
    block_hash: nullableOf(hash),
    header_hash: nullableOf(hash),
    merkle_root: nullableOf(hash),
    transactions: arrayOf(objectOf({ id: id('trade-1'), tx_hash: hash })),
  }),
)
const SEALED = 'Sealed, or height null for a tick that made no block'

const acceptCall = (ledger: Ledger): Call =>
  defineCall({
    method: 'POST',
    path: '/ticks/',
    access: rolesOnly('platform'),
    summary: "An outside engine's tick",
    description:
      'Idempotent by tick_id: the same tick again answers the same, other content is 409. Rows are trades unless `kind` says otherwise; quantities in any exact spelling are written in their one spelling, so a tick spelled otherwise is the same tick; tick_id and nonce of a row are added here. Without transactions it is recorded and makes no block.',
    body: platformTick,
    bodyLimit: MAX_TICK_BYTES,
    answer: tickAnswer,
    statuses: { 200: SEALED },
    handle: async ({ body }) => ({ status: 200, body: await ledger.acceptTick(body) }),
  })

const runCall = (ledger: Ledger): Call =>
  defineCall({
    method: 'POST',
    path: '/ticks/run/',
    access: rolesOnly('operator'),
    summary: 'Runs the built-in market now',
    description: 'A tick_id run before answers the same again.',
    body: orEmpty(objectOf({}, { tick_id: idIn('2025-10-09T09:00'), timestamp: timeIn })),
    answer: tickAnswer,
    statuses: { 200: SEALED },
    handle: async ({ body }) => ({ status: 200, body: await ledger.runTick(body) }),
  })

const proposeCall = (ledger: Ledger): Call =>
  defineCall({
    method: 'POST',
    path: '/blocks/propose/',
    access: rolesOnly('operator'),
    summary: 'Seals the oldest committed, unsealed tick',
    body: orEmpty(objectOf({})),
    answer: tickAnswer,
    statuses: { 200: 'Sealed', 204: 'There is none' },
    handle: async () => {
      const answer = await ledger.proposeNext()
      return answer === undefined ? { status: 204 } : { status: 200, body: answer }
    },
  })

/** How trades get onto the chain. */
export const tickCalls = (ledger: Ledger): readonly Call[] => [proposeCall(ledger), acceptCall(ledger), runCall(ledger)]
