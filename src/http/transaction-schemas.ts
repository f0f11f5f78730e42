import {
  decodePostedRegistryTransaction,
  type PostedRegistryTransaction,
  type RegistryAction,
} from '../protocol/registry-transaction.ts'
import { edgeTime } from '../protocol/edge.ts'
import { isJsonObject, refuse, type Shape } from '../protocol/shape.ts'
import {
  shownTransactionShape,
  transactionShape,
  type Correction,
  type Redacted,
  type ShownTransaction,
  type Trade,
  type Transaction,
} from '../protocol/transaction.ts'
import { arrayOf, documented, named, nullableOf, objectOf, type JsonSchema, type Schema } from './schema.ts'
import { names } from './naming.ts'
import {
  constant,
  decimal,
  finality,
  hash,
  header,
  id,
  idIn,
  key,
  nonce,
  payload,
  reason,
  role,
  signature,
  signedDecimal,
  time,
} from './schemas.ts'

/** Transactions as the API document shows them. The rules are those of src/protocol. */

type Fields = Readonly<Record<string, Schema<unknown>>>

const recovery: Fields = { recovery_key: nullableOf(key) }
const countersigned: Fields = { countersigner_id: id('authority-1'), countersignature: signature }
/** What each registry action has beside the fields that all of them have, and what it may have. */
const actions: Readonly<Record<RegistryAction, { readonly needs: Fields; readonly may: Fields }>> = {
  enrol: { needs: { role, public_key: key }, may: { ...recovery, ...countersigned } },
  rotate: { needs: { public_key: key }, may: recovery },
  revoke: { needs: {}, may: {} },
  recover: { needs: { public_key: key }, may: { ...recovery, ...countersigned } },
  policy: { needs: { finality }, may: {} },
}

/** One description for each action, with the tick in a block and without it when it is posted. */
const registryJson = (where: 'block' | 'post'): readonly JsonSchema[] =>
  Object.entries(actions).map(([action, { needs, may }]) => {
    const fields: Fields = {
      kind: constant('registry'),
      action: constant(action),
      id: id('change-1'),
      subject_id: id('household-8.phone'),
      timestamp: time,
      nonce,
      signature,
      ...(where === 'block' && { tick_id: id(`registry:${nonce.example}`) }),
      ...needs,
    }
    return objectOf(fields, may).json
  })

const trade: Schema<Trade> = objectOf(
  {
    kind: constant('trade'),
    id: id('trade-1'),
    from_user_id: id('household-7'),
    to_user_id: id('household-9'),
    kwh: decimal('1.25'),
    price_per_kwh: decimal('0.2'),
    total_amount: decimal('0.25'),
    timestamp: time,
    tick_id: id('2025-10-09T09:00'),
    nonce,
  },
  { payload },
)
const correction: Schema<Correction> = objectOf({
  kind: constant('correction'),
  id: id('correction-1'),
  corrects: id('trade-1'),
  kwh_delta: signedDecimal('-0.25'),
  amount_delta: signedDecimal('-0.05'),
  reason,
  timestamp: time,
  tick_id: id('2025-10-09T10:00'),
  nonce,
})
export const transaction: Schema<Transaction> = named(
  'Transaction',
  documented<Transaction>(
    transactionShape,
    { oneOf: [trade.json, correction.json, ...registryJson('block')] },
    trade.example,
  ),
)

const redacted: Schema<Redacted> = objectOf({ kind: constant('redacted'), tx_hash: hash })
/** A transaction, or what is left of it. */
export const shownTransaction: Schema<ShownTransaction> = named(
  'ShownTransaction',
  documented<ShownTransaction>(
    shownTransactionShape,
    { oneOf: [transaction.json, redacted.json] },
    transaction.example,
  ),
)

/** The whole block with its name. */
export const block = named(
  'Block',
  objectOf({ block_hash: hash, header, signature, transactions: arrayOf(shownTransaction) }, { names }),
)

/** Checked, and left as it came: the tick is the node's to add. */
const postedShape: Shape<PostedRegistryTransaction> = (value) => {
  edgeTime(decodePostedRegistryTransaction(value).timestamp, 'transaction.timestamp')
  return value as PostedRegistryTransaction
}
const posted: Schema<PostedRegistryTransaction> = named(
  'PostedRegistryTransaction',
  documented<PostedRegistryTransaction>(
    postedShape,
    { oneOf: registryJson('post') },
    {
      kind: 'registry',
      action: 'enrol',
      id: 'change-1',
      subject_id: 'household-8.phone',
      role: 'voter',
      public_key: key.example,
      recovery_key: null,
      timestamp: time.example,
      nonce: nonce.example,
      signature: signature.example,
    },
  ),
)

export interface RegistryBody {
  readonly transaction: PostedRegistryTransaction
  readonly user_id?: string
}
const withUser: Schema<RegistryBody> = objectOf({ transaction: posted }, { user_id: idIn('household-8') })
/** A bare transaction is the same as one without a user. */
const registryBodyShape: Shape<RegistryBody> = (value, path) => {
  if (!isJsonObject(value) || !Object.hasOwn(value, 'transaction')) return { transaction: postedShape(value, path) }
  const body = withUser.shape(value, path)
  if (body.user_id === undefined || body.transaction.action === 'enrol') return body
  return refuse(`${path}.user_id`, 'no such field: only an enrolment names a user', body.user_id)
}
export const registryBody: Schema<RegistryBody> = documented(
  registryBodyShape,
  { oneOf: [withUser.json, posted.json] },
  withUser.example,
)
