import { strict as assert } from 'node:assert'
import type { ChainStore } from '../../src/ports/chain-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { foldSubtrees, historyLeaf, inclusionSubtrees, MemoryTree, rootSubtrees } from '../../src/protocol/history.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { registryTickId, type RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import { hashTransaction, type Transaction } from '../../src/protocol/transaction.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { block, CHAIN, T0, correction, registryTransactions, sealed, trade } from './fixtures.ts'

const coded = (code: string) => (error: unknown) => isSolarError(error, code)
const made = (height: number) => block(height, [`${height}-a`, `${height}-b`, `${height}:c`])

async function grow(store: ChainStore, to: number): Promise<void> {
  for (let height = await store.size(); height < to; height++) {
    const next = made(height)
    await store.append(next.block, next.hash, next.txHashes)
  }
}

/** What every implementation of `ChainStore` must do. `open` gives a new, empty store each time. */
export function chainStoreContract(name: string, open: () => Promise<OpenedStore<ChainStore>>): void {
  describe(`chain store contract: ${name}`, () => {
    let opened: OpenedStore<ChainStore>
    let store: ChainStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    it('is empty at first', async () => {
      assert.equal(await store.size(), 0)
      assert.deepEqual(await store.headers(0, 10), [])
      assert.equal(await store.block(0), undefined)
      assert.equal(await store.heightOf(made(0).hash), undefined)
      assert.deepEqual(await store.historyNodes([]), [])
    })

    it('gives blocks back exactly, also after reopening', async () => {
      await grow(store, 20)
      store = await opened.reopen()
      assert.equal(await store.size(), 20)
      for (const height of [0, 7, 19]) assert.deepEqual(await store.block(height), made(height).block)
      const blocks = [15, 16, 17, 18, 19].map((height) => made(height).block)
      assert.deepEqual(await store.blocks(15, 3), blocks.slice(0, 3))
      assert.deepEqual(await store.blocks(15, 100), blocks)
      assert.deepEqual([await store.blocks(20, 5), await store.blocks(3, 0)], [[], []])
      assert.equal(await store.block(20), undefined)
      await grow(store, 21)
      assert.deepEqual(await store.block(20), made(20).block)
    })

    it('keeps every kind of transaction, and blocks without any', async () => {
      const fix = correction('t', 'fix', 'a', { reason: 'printable "ASCII" \\ only', timestamp: T0 })
      const hash = sha256Hex('a block')
      const head = sealed(0, [fix])
      await store.append({ ...head, transactions: [fix] }, hash, [sha256Hex('fix')])
      await store.append({ ...sealed(1), transactions: [] }, sha256Hex('another'), [])
      assert.deepEqual((await store.block(0))?.transactions, [fix])
      assert.deepEqual((await store.block(1))?.transactions, [])
      assert.equal(await store.heightOf(hash), 0)
    })

    it('keeps registry transactions of every action, and knows the heights of their blocks', async () => {
      const [first, ...others] = registryTransactions()
      const blocks = new Map<number, readonly Transaction[]>([
        [0, [first!]],
        [9, [trade('t9', 'a'), others[0]!, trade('t9', 'b')]],
        [10, others.slice(1)],
      ])
      assert.deepEqual(await store.registryHeights(), [])
      for (let height = 0; height < 20; height++) {
        const transactions = blocks.get(height) ?? [trade(`t${height}`, `x${height}`)]
        const head = sealed(height, transactions)
        await store.append({ ...head, transactions }, hashHeader(head.header), transactions.map(hashTransaction))
        assert.deepEqual(
          await store.registryHeights(),
          [...blocks.keys()].filter((at) => at <= height),
        )
      }
      store = await opened.reopen()
      assert.deepEqual(await store.registryHeights(), [0, 9, 10])
      for (const [height, transactions] of blocks) {
        assert.deepEqual((await store.block(height))?.transactions, transactions)
      }
      assert.deepEqual(await store.locate({ tx_id: others[0]!.id }), { height: 9, index: 1 })
      assert.deepEqual(await store.registryHeights(1, 1), [9])
      const below = [0, 1, 9, 10, 11, 100]
      assert.deepEqual(await Promise.all(below.map((height) => store.lastRegistryHeight(height))), [
        ...[undefined, 0, 0, 9, 10, 10],
      ])
    })

    it('knows who was given a key, which changes are guarded, and the registries that are stored as a whole', async () => {
      const enrol = (subject_id: string, recovery_key: string | null): RegistryTransaction => {
        const nonce = sha256Hex(subject_id).slice(0, 32)
        const common = {
          kind: 'registry',
          id: subject_id,
          timestamp: T0,
          tick_id: registryTickId(nonce),
          nonce,
        } as const
        const keys = { public_key: sha256Hex(`key of ${subject_id}`), recovery_key }
        return { ...common, action: 'enrol', subject_id, role: 'voter', ...keys, signature: '0'.repeat(128) }
      }
      const keys = ['ann', 'nobody', 'ben', 'carla'].map((name) => sha256Hex(`key of ${name}`))
      const page = { hash: sha256Hex('page'), items: [sha256Hex('left'), sha256Hex('right')] }
      const leaves = {
        hash: sha256Hex('leaves'),
        items: [{ finality: { policy: 'authority' as const }, since_height: 0 }],
      }
      const changes = [
        { tx: enrol('ann', null), change: { guarded: true } },
        { tx: enrol('ben', null), change: { guarded: false, checkpoint: { size: 3, pages: [page, leaves] } } },
        { tx: enrol('carla', keys[0]!), change: { guarded: true, checkpoint: { size: 4, pages: [] } } },
      ]
      for (const [height, { tx, change }] of changes.entries()) {
        const head = sealed(height, [tx])
        await store.append({ ...head, transactions: [tx] }, hashHeader(head.header), [hashTransaction(tx)], change)
      }
      store = await opened.reopen()
      const found = [{ height: 0, id: 'ann' }, undefined, { height: 1, id: 'ben' }, { height: 2, id: 'carla' }]
      assert.deepEqual(await store.registrations(keys), found)
      assert.deepEqual(await store.guardedHeights(0, 9), [0, 2])
      assert.deepEqual(await store.guardedHeights(1, 2), [])
      const checkpoints = await Promise.all([1, 2, 3].map((below) => store.registryCheckpoint(below)))
      assert.deepEqual(checkpoints, [undefined, { height: 1, size: 3 }, { height: 2, size: 4 }])
      assert.deepEqual(await store.registryPages([leaves.hash, page.hash]), [leaves.items, page.items])
      await assert.rejects(store.registryPages([sha256Hex('no page')]), coded('corrupt'))
    })

    it('gives ranges of headers with their hashes, fewer at the end', async () => {
      await grow(store, 20)
      const expected = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, offset) => {
          const { block: whole, hash } = made(from + offset)
          return { header: whole.header, signature: whole.signature, hash }
        })
      assert.deepEqual(await store.headers(0, 20), expected(0, 20))
      assert.deepEqual(await store.headers(14, 3), expected(14, 17))
      assert.deepEqual(await store.headers(15, 100), expected(15, 20))
      assert.deepEqual(await store.headers(20, 5), [])
      assert.deepEqual(await store.headers(3, 0), [])
    })

    it('finds blocks by hash and transactions by id and by hash', async () => {
      await grow(store, 5)
      const { hash, txHashes } = made(3)
      assert.equal(await store.heightOf(hash), 3)
      assert.equal(await store.heightOf(CHAIN), undefined)
      assert.deepEqual(await store.locate({ tx_id: '3:c' }), { height: 3, index: 2 })
      assert.deepEqual(await store.locate({ tx_hash: txHashes[1]! }), { height: 3, index: 1 })
      assert.equal(await store.locate({ tx_id: '3:' }), undefined)
      assert.deepEqual(await store.heightsOfIds(['3:', '3:c']), [undefined, 3])
      assert.equal(await store.locate({ tx_hash: CHAIN }), undefined)
    })

    it('finds many at once, in the order asked for', async () => {
      await grow(store, 5)
      const [third, first] = [made(3), made(1)]
      assert.deepEqual(await store.heightsOf([third.hash, CHAIN, first.hash]), [3, undefined, 1])
      assert.deepEqual(await store.heightsOfTicks(['tick-3', 'tick-5', 'tick-1']), [3, undefined, 1])
      assert.deepEqual(await store.placesByHash([third.txHashes[2]!, CHAIN, first.txHashes[0]!]), [
        { height: 3, index: 2 },
        undefined,
        { height: 1, index: 0 },
      ])
      assert.deepEqual([await store.heightsOf([]), await store.placesByHash([])], [[], []])
    })

    it('finds the corrections of a trade in the order of the chain', async () => {
      const blocks = [
        [trade('t0', 'a'), trade('t0', 'a.b')],
        [correction('t1', 'fix-1', 'a'), correction('t1', 'fix-2', 'a')],
        [trade('t2', 'c')],
        [correction('t3', 'fix-3', 'a.b'), correction('t3', 'fix-4', 'a')],
      ]
      for (const [height, transactions] of blocks.entries()) {
        const head = sealed(height, transactions)
        await store.append({ ...head, transactions }, hashHeader(head.header), transactions.map(hashTransaction))
      }
      store = await opened.reopen()
      assert.deepEqual(await store.correctionsOf('a'), [
        { height: 1, index: 0 },
        { height: 1, index: 1 },
        { height: 3, index: 1 },
      ])
      assert.deepEqual(await store.correctionsOf('a.b'), [{ height: 3, index: 0 }])
      assert.deepEqual(await store.correctionsOf('c'), [])
    })

    it('appends the next height only', async () => {
      await grow(store, 2)
      for (const height of [0, 1, 3]) {
        const { block: wrong, hash, txHashes } = made(height)
        await assert.rejects(store.append(wrong, hash, txHashes), coded('corrupt'))
      }
      assert.equal(await store.size(), 2)
      await grow(store, 3)
    })

    it('lets exactly one of several appends at one height through, and keeps appends in order', async () => {
      const same = [1, 2, 3].map(() => store.append(made(0).block, made(0).hash, made(0).txHashes))
      const results = await Promise.allSettled(same)
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
      await Promise.all(
        [1, 2, 3, 4].map((height) => store.append(made(height).block, made(height).hash, made(height).txHashes)),
      )
      assert.equal(await store.size(), 5)
    })

    it('holds the history tree: every proof it gives is that of a tree in memory', async () => {
      const tree = new MemoryTree()
      for (let height = 0; height < 21; height++) {
        if (height === 13) store = await opened.reopen()
        await grow(store, height + 1)
        tree.append(historyLeaf(made(height).hash))
        assert.equal(foldSubtrees(await store.historyNodes(rootSubtrees(height + 1))), tree.root())
      }
      for (const size of [1, 2, 8, 13, 21]) {
        for (let leaf = 0; leaf < size; leaf++) {
          const parts = inclusionSubtrees(leaf, size)
          const path = await Promise.all(parts.map(async (part) => foldSubtrees(await store.historyNodes(part))))
          assert.deepEqual(path, tree.inclusion(leaf, size).path)
        }
      }
    })

    it('gives nodes in the order asked for, and none of subtrees that are not complete', async () => {
      await grow(store, 5)
      const leaves = [4, 0, 2].map((index) => ({ level: 0, index }))
      assert.deepEqual(
        await store.historyNodes(leaves),
        [4, 0, 2].map((height) => historyLeaf(made(height).hash)),
      )
      for (const incomplete of [
        { level: 0, index: 5 },
        { level: 1, index: 2 },
        { level: 3, index: 0 },
        { level: 0, index: -1 },
      ]) {
        await assert.rejects(store.historyNodes([incomplete]), coded('out_of_range'))
      }
    })

    it('refuses to work after it was closed', async () => {
      await store.close()
      await assert.rejects(store.block(0), coded('store_failed'))
    })
  })
}
