import type { Selectable } from 'kysely'
import { ledgerError } from '../../ports/errors.ts'
import type { MarketStore } from '../../ports/market-store.ts'
import { sha256Hex } from '../../protocol/hash.ts'
import { redactionShape, type Redaction } from '../../protocol/redaction.ts'
import { decodeValue } from '../decode.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'
import { toSafeInteger } from './rows.ts'
import type { Database, RedactionsTable, TransactionsTable } from './schema.ts'
import { forgetVoidBodies } from './void-ticks.ts'

/** In place of a tick's content hash: the rows without their nonces are few enough to be guessed and held against it. */
export const REDACTED_CONTENT = sha256Hex('redacted')

type Request = Parameters<MarketStore['redact']>[0]

/** Bodies that are removed for good. */
export function redactionsTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'redact' | 'redactAgain' | 'redactions' | 'redactionCount'> {
  return {
    async redact(request) {
      const redactions = await dialect.write(db, (trx) => redact(trx, request))
      await dialect.erase(db)
      return redactions
    },

    async redactAgain(records) {
      const known = await db.selectFrom('redactions').select('tx_hash').execute()
      const hashes = new Set(known.map(({ tx_hash }) => tx_hash))
      const unknown = records.filter(({ tx_hash }) => !hashes.has(tx_hash))
      if (unknown.length === 0) return []
      const removed = await dialect.write(db, (trx) => redactRows(trx, unknown))
      if (removed.length > 0) await dialect.erase(db)
      return removed
    },

    async redactions() {
      const rows = await db.selectFrom('redactions').selectAll().orderBy('height').orderBy('tx_hash').execute()
      return rows.map(decodeRedaction)
    },

    async redactionCount() {
      const { count } = await db
        .selectFrom('redactions')
        .select((select) => select.fn.countAll<bigint>().as('count'))
        .executeTakeFirstOrThrow()
      return toSafeInteger(count, 'redactions count')
    },
  }
}

/** Remembers that the bodies of these are gone; what is remembered already stays. */
export async function recordRedactions(trx: WriteTransaction, redactions: readonly Redaction[]): Promise<void> {
  for (const { height, redacted_at, ...rest } of redactions) {
    const values = { ...rest, height: BigInt(height), redacted_at: redacted_at === null ? null : BigInt(redacted_at) }
    await trx
      .insertInto('redactions')
      .values(values)
      .onConflict((conflict) => conflict.column('tx_hash').doNothing())
      .execute()
  }
}

function decodeRedaction({ height, redacted_at, ...row }: Selectable<RedactionsTable>): Redaction {
  const place = `redactions ${row.tx_hash}`
  const at = redacted_at === null ? null : toSafeInteger(redacted_at, `${place} redacted_at`)
  return decodeValue(place, { ...row, height: toSafeInteger(height, place), redacted_at: at }, redactionShape)
}

async function redact(trx: WriteTransaction, request: Request): Promise<readonly Redaction[]> {
  const asked = await rowOf(trx, request.tx_id)
  if (asked.kind === 'redacted') {
    const rows = await trx.selectFrom('redactions').selectAll().where('tx_hash', '=', asked.tx_hash).execute()
    return rows.map(decodeRedaction)
  }
  const rows = [asked, ...(await correctionsOf(trx, asked.id))]
  const redactions = rows.map((row) => redactionOf(row, request))
  await recordRedactions(trx, redactions)
  for (const row of rows) await forgetTransaction(trx, row)
  await forgetVoidBodies(trx, new Set(rows.map(({ id }) => id)))
  return redactions
}

/** The bodies of these, one by one: a record of each correction is among them. */
async function redactRows(trx: WriteTransaction, records: readonly Redaction[]): Promise<readonly Redaction[]> {
  const removed: Redaction[] = []
  const ids = new Set<string>()
  for (const record of records) {
    const row = await sealedRows(trx).where('t.tx_hash', '=', record.tx_hash).executeTakeFirst()
    if (row === undefined || row.kind === 'redacted' || row.kind === 'registry') continue
    await forgetTransaction(trx, row)
    removed.push(record)
    ids.add(row.id)
  }
  await recordRedactions(trx, removed)
  await forgetVoidBodies(trx, ids)
  return removed
}

