import { Migrator, sql, type Kysely, type Migration } from 'kysely'
import type { SqlDialect } from './dialect.ts'
import { HOUR_OF_TIMESTAMP } from './hours.ts'
import { END_OF_ORDER } from './orders.ts'
import { OUTBOX_CHANNEL, PARKED, WAITS } from './outbox.ts'
import type { Database } from './schema.ts'

type Db = Kysely<unknown>

/** Brings the database to the newest schema. Migrations are never edited once released: a change is a new one. */
export async function migrateToLatest(db: Database, dialect: SqlDialect): Promise<void> {
  const migrations: Record<string, Migration> = {
    '0001-ledger': { up: (schema: Db) => createLedger(schema, dialect) },
    '0002-evidence': { up: (schema: Db) => createEvidence(schema, dialect) },
    '0003-outbox': { up: (schema: Db) => createOutbox(schema, dialect) },
    '0004-redactions': { up: (schema: Db) => createRedactions(schema, dialect) },
    '0005-void-ticks': { up: (schema: Db) => createVoidTicks(schema, dialect) },
    '0006-closed-orders': { up: (schema: Db) => closeOrders(schema, dialect) },
    '0007-voters-of-user': { up: indexVotersByUser },
    '0008-payloads': { up: (schema: Db) => addPayloads(schema, dialect) },
    '0009-pseudonyms': { up: (schema: Db) => createPseudonyms(schema, dialect) },
  }
  const { migrationSchema } = dialect
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(migrations) },
    ...(migrationSchema !== undefined && { migrationTableSchema: migrationSchema }),
  })
  const { error } = await migrator.migrateToLatest()
  const unknown = /corrupted migrations: previously executed migration (\S+) is missing/.exec(String(error))?.[1]
  if (unknown !== undefined) {
    const newest = Object.keys(migrations).at(-1) ?? ''
    throw new Error(
      `a newer solar-node has changed this database (to ${unknown}, this one knows up to ${newest}): update this one`,
    )
  }
  if (error !== undefined) throw error as Error
}

async function createLedger(db: Db, dialect: SqlDialect): Promise<void> {
  await createMarket(db, dialect)
  await createTransactions(db, dialect)
  await createChain(db, dialect)
}

