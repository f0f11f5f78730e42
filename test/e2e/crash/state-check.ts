import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import Database from 'libsql'
import type { LatestHeaders, TickAnswer } from '../../../src/ports/ledger.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { hashTransaction, type Transaction } from '../../../src/protocol/transaction.ts'
import type { DatabaseConfig } from '../../../src/config/types.ts'
import { auditDirectory, type AuditReport } from '../../../src/node/audit.ts'
import { openChainStore } from '../../../src/storage/level/chain-store.ts'
import { query } from '../../helpers/postgres.ts'
import type { Community } from './community.ts'
import { TRADES_A_TICK, type Load, type Platform } from './platform.ts'
import type { Witness } from './witness.ts'
import { idOf } from '../../helpers/shown.ts'

const LOOK_AGAIN_MS = 20

export interface Checked {
  readonly community: Community
  /** Calls of its own, that no valve holds back. */
  readonly platform: Platform
  readonly witness: Witness
  readonly load: Load
}

interface SqlState {
  readonly blocks: readonly { readonly height: number; readonly block_hash: string; readonly tick_id: string }[]
  readonly transactions: readonly { readonly id: string; readonly tick_id: string; readonly tx_hash: string }[]
}

/**
 * The whole state of a running authority while nobody posts: SQL, which is read directly, and LevelDB, which answers over
 * HTTP, say the same as everything that anybody was ever told. Throws an AssertionError that says what differs.
 */
export async function checkRunning(checked: Checked): Promise<void> {
  const { community, platform, witness } = checked
  const sql = await readSql(community.database)
  checkSql(sql, checked)
  const latest = (await platform.call('GET', '/blocks/latest-headers/?n=100')) as LatestHeaders
  assert.equal(latest.tip_height, sql.blocks.at(-1)?.height ?? null)
  const first = sql.blocks.length - latest.headers.length
  for (const [offset, { header, header_hash }] of latest.headers.entries()) {
    assert.equal(header.height, first + offset)
    assert.equal(hashHeader(header), header_hash)
    witness.saw(header.height, header_hash, 'latest-headers')
  }
  await checkNewestBlocks(sql, platform)
  assert.deepEqual(witness.complaints, [])
}

/** Waits until an authority on a shared database leads and has sealed what was committed. */
export async function untilSettled({ community, platform }: Pick<Checked, 'community' | 'platform'>): Promise<void> {
  for (;;) {
    const role = await fetch(`${community.url}/ready/leader`)
    await role.arrayBuffer()
    const sql = await readSql(community.database)
    const { tip_height } = (await platform.call('GET', '/blocks/latest-headers/?n=1')) as LatestHeaders
    const ticks = new Set(sql.transactions.map(({ tick_id }) => tick_id))
    const isSealed = ticks.size === sql.blocks.length && tip_height === (sql.blocks.at(-1)?.height ?? null)
    if (role.ok && isSealed) return
    await pause(LOOK_AGAIN_MS)
  }
}

/** After a kill the newest blocks are those in question; all of them are looked at in the end. */
const NEWEST = 4

async function checkNewestBlocks(sql: SqlState, platform: Platform): Promise<void> {
  for (const { block_hash, tick_id } of sql.blocks.slice(-NEWEST)) {
    const block = (await platform.call('GET', `/blocks/${block_hash}`)) as { transactions: readonly Transaction[] }
    const rows = sql.transactions.filter((row) => row.tick_id === tick_id)
    assert.deepEqual(
      block.transactions.map((tx) => [tx.id, hashTransaction(tx)]),
      rows.map((row) => [row.id, row.tx_hash]),
    )
  }
}

const BLOCKS = 'select height, block_hash, tick_id from blocks order by height'
const TRANSACTIONS = 'select id, tick_id, tx_hash from transactions order by tick_id, position'

/** Read by a connection of its own, beside the authority's. */
async function readSql(database: DatabaseConfig): Promise<SqlState> {
  if (database.kind === 'postgres') {
    const rowsOf = <Row extends object>(text: string) =>
      query<Row>(database.url, `set search_path = solar_node; ${text}`)
    const blocks = await rowsOf<{ height: string; block_hash: string; tick_id: string }>(BLOCKS)
    return {
      blocks: blocks.map((block) => ({ ...block, height: Number(block.height) })),
      transactions: await rowsOf<SqlState['transactions'][number]>(TRANSACTIONS),
    }
  }
  const file = new Database(database.path, { timeout: 5_000 })
  try {
    const [blocks, transactions] = [BLOCKS, TRANSACTIONS].map((text) => file.prepare(text).all())
    return { blocks, transactions } as unknown as SqlState
  } finally {
    file.close()
  }
}

