import { edgeTimeBound } from '../../protocol/edge.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { isJsonObject, refuse, type Shape } from '../../protocol/shape.ts'
import type { ShownTransaction } from '../../protocol/transaction.ts'
import { ledgerError } from '../../ports/errors.ts'
import type { ChainLedger, Ledger } from '../../ports/ledger.ts'
import type { TransactionPlace } from '../../ports/market-store.ts'
import type { Redactor } from '../../ports/retention.ts'
import { ANYONE, userOfCaller, type Access, type Caller } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import {
  arrayOf,
  booleanOf,
  documented,
  integerInQuery,
  named,
  nullableOf,
  objectOf,
  textOf,
  type Schema,
} from '../schema.ts'
import { inclusion, merkleProof, receipt } from '../receipt-schema.ts'
import { blockStatus, hash, header, height, idIn, signature } from '../schemas.ts'
import { shownTransaction } from '../transaction-schemas.ts'
import { names, namesFor } from '../naming.ts'
import { subjectOf } from './blocks.ts'
import { isOwnId } from './users.ts'

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

/** What is of one user: for a device of it, and for the user; a role may see all. */
const OF_USER: Access = { roles: ['platform', 'auditor'], others: 'signed-request', users: true }

/**
 * Who calls for a user sees that user's; roles may ask for one user's or for all. The platform asks by its
 * own ids, an auditor by those on the chain: whoever could ask by others could try out whose they are.
 */
function userAskedFor(caller: Caller, asked: string | undefined, ledger: Ledger): string | undefined {
  const own = userOfCaller(caller)
  if (own !== undefined) {
    if (asked === undefined || isOwnId(asked, own, ledger)) return own
    throw ledgerError('forbidden', { reason: 'a user, or a device of one, reads the own transactions alone' })
  }
  const isPlatform = caller.kind === 'role' && caller.role === 'platform'
  return asked === undefined || !isPlatform ? asked : ledger.userOnChain(asked)
}

/** `GET /transactions/{id}/receipt`. */
export const receiptCall = (ledger: Pick<ChainLedger, 'receipt'>): Call =>
  defineCall({
    method: 'GET',
    path: '/transactions/{id}/receipt',
    access: OF_USER,
    summary: 'The receipt of a transaction: proof of it that needs nobody who can be asked',
    description:
      'For a device of one of its two parties, or one of them by the token of a platform user. `solar-node verify` checks it offline.',
    params: objectOf({ id: idIn('trade-1') }),
    answer: receipt,
    statuses: { 200: 'The receipt, under vote policies up to the last final header' },
    handle: async ({ params, caller }) => ({
      status: 200,
      body: await ledger.receipt(params.id, userOfCaller(caller)),
    }),
  })

const proofAnswer = named(
  'TransactionProof',
  objectOf({
    tx_hash: hash,
    merkle_proof: merkleProof,
    header,
    signature,
    history_proof: nullableOf(inclusion),
    header_hash: hash,
    status: blockStatus,
    redacted: booleanOf('its body was removed'),
  }),
)

/** `GET /transactions/proof`: the libp2p request `proof`, for who knows a trade but not its block. */
export const proofCall = (
  ledger: Pick<ChainLedger, 'transactionProof'>,
  { redactions }: Pick<Redactor, 'redactions'>,
): Call =>
  defineCall({
    method: 'GET',
    path: '/transactions/proof',
    access: ANYONE,
    summary: 'Where a transaction is, with the proof of it',
    description:
      'Exactly one of tx_hash and tx_id. Proves the block in the history of the header of at_height as well, where that is a later one. Of a transaction whose body was removed it still proves the hash; `redacted` says so.',
    query: {
      ...objectOf(
        {},
        {
          tx_hash: hash,
          tx_id: idIn('trade-1'),
          at_height: integerInQuery('height of the header that you trust', 17),
        },
      ),
      example: { tx_id: 'trade-1', at_height: 17 },
    },
    answer: proofAnswer,
    statuses: { 200: 'The proof' },
    handle: async ({ query: { at_height = null, ...query } }) => {
      const by = subjectOf(query)
      try {
        return { status: 200, body: await ledger.transactionProof(by, at_height) }
      } catch (error) {
        if (!('tx_id' in by) || !isSolarError(error, 'unknown_transaction')) throw error
        // Nothing finds a removed transaction by its id any more, but the record of who removed it.
        const record = (await redactions()).find(({ tx_id }) => tx_id === by.tx_id)
        if (record === undefined) throw error
        return { status: 200, body: await ledger.transactionProof({ tx_hash: record.tx_hash }, at_height) }
      }
    },
  })

/** What was traded. */
export const transactionCalls = (ledger: Ledger): readonly Call[] => [
  receiptCall(ledger),
  defineCall({
    method: 'GET',
    path: '/transactions',
    access: OF_USER,
    summary: 'Transactions by time',
    description:
      'A device, and a platform user, gets those of its own user. The next page is asked for with `after` = `next`. On a pseudonymous ledger the platform names users by its own ids, an auditor by those on the chain.',
    query,
    answer: objectOf({ transactions: arrayOf(placed), next: nullableOf(cursor) }, { names }),
    statuses: { 200: 'A page; `next` is null on the last' },
    handle: async ({ query: { from, to, user_id: asked, corrects, after, limit }, caller }) => {
      const user_id = userAskedFor(caller, asked, ledger)
      const page = await ledger.transactions({
        ...(user_id !== undefined && { user_id }),
        ...(corrects !== undefined && { corrects }),
        from: from ?? 0,
        to: to ?? Number.MAX_SAFE_INTEGER,
        ...(after !== undefined && { after }),
        limit: limit ?? DEFAULT_PAGE,
      })
      const names = await namesFor(
        caller,
        ledger,
        page.transactions.map(({ transaction }) => transaction),
      )
      return { status: 200, body: { transactions: page.transactions.map(placedOf), next: page.next, ...names } }
    },
  }),
]
