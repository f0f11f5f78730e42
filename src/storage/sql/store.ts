import type { MarketStore } from '../../ports/market-store.ts'
import { storeGuard } from '../failure.ts'
import { acksTable } from './acks.ts'
import { blocksTable } from './blocks.ts'
import type { SqlDialect } from './dialect.ts'
import { metaTable } from './meta.ts'
import { migrateToLatest } from './migrations.ts'
import { ordersTable } from './orders.ts'
import { outboxTable } from './outbox.ts'
import { pseudonymsTable } from './pseudonyms.ts'
import { restoredBlocks } from './restored-blocks.ts'
import { evidenceTable } from './evidence.ts'
import type { Database } from './schema.ts'
import { redactionsTable } from './redactions.ts'
import { sealedTicks } from './sealed-ticks.ts'
import { ticksTable } from './ticks.ts'
import { transactionsTable } from './transactions.ts'
import { usersTable } from './users.ts'
import { voidTicksTable } from './void-ticks.ts'
import { votesTable } from './votes.ts'

/**
 * The source of record over a database that Kysely speaks to: brings its schema up to date and gives the store. The
 * store owns `db` and closes it. Throws `store_failed`; `db` is closed then.
 */
export async function createSqlStore(db: Database, dialect: SqlDialect): Promise<MarketStore> {
  const guard = storeGuard('sql', (error) => dialect.isRetryable(error))
  let closed: Promise<void> | undefined
  const close = guard('close', () => (closed ??= shutDown(db, dialect)))
  try {
    await guard('migrate', migrateToLatest)(db, dialect)
  } catch (error) {
    await close()
    throw error
  }
  const meta = metaTable(db, dialect)
  const orders = ordersTable(db, dialect)
  const ticks = ticksTable(db, dialect)
  const sealed = sealedTicks(db)
  const voided = voidTicksTable(db, dialect)
  const blocks = blocksTable(db, dialect)
  const restored = restoredBlocks(db, dialect)
  const votes = votesTable(db, dialect)
  const acks = acksTable(db)
  const users = usersTable(db)
  const evidence = evidenceTable(db)
  const transactions = transactionsTable(db)
  const redactions = redactionsTable(db, dialect)
  const outbox = outboxTable(db, dialect)
  const pseudonyms = pseudonymsTable(db)
  return {
    chainId: guard('chainId', meta.chainId),
    bindChain: guard('bindChain', meta.bindChain),
    rememberRequest: guard('rememberRequest', meta.rememberRequest),
    putOrder: guard('putOrder', orders.putOrder),
    order: guard('order', orders.order),
    cancelOrder: guard('cancelOrder', orders.cancelOrder),
    expireOrders: guard('expireOrders', orders.expireOrders),
    openOrders: guard('openOrders', orders.openOrders),
    commitTick: guard('commitTick', ticks.commitTick),
    tick: guard('tick', ticks.tick),
    nextUnsealedTick: guard('nextUnsealedTick', ticks.nextUnsealedTick),
    waitingRecovery: guard('waitingRecovery', ticks.waitingRecovery),
    voidTick: guard('voidTick', voided.voidTick),
    voidTicks: guard('voidTicks', voided.voidTicks),
    voidTickCount: guard('voidTickCount', voided.voidTickCount),
    sealedTicks: guard('sealedTicks', sealed.sealedTicks),
    transactionsOfTick: guard('transactionsOfTick', ticks.transactionsOfTick),
    fence: guard('fence', blocks.fence),
    restoreBlock: guard('restoreBlock', restored.restoreBlock),
    blocks: guard('blocks', blocks.blocks),
    lastBlock: guard('lastBlock', blocks.lastBlock),
    blockByHash: guard('blockByHash', blocks.blockByHash),
    finalizeUpTo: guard('finalizeUpTo', blocks.finalizeUpTo),
    finalHeight: guard('finalHeight', blocks.finalHeight),
    putVotes: guard('putVotes', votes.putVotes),
    votesOf: guard('votesOf', votes.votesOf),
    voteCounts: guard('voteCounts', votes.voteCounts),
    ackHeights: guard('ackHeights', acks.ackHeights),
    ackAt: guard('ackAt', acks.ackAt),
    acksOf: guard('acksOf', acks.acksOf),
    acksFrom: guard('acksFrom', acks.acksFrom),
    putEvidence: guard('putEvidence', evidence.putEvidence),
    evidence: guard('evidence', evidence.evidence),
    users: guard('users', users.users),
    votersOf: guard('votersOf', users.votersOf),
    nameUsers: guard('nameUsers', users.nameUsers),
    transaction: guard('transaction', transactions.transaction),
    transactions: guard('transactions', transactions.transactions),
    redact: guard('redact', redactions.redact),
    redactions: guard('redactions', redactions.redactions),
    redactAgain: guard('redactAgain', redactions.redactAgain),
    redactionCount: guard('redactionCount', redactions.redactionCount),
    checkWritable: guard('checkWritable', meta.checkWritable),
    outboxRows: guard('outboxRows', outbox.outboxRows),
    outboxTick: guard('outboxTick', outbox.outboxTick),
    finishOutboxRow: guard('finishOutboxRow', outbox.finishOutboxRow),
    parkOutboxRow: guard('parkOutboxRow', outbox.parkOutboxRow),
    outboxCounts: guard('outboxCounts', outbox.outboxCounts),
    onOutbox: outbox.onOutbox,
    pseudonymCheck: guard('pseudonymCheck', pseudonyms.pseudonymCheck),
    bindPseudonyms: guard('bindPseudonyms', pseudonyms.bindPseudonyms),
    putPseudonyms: guard('putPseudonyms', pseudonyms.putPseudonyms),
    usersOfPseudonyms: guard('usersOfPseudonyms', pseudonyms.usersOfPseudonyms),
    pseudonymOfUser: guard('pseudonymOfUser', pseudonyms.pseudonymOfUser),
    now: guard('now', () => dialect.now(db)),
    settleWrites: guard('settleWrites', () => dialect.write(db, () => Promise.resolve())),
    close,
  }
}

async function shutDown(db: Database, dialect: SqlDialect): Promise<void> {
  try {
    await dialect.beforeClose(db)
  } finally {
    await db.destroy()
  }
}
