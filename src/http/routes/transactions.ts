import { edgeTimeBound } from '../../protocol/edge.ts'
import { isJsonObject, refuse, type Shape } from '../../protocol/shape.ts'
import type { ShownTransaction } from '../../protocol/transaction.ts'
import { ledgerError } from '../../ports/errors.ts'
import type { ChainLedger, Ledger } from '../../ports/ledger.ts'
import type { TransactionPlace } from '../../ports/market-store.ts'
import type { Caller } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { arrayOf, documented, integerInQuery, named, nullableOf, objectOf, textOf, type Schema } from '../schema.ts'
import { receipt } from '../receipt-schema.ts'
import { hash, height, idIn } from '../schemas.ts'
import { shownTransaction } from '../transaction-schemas.ts'

const DEFAULT_PAGE = 100
const MAX_PAGE = 1_000

const cursor = textOf(/^[\x21-\x7e]{1,256}$/, 'the `next` of the page before', '1760000400000.trade-1')
/** An end of a range of times; one in seconds would find everything, or nothing, without a word. */
const bound = (description: string, example: number) => {
  const integer = integerInQuery(description, example)
  return { ...integer, shape: (value: unknown, path: string) => edgeTimeBound(integer.shape(value, path), path) }
}
const query = objectOf(
  {},
  {
    from: bound('Unix ms, inclusive; 0 if absent', 1_760_000_000_000),
    to: bound('Unix ms, exclusive; no end if absent', 1_760_086_400_000),
    user_id: idIn('household-7'),
    corrects: idIn('trade-1'),
    after: cursor,
    limit: integerInQuery('rows of a page', DEFAULT_PAGE, 1, MAX_PAGE),
  },
)

/** A transaction with the place where it is; hash and height are null until it is sealed. */
type Placed = ShownTransaction & Pick<TransactionPlace, 'tx_hash' | 'block_hash' | 'height'>
const place = objectOf({ tx_hash: hash, block_hash: nullableOf(hash), height: nullableOf(height) })
const placedShape: Shape<Placed> = (value, path) => {
  if (!isJsonObject(value)) refuse(path, 'an object', value)
  const { tx_hash, block_hash, height: at, ...rest } = value
  const own = rest.kind === 'redacted' ? { ...rest, tx_hash } : rest
  return { ...shownTransaction.shape(own, path), ...place.shape({ tx_hash, block_hash, height: at }, path) }
}
const placed: Schema<Placed> = named(
  'PlacedTransaction',
  documented(
    placedShape,
    {
      type: 'object',
      properties: place.json.properties,
      required: place.json.required,
      description: 'and the fields of a Transaction, or of a redacted one',
    },
    { ...shownTransaction.example, ...place.example },
  ),
)
const placedOf = ({ transaction: tx, tx_hash, block_hash, height: at }: TransactionPlace): Placed => ({
  ...tx,
  tx_hash,
  block_hash,
  height: at,
})

/** A device sees its own user's; roles may ask for one user's or for all. */
function userAskedFor(caller: Caller, asked: string | undefined): string | undefined {
  if (caller.kind !== 'device') return asked
  if (asked !== undefined && asked !== caller.userId) {
    throw ledgerError('forbidden', { reason: 'a device reads the transactions of its own user' })
  }
  return caller.userId
}

/** `GET /transactions/{id}/receipt`. */
export const receiptCall = (ledger: Pick<ChainLedger, 'receipt'>): Call =>
  defineCall({
    method: 'GET',
    path: '/transactions/{id}/receipt',
    access: { roles: ['platform', 'auditor'], others: 'signed-request' },
    summary: 'The receipt of a transaction: proof of it that needs nobody who can be asked',
    description: 'For a device of one of its two parties. `solar-node verify` checks it offline.',
    params: objectOf({ id: idIn('trade-1') }),
    answer: receipt,
    statuses: { 200: 'The receipt, under vote policies up to the last final header' },
    handle: async ({ params, caller }) => ({
      status: 200,
      body: await ledger.receipt(params.id, caller.kind === 'device' ? caller.userId : undefined),
    }),
  })

/** What was traded. */
export const transactionCalls = (ledger: Ledger): readonly Call[] => [
  receiptCall(ledger),
  defineCall({
    method: 'GET',
    path: '/transactions',
    access: { roles: ['platform', 'auditor'], others: 'signed-request' },
    summary: 'Transactions by time',
    description: 'A device gets those of its own user. The next page is asked for with `after` = `next`.',
    query,
    answer: objectOf({ transactions: arrayOf(placed), next: nullableOf(cursor) }),
    statuses: { 200: 'A page; `next` is null on the last' },
    handle: async ({ query: { from, to, user_id: asked, corrects, after, limit }, caller }) => {
      const user_id = userAskedFor(caller, asked)
      const page = await ledger.transactions({
        ...(user_id !== undefined && { user_id }),
        ...(corrects !== undefined && { corrects }),
        from: from ?? 0,
        to: to ?? Number.MAX_SAFE_INTEGER,
        ...(after !== undefined && { after }),
        limit: limit ?? DEFAULT_PAGE,
      })
      return { status: 200, body: { transactions: page.transactions.map(placedOf), next: page.next } }
    },
  }),
]
