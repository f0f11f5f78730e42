import { strict as assert } from 'node:assert'
import type { ChainStore } from '../../src/ports/chain-store.ts'
import type { Block } from '../../src/protocol/block.ts'
import type { Hash } from '../../src/protocol/bytes.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { foldSubtrees, historyLeaf, inclusionSubtrees, MemoryTree, rootSubtrees } from '../../src/protocol/history.ts'
import { hashTransaction, type Transaction } from '../../src/protocol/transaction.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { correction, enrolment, sealed, trade } from './fixtures.ts'

const coded = (code: string) => (error: unknown) => isSolarError(error, code)

interface Made {
  readonly block: Block
  readonly hash: Hash
  readonly txHashes: readonly Hash[]
}

/** A block of trades, with a correction of an earlier one or a registry change here and there; `branch` names its chain. */
function made(height: number, branch = ''): Made {
  const tick = `tick-${height}`
  const transactions: Transaction[] = [trade(tick, `${height}-a`), trade(tick, `${height}${branch}-b`)]
  if (height % 4 === 3) transactions.push(correction(tick, `${height}-fix`, `${height - (height % 3) - 1}-a`))
  if (height % 7 === 2) transactions.push({ ...enrolment(`r-${height}`), tick_id: tick })
  // Both branches have sealed the same trades, at other places.
  if (branch !== '') transactions.reverse()
  const head = sealed(height, transactions, branch)
  return {
    block: { ...head, transactions },
    hash: hashHeader(head.header),
    txHashes: transactions.map(hashTransaction),
  }
}

async function grow(store: ChainStore, to: number, branch = ''): Promise<void> {
  for (let height = await store.size(); height < to; height++) {
    const next = made(height, branch)
    const isChange = next.block.transactions.some(({ kind }) => kind === 'registry')
    const change = { guarded: true, checkpoint: { size: height + 1, pages: [] } }
    await store.append(next.block, next.hash, next.txHashes, isChange ? change : undefined)
  }
}

/** Everything that can be asked about blocks of heights below `limit` on both branches. */
async function answers(store: ChainStore, limit: number) {
  const size = await store.size()
  const all = Array.from({ length: limit }, (_, height) => [made(height), made(height, 'x')]).flat()
  const transactions = all.flatMap(({ block }) => block.transactions)
  const each = <T>(ask: (made: Made) => Promise<T>) => Promise.all(all.map(ask))
  return {
    size,
    headers: await store.headers(0, limit),
    blocks: await Promise.all(Array.from({ length: limit }, (_, height) => store.block(height))),
    registryHeights: await store.registryHeights(),
    guarded: await store.guardedHeights(0, limit),
    checkpoint: await store.registryCheckpoint(limit),
    registrations: await store.registrations(transactions.flatMap((tx) => ('public_key' in tx ? [tx.public_key] : []))),
    frontier: await store.historyNodes(rootSubtrees(size)),
    heights: await each(({ hash }) => store.heightOf(hash)),
    ticks: await each(({ block }) => store.heightOfTick(block.transactions[0]!.tick_id)),
    places: await store.places(transactions.map(({ id }) => id)),
    byHash: await Promise.all(transactions.map((tx) => store.locate({ tx_hash: hashTransaction(tx) }))),
    corrections: await Promise.all(transactions.map(({ id }) => store.correctionsOf(id))),
  }
}

