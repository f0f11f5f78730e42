import Libsql from 'libsql'
import { join } from 'node:path'
import { auditStores } from '../../../src/engine/audit.ts'
import type { ChainStore } from '../../../src/ports/chain-store.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import type { Block } from '../../../src/protocol/block.ts'
import { canonicalText } from '../../../src/protocol/canonical-json.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { hashHeader, type SealedHeader } from '../../../src/protocol/header.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { createStreet, namedKey, STREET_TIME, type Branch, type Street } from '../../helpers/branches.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { tempChainStore, type OpenedStore } from '../../helpers/stores.ts'
import { tempDir } from '../../helpers/temp.ts'
import assert from 'node:assert/strict'

/** An authority that changes its key, loses it, recovers it, and has another one seal; voters come and go. */
function chainWithChanges(street: Street): Branch {
  const authority = namedKey('authority')
  const [second, third] = [namedKey('authority 2'), namedKey('authority 3')]
  const enrol = (id: string, role: 'voter' | 'authority') =>
    street.change(
      `enrol-${id}`,
      namedKey(id),
      { action: 'enrol', subject_id: id, role, public_key: namedKey(id).publicKey },
      second,
    )
  const rotate = { action: 'rotate', subject_id: 'authority', public_key: second.publicKey } as const
  const recover = { action: 'recover', subject_id: 'authority', public_key: third.publicKey } as const
  return street.start
    .grow('t0')
    .add([enrol('cem', 'voter')])
    .add([street.change('rotate', authority, rotate)])
    .grow('t3')
    .add([enrol('town', 'authority')])
    .add([street.change('recover', namedKey('authority recovery'), recover)])
    .grow('t6')
    .add([street.change('revoke', namedKey('authority 3'), { action: 'revoke', subject_id: 'authority' })], {
      minerId: 'town',
    })
    .add([street.change('policy', namedKey('town'), { action: 'policy', subject_id: 'town', finality: VOTES })], {
      minerId: 'town',
    })
}

const VOTES = { policy: 'votes', threshold: 1 } as const

describe('the audit of a chain whose registry changes', () => {
  const street = createStreet({ voters: ['ann'] })
  const { blocks } = chainWithChanges(street)
  let folder: Awaited<ReturnType<typeof tempDir>>
  let store: MarketStore
  let level: OpenedStore<ChainStore>

  beforeEach(async () => {
    folder = await tempDir()
    store = await openSqlite(join(folder.path, 'ledger.db'))
    level = await tempChainStore()
  })
  afterEach(async () => {
    await store.close()
    await folder.remove()
    await level.cleanup()
  })

  /** Puts blocks into both stores, with changed headers in SQL where given; `without`: heights that SQL has no row of. */
  async function fill(changed: ReadonlyMap<number, SealedHeader> = new Map(), without: readonly number[] = []) {
    for (const [height, block] of blocks.entries()) {
      const { transactions } = block
      const tick_id = transactions[0]!.tick_id
      const tx_hashes = transactions.map(hashTransaction)
      const tick = { tick_id, timestamp: STREET_TIME, transactions, tx_hashes, content_hash: sha256Hex(tick_id) }
      const { header, signature } = block
      const parent = height === 0 ? null : header.prev_hash
      await store.commitTick({ ...tick, source: 'platform', fills: [], parent })
      const block_hash = hashHeader(header)
      await store.fence({ height, block_hash, tick_id, sealed: { header, signature }, finalized_at: null })
      await level.store.append(block, block_hash, tx_hashes)
    }
    for (const [height, head] of changed) {
      behind(`update blocks set sealed = ?, block_hash = ? where height = ${height}`, [
        canonicalText(head),
        hashHeader(head.header),
      ])
    }
    for (const height of without) behind(`delete from blocks where height = ${height}`)
  }

  /** Changes rows as nobody could through the store. */
  function behind(statement: string, values: readonly string[] = []): void {
    const database = new Libsql(join(folder.path, 'ledger.db'))
    database.prepare(statement).run(...values)
    database.close()
  }

  async function places(): Promise<readonly string[]> {
    const parts = { genesis: street.genesis, store, chainStore: level.store, onProgress: () => undefined }
    return (await auditStores(parts)).findings.map(({ place }) => place)
  }
  const sealed = (height: number, key: string, change: Partial<Block['header']> = {}): SealedHeader =>
    sealHeader({ ...blocks[height]!.header, ...change }, namedKey(key))

  it('is clean: rotations, recoveries by the sealer, further authorities and policies are followed', async () => {
    await fill()
    assert.deepEqual(await places(), [])
  })

  it('names a seal by a key that was rotated away, and the block that a key sealed too early', async () => {
    await fill(
      new Map([
        [2, sealed(2, 'authority 2')],
        [3, sealed(3, 'authority')],
        [5, sealed(5, 'authority 2')],
      ]),
    )
    const inSql = [2, 3, 5].map((height) => `SQL, block ${height}, signature`)
    assert.deepEqual(
      (await places()).filter((place) => place.startsWith('SQL')),
      inSql,
    )
  })

  it('names a registry root that does not follow from the changes', async () => {
    await fill(new Map([[4, sealed(4, 'authority 2', { registry_root: blocks[3]!.header.registry_root })]]))
    assert.ok((await places()).includes('SQL, block 4, registry_root'))
  })

  it('follows changes of a block that only LevelDB has', async () => {
    await fill(new Map(), [2])
    assert.deepEqual(await places(), ['SQL, block 2'])
  })

  it('names a tick that is gone', async () => {
    await fill()
    const sealedTicks = async (from: number, to: number) =>
      new Map([...(await store.sealedTicks(from, to))].filter(([height]) => height !== 3))
    const parts = { genesis: street.genesis, chainStore: level.store, onProgress: () => undefined }
    const { findings } = await auditStores({ ...parts, store: { ...store, sealedTicks } })
    assert.deepEqual(findings, [{ place: 'SQL, block 3 (tick t3)', expected: 'a tick', found: 'nothing' }])
  })

  it('names a change of the registry that LevelDB does not know as one', async () => {
    await fill()
    const chainStore = level.store
    const registryHeights = async () => (await chainStore.registryHeights()).filter((height) => height !== 5)
    const parts = { genesis: street.genesis, store, onProgress: () => undefined }
    const { findings } = await auditStores({ ...parts, chainStore: { ...chainStore, registryHeights } })
    const place = 'LevelDB, block 5, among the changes of the registry'
    assert.deepEqual(findings, [{ place, expected: 'block 5', found: 'nothing' }])
  })

  it('judges no seal by a registry that nobody can tell', async () => {
    await fill(new Map(), [2])
    await level.store.rewind(2)
    const found = await places()
    assert.deepEqual(
      found.filter((place) => /signature|registry_root/.test(place)),
      [],
    )
    assert.ok(found.includes('SQL, block 2'))
  })
})