async function createMarket(db: Db, { sequenceType, textType }: SqlDialect): Promise<void> {
  await db.schema
    .createTable('meta')
    .addColumn('key', textType, (c) => c.primaryKey())
    .addColumn('value', textType, (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('orders')
    .addColumn('sequence', sequenceType)
    .addColumn('order_id', textType, (c) => c.notNull().unique())
    .addColumn('user_id', textType, (c) => c.notNull())
    .addColumn('side', textType, (c) => c.notNull())
    .addColumn('kwh', textType, (c) => c.notNull())
    .addColumn('price_per_kwh', textType, (c) => c.notNull())
    .addColumn('timestamp', 'bigint', (c) => c.notNull())
    .addColumn('valid_until', 'bigint')
    .addColumn('open_micro', 'bigint', (c) => c.notNull().check(sql`open_micro >= 0`))
    .execute()
  // Orders that expired unfilled stay in this index, below the range that a tick asks for.
  await db.schema
    .createIndex('orders_open')
    .on('orders')
    .expression(END_OF_ORDER)
    .where(sql.ref('open_micro'), '>', sql.lit(0))
    .execute()
}

async function createTransactions(db: Db, { sequenceType, textType }: SqlDialect): Promise<void> {
  await db.schema
    .createTable('ticks')
    .addColumn('sequence', sequenceType)
    .addColumn('tick_id', textType, (c) => c.notNull().unique())
    .addColumn('timestamp', 'bigint', (c) => c.notNull())
    .addColumn('source', textType, (c) => c.notNull())
    .addColumn('content_hash', textType, (c) => c.notNull())
    .addColumn('unsealed', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('ticks_timestamp').on('ticks').column('timestamp').execute()
  await db.schema
    .createIndex('ticks_unsealed')
    .on('ticks')
    .column('sequence')
    .where(sql.ref('unsealed'), '=', sql.lit(1))
    .execute()
  await db.schema
    .createTable('transactions')
    .addColumn('id', textType, (c) => c.primaryKey())
    .addColumn('kind', textType, (c) => c.notNull())
    .addColumn('from_user_id', textType)
    .addColumn('to_user_id', textType)
    .addColumn('kwh', textType)
    .addColumn('price_per_kwh', textType)
    .addColumn('total_amount', textType)
    .addColumn('corrects', textType, (c) => c.references('transactions.id'))
    .addColumn('kwh_delta', textType)
    .addColumn('amount_delta', textType)
    .addColumn('reason', textType)
    .addColumn('registry', textType)
    .addColumn('timestamp', 'bigint', (c) => c.notNull())
    .addColumn('tick_id', textType, (c) => c.notNull().references('ticks.tick_id'))
    .addColumn('position', 'bigint', (c) => c.notNull())
    .addColumn('nonce', textType, (c) => c.notNull())
    .addColumn('tx_hash', textType, (c) => c.notNull())
    // Registry changes have no parties, everything else has both.
    .addCheckConstraint('transactions_from', sql`(from_user_id is null) = (kind = 'registry')`)
    .addCheckConstraint('transactions_to', sql`(to_user_id is null) = (kind = 'registry')`)
    .execute()
  await createTransactionIndexes(db)
  await db.schema
    .createTable('order_trades')
    .addColumn('order_id', textType, (c) => c.notNull())
    .addColumn('transaction_id', textType, (c) => c.notNull().references('transactions.id'))
    .addColumn('tick_id', textType, (c) => c.notNull())
    .addColumn('kwh_micro', 'bigint', (c) => c.notNull().check(sql`kwh_micro > 0`))
    .addPrimaryKeyConstraint('order_trades_key', ['order_id', 'transaction_id'])
    .execute()
  await db.schema.createIndex('order_trades_tick').on('order_trades').column('tick_id').execute()
}

/** Each of these grows at its end, so that committing a tick touches few pages (see hours.ts). */
async function createTransactionIndexes(db: Db): Promise<void> {
  await db.schema
    .createIndex('transactions_tick')
    .unique()
    .on('transactions')
    .columns(['tick_id', 'position'])
    .execute()
  await db.schema.createIndex('transactions_time').on('transactions').columns(['timestamp', 'id']).execute()
  await db.schema
    .createIndex('transactions_corrects')
    .on('transactions')
    .column('corrects')
    .where(sql.ref('corrects'), 'is not', sql.lit(null))
    .execute()
  for (const party of ['from_user_id', 'to_user_id']) {
    await db.schema
      .createIndex(`transactions_${party}`)
      .on('transactions')
      .expression(sql`(${HOUR_OF_TIMESTAMP}), ${sql.ref(party)}`)
      .execute()
  }
}

async function createChain(db: Db, { textType }: SqlDialect): Promise<void> {
  await db.schema
    .createTable('blocks')
    .addColumn('height', 'bigint', (c) => c.primaryKey())
    .addColumn('block_hash', textType, (c) => c.notNull().unique())
    .addColumn('tick_id', textType, (c) => c.notNull().unique().references('ticks.tick_id'))
    .addColumn('sealed', textType, (c) => c.notNull())
    .addColumn('finalized_at', 'bigint')
    .execute()
  await db.schema
    .createIndex('blocks_proposed')
    .on('blocks')
    .column('height')
    .where(sql.ref('finalized_at'), 'is', sql.lit(null))
    .execute()
  await db.schema
    .createTable('votes')
    .addColumn('chain_id', textType, (c) => c.notNull())
    .addColumn('header_hash', textType, (c) => c.notNull())
    .addColumn('height', 'bigint', (c) => c.notNull())
    .addColumn('voter_id', textType, (c) => c.notNull())
    .addColumn('decision', textType, (c) => c.notNull())
    .addColumn('signature', textType, (c) => c.notNull())
    .addPrimaryKeyConstraint('votes_key', ['header_hash', 'voter_id', 'decision'])
    .execute()
  // One ack a voter a height: the database itself refuses the second (docs/protocol.md 5). By voter first, for the
  // questions of acks.ts: that spreads the acks of a block over the tree, which costs a quarter more CPU a vote, but without
  // it they read every vote there ever was (minutes for a year of 1,000 voters, else tens of milliseconds).
  await db.schema
    .createIndex('votes_one_ack')
    .unique()
    .on('votes')
    .columns(['voter_id', 'height'])
    .where(sql.ref('decision'), '=', sql.lit('ack'))
    .execute()
  await db.schema
    .createTable('voter_users')
    .addColumn('voter_id', textType, (c) => c.primaryKey())
    .addColumn('user_id', textType, (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('requests')
    .addColumn('id', textType, (c) => c.primaryKey())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('requests_expiry').on('requests').column('expires_at').execute()
}

async function createEvidence(db: Db, { sequenceType, textType }: SqlDialect): Promise<void> {
  await db.schema
    .createTable('evidence')
    .addColumn('sequence', sequenceType)
    .addColumn('kind', textType, (c) => c.notNull())
    .addColumn('height', 'bigint', (c) => c.notNull())
    .addColumn('signer_id', textType, (c) => c.notNull())
    .addColumn('evidence', textType, (c) => c.notNull())
    .addUniqueConstraint('evidence_about', ['kind', 'height', 'signer_id'])
    .execute()
}

/** The one table that others write into: what they may set is `tick` (docs/integration.md has the grants). */
async function createOutbox(db: Db, dialect: SqlDialect): Promise<void> {
  await db.schema
    .createTable('ledger_outbox')
    .addColumn('id', dialect.sequenceType)
    .addColumn('tick', dialect.textType)
    .addColumn('tick_id', dialect.textType)
    .addColumn('block_hash', dialect.textType)
    .addColumn('done_at', 'bigint')
    .addColumn('error_code', dialect.textType)
    .addColumn('error_reason', dialect.textType)
    .addCheckConstraint('ledger_outbox_tick', sql`tick is not null or done_at is not null`)
    .execute()
  await db.schema.createIndex('ledger_outbox_waiting').on('ledger_outbox').column('id').where(WAITS).execute()
  await db.schema.createIndex('ledger_outbox_parked').on('ledger_outbox').column('id').where(PARKED).execute()
  await dialect.notifyOfInserts(db, 'ledger_outbox', OUTBOX_CHANNEL)
}

async function createRedactions(db: Db, { textType }: SqlDialect): Promise<void> {
  await db.schema
    .createTable('redactions')
    .addColumn('tx_hash', textType, (c) => c.primaryKey())
    .addColumn('tx_id', textType)
    .addColumn('height', 'bigint', (c) => c.notNull())
    .addColumn('redacted_by', textType)
    .addColumn('redacted_at', 'bigint')
    .addColumn('reason', textType, (c) => c.notNull())
    .execute()
}

async function createVoidTicks(db: Db, { textType }: SqlDialect): Promise<void> {
  await db.schema
    .createTable('void_ticks')
    .addColumn('tick_id', textType, (c) => c.primaryKey())
    .addColumn('timestamp', 'bigint', (c) => c.notNull())
    .addColumn('source', textType, (c) => c.notNull())
    .addColumn('transactions', textType, (c) => c.notNull())
    .addColumn('reason', textType, (c) => c.notNull())
    .addColumn('voided_at', 'bigint', (c) => c.notNull())
    .execute()
}

async function closeOrders(db: Db, { textType }: SqlDialect): Promise<void> {
  await db.schema.alterTable('orders').addColumn('placed_at', 'bigint').execute()
  await db.schema.alterTable('orders').addColumn('closed', textType).execute()
  await db.schema
    .createIndex('orders_placed')
    .on('orders')
    .column('placed_at')
    .where(sql.ref('open_micro'), '>', sql.lit(0))
    .execute()
  await db.schema
    .createIndex('orders_of_user')
    .on('orders')
    .expression(sql`user_id, (${END_OF_ORDER})`)
    .where(sql.ref('open_micro'), '>', sql.lit(0))
    .execute()
}

/** A user's devices are asked for with each order that one of them has signed. */
async function indexVotersByUser(db: Db): Promise<void> {
  await db.schema.createIndex('voter_users_of_user').on('voter_users').column('user_id').execute()
}

async function addPayloads(db: Db, { textType }: SqlDialect): Promise<void> {
  await db.schema.alterTable('transactions').addColumn('payload', textType).execute()
}

async function createPseudonyms(db: Db, { textType }: SqlDialect): Promise<void> {
  await db.schema
    .createTable('pseudonyms')
    .addColumn('user_id', textType, (c) => c.primaryKey())
    .addColumn('pseudonym', textType, (c) => c.notNull().unique())
    .execute()
}