/** What every `ChainStore` must do whose chain gives up blocks for others. `open` gives a new, empty store each time. */
export function rewindContract(name: string, open: () => Promise<OpenedStore<ChainStore>>): void {
  describe(`chain store contract, blocks beside the chain: ${name}`, () => {
    let opened: OpenedStore<ChainStore>
    let store: ChainStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    it('finds ticks, places and corrections of the chain', async () => {
      await grow(store, 12)
      assert.equal(await store.heightOfTick('tick-11'), 11)
      assert.equal(await store.heightOfTick('tick-12'), undefined)
      assert.deepEqual(await store.places(['4-b', 'nowhere', '0-a']), [
        { height: 4, index: 1 },
        undefined,
        { height: 0, index: 0 },
      ])
      assert.deepEqual(await store.places([]), [])
      const corrected = made(3).block.transactions.find((tx) => tx.kind === 'correction')!.corrects
      assert.deepEqual(await store.correctionsOf(corrected), [{ height: 3, index: 2 }])
      assert.deepEqual(await store.correctionsOf('1'), [], 'an id is not the beginning of an id')
      assert.deepEqual(await store.correctionsOf('0-b'), [])
    })

    it('lists the corrections of one trade oldest first', async () => {
      await grow(store, 2)
      for (let height = 2; height < 20; height++) {
        const tick = `tick-${height}`
        const transactions = [1, 2].map((n) => correction(tick, `${height}-${n}`, height % 2 === 0 ? '0-a' : '0-a.1'))
        const head = sealed(height, transactions)
        await store.append({ ...head, transactions }, hashHeader(head.header), transactions.map(hashTransaction))
      }
      const expected = [2, 4, 6, 8, 10, 12, 14, 16, 18].flatMap((height) => [0, 1].map((index) => ({ height, index })))
      assert.deepEqual(await store.correctionsOf('0-a'), expected)
    })

    it('keeps blocks beside the chain under their hash alone', async () => {
      await grow(store, 5)
      const before = await answers(store, 8)
      const beside = [made(3, 'x'), made(7, 'x')]
      for (const { block, hash } of [...beside, ...beside]) await store.putBeside(block, hash)
      store = await opened.reopen()
      for (const { block, hash } of beside) assert.deepEqual(await store.besideChain(hash), block)
      assert.equal(await store.besideChain(made(4, 'x').hash), undefined)
      assert.equal(await store.besideChain(made(3).hash), undefined, 'a block of the chain is not beside it')
      assert.deepEqual(await answers(store, 8), before)
    })

    it('gives up its last blocks: nothing of them is found any more but beside the chain', async () => {
      await grow(store, 11)
      await store.rewind(6)
      for (const reopen of [false, true]) {
        const current = reopen ? await opened.reopen() : store
        assert.equal(await current.size(), 6)
        for (let height = 6; height < 11; height++) {
          const { block, hash, txHashes } = made(height)
          assert.deepEqual(await current.besideChain(hash), block)
          assert.equal(await current.heightOf(hash), undefined)
          assert.equal(await current.block(height), undefined)
          assert.equal(await current.heightOfTick(`tick-${height}`), undefined)
          assert.deepEqual(
            await current.places(block.transactions.map(({ id }) => id)),
            block.transactions.map(() => undefined),
          )
          for (const tx_hash of txHashes) assert.equal(await current.locate({ tx_hash }), undefined)
        }
        assert.deepEqual(await current.headers(6, 10), [])
        assert.deepEqual(await current.registryHeights(), [2])
        await assert.rejects(current.historyNodes([{ level: 0, index: 6 }]), coded('out_of_range'))
      }
    })

    it('takes the same blocks back, and others on top: what is on the chain is not beside it', async () => {
      await grow(store, 10)
      await store.rewind(4)
      await grow(store, 7)
      assert.equal(await store.besideChain(made(6).hash), undefined)
      assert.deepEqual(await store.besideChain(made(7).hash), made(7).block)
      await store.rewind(4)
      await grow(store, 13, 'x')
      store = await opened.reopen()
      for (let height = 4; height < 10; height++) {
        assert.deepEqual(await store.block(height), made(height, 'x').block)
        assert.deepEqual(await store.besideChain(made(height).hash), made(height).block)
        assert.equal(await store.besideChain(made(height, 'x').hash), undefined)
      }
      const tree = new MemoryTree()
      for (let height = 0; height < 13; height++) tree.append(historyLeaf(made(height, height < 4 ? '' : 'x').hash))
      assert.equal(foldSubtrees(await store.historyNodes(rootSubtrees(13))), tree.root())
      for (let leaf = 0; leaf < 13; leaf++) {
        const path = inclusionSubtrees(leaf, 13).map(async (part) => foldSubtrees(await store.historyNodes(part)))
        assert.deepEqual(await Promise.all(path), tree.inclusion(leaf, 13).path)
      }
    })

    it('is, rewound from any size to any other, as a store that never grew beyond it', async () => {
      const LIMIT = 20
      const fresh = await open()
      const expected: Awaited<ReturnType<typeof answers>>[] = []
      try {
        for (let size = 0; size <= LIMIT; size++) {
          await grow(fresh.store, size)
          expected.push(await answers(fresh.store, LIMIT))
        }
      } finally {
        await fresh.cleanup()
      }
      for (let size = 0; size <= LIMIT; size++) {
        await grow(store, LIMIT, size % 2 === 0 ? '' : 'x')
        await store.rewind(size)
        await store.rewind(Math.min(size, expected.length))
        if (size % 2 === 0) assert.deepEqual(await answers(store, LIMIT), expected[size])
        // The other branch on top leaves nothing behind either.
        await store.rewind(Math.floor(size / 2))
        await grow(store, Math.floor(size / 2))
        assert.deepEqual(await answers(store, LIMIT), expected[Math.floor(size / 2)])
      }
      for (let from = 1; from <= LIMIT; from++) {
        await store.rewind(0)
        await grow(store, from)
        const to = Number.parseInt(sha256Hex(`${from}`).slice(0, 8), 16) % from
        await store.rewind(to)
        assert.deepEqual(await answers(store, LIMIT), expected[to], `${from} -> ${to}`)
      }
    })

    it('rewinds to its own size, to nothing, and never to more than it has', async () => {
      await grow(store, 3)
      await store.rewind(3)
      assert.equal(await store.size(), 3)
      await assert.rejects(store.rewind(4), coded('out_of_range'))
      await store.rewind(0)
      assert.equal(await store.size(), 0)
      await grow(store, 2, 'x')
      assert.equal(await store.size(), 2)
    })

    it('is before or after a rewind for whoever reads meanwhile, and grows on from where it is then', async () => {
      for (let round = 0; round < 5; round++) {
        await grow(store, 20)
        const rewinding = store.rewind(5)
        const ended = rewinding.then(() => 'ended')
        while ((await Promise.race([ended, new Promise(setImmediate)])) !== 'ended') {
          assert.ok([5, 20].includes(await store.size()))
        }
        await rewinding
        assert.equal(await store.size(), 5)
        await grow(store, 6)
      }
    })

    it('puts appends and rewinds into the order of the calls', async () => {
      await grow(store, 4)
      const [third, again] = [made(3, 'x'), made(4, 'x')]
      await Promise.all([
        store.rewind(3),
        store.append(third.block, third.hash, third.txHashes),
        store.append(again.block, again.hash, again.txHashes),
      ])
      assert.deepEqual(await store.block(3), third.block)
      assert.equal(await store.size(), 5)
    })
  })
}