type Sealed = Pick<Selectable<TransactionsTable>, 'id' | 'kind' | 'corrects' | 'tick_id' | 'tx_hash'> & {
  readonly tick_time: bigint
  readonly height: bigint | null
  readonly finalized_at: bigint | null
}

const sealedRows = (trx: WriteTransaction) =>
  trx
    .selectFrom('transactions as t')
    .innerJoin('ticks', 'ticks.tick_id', 't.tick_id')
    .leftJoin('blocks', 'blocks.tick_id', 't.tick_id')
    .select([
      'ticks.timestamp as tick_time',
      't.id',
      't.kind',
      't.corrects',
      't.tick_id',
      't.tx_hash',
      'blocks.height',
      'blocks.finalized_at',
    ])

/** Throws `unknown_transaction`. */
async function rowOf(trx: WriteTransaction, id: string): Promise<Sealed> {
  const row = await sealedRows(trx).where('t.id', '=', id).executeTakeFirst()
  if (row === undefined) throw ledgerError('unknown_transaction', { id })
  return row
}

const correctionsOf = (trx: WriteTransaction, id: string): Promise<readonly Sealed[]> =>
  sealedRows(trx).where('t.corrects', '=', id).orderBy('blocks.height').orderBy('t.position').execute()

/** Throws `refused_row`. */
function redactionOf(row: Sealed, { tx_id, redacted_by, redacted_at, reason }: Request): Redaction {
  const refused = (why: string) => ledgerError('refused_row', { id: row.id, reason: why })
  if (row.kind === 'registry') throw refused('a change of the registry is never redacted')
  if (row.id === tx_id && row.corrects !== null) {
    throw refused(`it corrects ${row.corrects}: redact that, and its corrections go with it`)
  }
  if (row.height === null || row.finalized_at === null) throw refused('its block is not final yet')
  const height = toSafeInteger(row.height, `blocks ${row.tick_id}`)
  return { tx_hash: row.tx_hash, tx_id: row.id, height, redacted_by, redacted_at, reason }
}

/** What the row says, and what its orders tell of it. */
export async function forgetTransaction(trx: WriteTransaction, row: Placed): Promise<void> {
  await forgetOrders(trx, row.id)
  await forgetBody(trx, row)
}

type Placed = Pick<Sealed, 'id' | 'tick_id' | 'tick_time'>

/** The orders that a trade filled are of the same people and tell the same numbers. Their ids stay: they never match again. */
async function forgetOrders(trx: WriteTransaction, id: string): Promise<void> {
  const filled = trx.selectFrom('order_trades').select('order_id').where('transaction_id', '=', id)
  await trx
    .updateTable('orders')
    .set({ user_id: '', side: '', kwh: '', price_per_kwh: '', timestamp: 0n, valid_until: null, open_micro: 0n })
    .where('order_id', 'in', filled)
    .execute()
  await trx.deleteFrom('order_trades').where('transaction_id', '=', id).execute()
}

async function forgetBody(trx: WriteTransaction, { id, tick_id, tick_time }: Placed): Promise<void> {
  await trx
    .updateTable('transactions')
    .set({
      kind: 'redacted',
      from_user_id: '',
      to_user_id: '',
      kwh: null,
      price_per_kwh: null,
      total_amount: null,
      payload: null,
      corrects: null,
      kwh_delta: null,
      amount_delta: null,
      reason: null,
      timestamp: tick_time,
      nonce: '',
    })
    .where('id', '=', id)
    .execute()
  await trx
    .updateTable('ticks')
    .set({ content_hash: REDACTED_CONTENT })
    .where('tick_id', '=', tick_id)
    .where('source', '<>', 'market')
    .execute()
}