function checkSql({ blocks, transactions }: SqlState, { witness }: Checked): void {
  const byTick = new Map<string, { readonly height: number; readonly block_hash: string }>()
  for (const [index, { height, block_hash, tick_id }] of blocks.entries()) {
    assert.equal(height, index, 'heights are contiguous')
    assert.ok(!byTick.has(tick_id), `tick ${tick_id} is sealed twice`)
    byTick.set(tick_id, { height, block_hash })
    witness.saw(height, block_hash, 'SQL')
  }
  const rows = new Map(transactions.map((row) => [row.id, row]))
  assert.equal(rows.size, transactions.length, 'each trade is there once')
  for (const answer of witness.answers.values()) {
    const { tick_id, height, header_hash } = answer
    const sealed = byTick.get(tick_id)
    assert.deepEqual([sealed?.height, sealed?.block_hash], [height, header_hash], `tick ${tick_id}, which was answered`)
    for (const { id, tx_hash } of answer.transactions) {
      assert.deepEqual([rows.get(id)?.tick_id, rows.get(id)?.tx_hash], [tick_id, tx_hash], `trade ${id} of an answer`)
    }
  }
  const counts = new Map<string, number>()
  for (const { tick_id } of transactions) counts.set(tick_id, (counts.get(tick_id) ?? 0) + 1)
  for (const [tick_id, count] of counts) {
    const expected = tick_id.startsWith('market:') ? 1 : TRADES_A_TICK
    assert.equal(count, expected, `a tick is there as a whole: ${tick_id}`)
  }
}

/** Everything that was sent is answered, and is there over HTTP: each trade once, with its place; orders filled once. */
export async function checkServed({ platform, witness, load }: Checked): Promise<void> {
  for (const tick_id of load.sent.keys()) assert.ok(witness.answers.has(tick_id), `tick ${tick_id} is answered`)
  const expected = new Map(
    [...witness.answers.values()].flatMap(({ height, transactions }) =>
      transactions.map(({ id, tx_hash }) => [id, { tx_hash, height }] as const),
    ),
  )
  const ids: string[] = []
  let after: string | null = ''
  while (after !== null) {
    const page = await transactionsAfter(after, platform)
    for (const { id, tx_hash, height } of page.transactions) {
      ids.push(id)
      assert.deepEqual({ tx_hash, height }, expected.get(id), `trade ${id}`)
    }
    after = page.next
  }
  assert.deepEqual(ids.sort(), [...expected.keys()].sort())
  for (let n = 0; n < load.markets; n++) await checkOrders(n, platform, witness)
}

interface Page {
  readonly transactions: readonly { readonly id: string; readonly tx_hash: string; readonly height: number }[]
  readonly next: string | null
}

async function transactionsAfter(after: string, platform: Platform): Promise<Page> {
  const rest = after === '' ? '' : `&after=${encodeURIComponent(after)}`
  return (await platform.call('GET', `/transactions?limit=1000${rest}`)) as Page
}

async function checkOrders(n: number, platform: Platform, witness: Witness): Promise<void> {
  const [trade] = witness.answers.get(`market:${n}`)?.transactions ?? []
  for (const order of [`sell:${n}`, `buy:${n}`]) {
    const state = (await platform.call('GET', `/orders/${order}`)) as {
      readonly status: string
      readonly transactions: TickAnswer['transactions']
    }
    assert.deepEqual([state.status, state.transactions.map(({ id }) => id)], ['filled', [trade?.id]], order)
  }
}

/** A clean audit of a stopped authority. */
export async function auditCommunity({ directory, database }: Community): Promise<AuditReport> {
  const report = await auditDirectory(directory, database, () => undefined)
  assert.deepEqual(report.findings, [])
  return report
}

/** A stopped authority's directory: the audit is clean, and LevelDB alone has every trade in its place, once. */
export async function checkStopped({ community, witness }: Checked): Promise<void> {
  const report = await auditCommunity(community)
  const chainStore = await openChainStore(`${community.directory}/level`)
  try {
    const size = await chainStore.size()
    assert.equal(size, report.blocks)
    const found: string[] = []
    for (let height = 0; height < size; height++) {
      const block = await chainStore.block(height)
      assert.ok(block !== undefined)
      assert.equal(hashHeader(block.header), witness.hashAt(height))
      for (const [index, id] of block.transactions.map(idOf).entries()) {
        found.push(id)
        assert.deepEqual(await chainStore.locate({ tx_id: id }), { height, index })
      }
    }
    const expected = [...witness.answers.values()].flatMap(({ transactions }) => transactions.map(({ id }) => id))
    assert.deepEqual(found.sort(), expected.sort())
  } finally {
    await chainStore.close()
  }
}
