import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import fc from 'fast-check'
import { Level } from 'level'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { chainStore, openChainStore } from '../../../src/storage/level/chain-store.ts'
import { heightKey, keyOf, keyspaces, nodeKey, sortable } from '../../../src/storage/level/keyspaces.ts'
import { openLightStore } from '../../../src/storage/level/light-store.ts'
import { block, CHAIN, registryTransactions, sealed, vote } from '../../contract/fixtures.ts'
import { tempDir } from '../../helpers/temp.ts'

const corruptAt = (place: RegExp) => (error: unknown) => isSolarError(error, 'corrupt') && place.test(error.message)

describe('keyspaces', () => {
  it('have one character each, none twice', () => {
    const prefixes = Object.values(keyspaces)
    assert.equal(new Set(prefixes).size, prefixes.length)
    for (const prefix of prefixes) assert.match(prefix, /^[a-zA-Z]$/)
  })

  it('sort heights and nodes as numbers', () => {
    const height = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
    fc.assert(
      fc.property(height, height, (a, b) => {
        assert.equal(heightKey('header', a) < heightKey('header', b), a < b)
        assert.equal(nodeKey({ level: 17, index: a }) < nodeKey({ level: 17, index: b }), a < b)
        assert.equal(sortable(a).length, 14)
      }),
    )
    assert.ok(nodeKey({ level: 2, index: Number.MAX_SAFE_INTEGER }) < nodeKey({ level: 16, index: 0 }))
  })
})

describe('a LevelDB folder', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let location: string

  beforeEach(async () => {
    folder = await tempDir()
    location = join(folder.path, 'level')
  })
  afterEach(() => folder.remove())

  /** Three blocks, closed. */
  async function fill(): Promise<void> {
    const store = await openChainStore(location)
    for (const height of [0, 1, 2]) {
      const { block: next, hash, txHashes } = block(height, [`tx-${height}`])
      await store.append(next, hash, txHashes)
    }
    await store.close()
  }

  /** Changes the folder behind the store's back. */
  async function behind(change: (db: Level) => Promise<void>): Promise<void> {
    const db = new Level(location)
    await change(db)
    await db.close()
  }

  it('with a value that does not decode says where it is', async () => {
    await fill()
    const { hash } = block(1, ['tx-1'])
    await behind(async (db) => {
      await db.put(heightKey('body', 0), '[{"kind":"trade"}]')
      await db.put(heightKey('header', 1), 'not JSON')
      await db.del(heightKey('body', 2))
      await db.put(keyOf('heightByHash', hash), 'one')
      await db.put(keyOf('placeById', 'tx-1'), '1')
    })
    const store = await openChainStore(location)
    await assert.rejects(store.block(0), corruptAt(/body of height 0/))
    await assert.rejects(store.headers(0, 3), corruptAt(/header of height 1/))
    await assert.rejects(store.block(2), corruptAt(/body of height 2/))
    await assert.rejects(store.heightOf(hash), corruptAt(new RegExp(hash)))
    await assert.rejects(store.locate({ tx_id: 'tx-1' }), corruptAt(/tx-1/))
    await store.close()
  })

  it('with a gap in its headers is noticed by whoever reads over it', async () => {
    await fill()
    await behind((db) => db.del(heightKey('header', 1)))
    const store = await openChainStore(location)
    await assert.rejects(store.headers(0, 3), corruptAt(/header of height 1: expected height 1, found height 2/))
    await store.close()
  })

  it('without its history nodes does not open, and its lock is given back', async () => {
    await fill()
    await behind((db) => db.del(nodeKey({ level: 1, index: 0 })))
    await assert.rejects(openChainStore(location), corruptAt(/history node 1\/0/))
    await assert.rejects(openChainStore(location), corruptAt(/history node 1\/0/))
  })

  it('that is cut back to an earlier height goes on from there', async () => {
    await fill()
    await behind((db) => db.del(heightKey('header', 2)))
    const store = await openChainStore(location)
    assert.equal(await store.size(), 2)
    const { block: again, hash, txHashes } = block(2, ['tx-2'])
    await store.append(again, hash, txHashes)
    assert.deepEqual(await store.block(2), again)
    await store.close()
  })

  it('that is cut back below a registry change no longer counts its height', async () => {
    await fill()
    const transactions = registryTransactions().slice(0, 2)
    const head = sealed(3, transactions)
    const next = { ...head, transactions }
    const grown = await openChainStore(location)
    await grown.append(next, hashHeader(head.header), transactions.map(hashTransaction))
    assert.deepEqual(await grown.registryHeights(), [3])
    await grown.close()
    await behind((db) => db.del(heightKey('header', 3)))
    const store = await openChainStore(location)
    assert.deepEqual(await store.registryHeights(), [])
    await store.append(next, hashHeader(head.header), transactions.map(hashTransaction))
    assert.deepEqual(await store.registryHeights(), [3])
    await store.close()
    await behind((db) => db.put(keyOf('registryHeight', '0'), ''))
    const broken = await openChainStore(location)
    await assert.rejects(broken.registryHeights(), corruptAt(/level H0: /))
    await broken.close()
  })

  it('whose size is asked for while blocks are given up knows it right afterwards', async () => {
    await fill()
    const db = new Level(location)
    await db.open()
    const store = await chainStore(db)
    const batch = db.batch.bind(db)
    db.batch = (() => {
      const slow = batch()
      const write = slow.write.bind(slow)
      slow.write = async () => {
        assert.equal(await store.size(), 3)
        await write()
      }
      return slow
    }) as typeof db.batch
    await store.rewind(1)
    db.batch = batch
    assert.equal(await store.size(), 1)
    const { block: again, hash, txHashes } = block(1, ['tx-1'])
    await store.append(again, hash, txHashes)
    await store.close()
  })

  it('that somebody else has open can be tried again later', async () => {
    const holder = await openChainStore(location)
    await assert.rejects(openLightStore(location), (error) => {
      assert.ok(isSolarError(error, 'store_failed'))
      assert.deepEqual(
        { ...error.fields, reason: '' },
        { store: 'level', operation: 'open', retryable: true, reason: '' },
      )
      return true
    })
    await holder.close()
    await (await openLightStore(location)).close()
  })

  it('of a light node names the broken value', async () => {
    const store = await openLightStore(location)
    await store.putVote(vote(CHAIN, 1, 'ann'))
    await store.close()
    await behind(async (db) => {
      await db.put(keyOf('vote'), '{"height":1}')
      await db.put(keyOf('window'), '[]')
      await db.put(keyOf('checkedIdByHash', CHAIN), 'lost')
    })
    const broken = await openLightStore(location)
    await assert.rejects(broken.lastVote(), corruptAt(/level vote/))
    await assert.rejects(broken.window(), corruptAt(/level window/))
    await assert.rejects(broken.trade({ tx_hash: CHAIN }), corruptAt(/checkedTrade lost/))
    await broken.close()
  })
})
