import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ShownBlock } from '../../../src/protocol/block.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { hashTransaction, leafOf, type ShownTransaction, type Trade } from '../../../src/protocol/transaction.ts'
import { chainStore, type LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { HotPages } from '../../../src/storage/level/hot-pages.ts'
import { heightKey } from '../../../src/storage/level/keyspaces.ts'
import { openLevel } from '../../../src/storage/level/level.ts'
import { createStreet, type Branch } from '../../helpers/branches.ts'
import { tempChainStore, type OpenedStore } from '../../helpers/stores.ts'
import { tempDir } from '../../helpers/temp.ts'

const street = createStreet()
const base = street.start.grow('t0', 't1')
const MIB = 1024 * 1024

/** The block of height 0 with many trades: what a store keeps is not checked by it. */
function largeBlock(count: number): ShownBlock {
  const { header, signature, transactions } = base.blocks[0]!
  const trade = transactions[0] as Trade
  const trades = Array.from({ length: count }, (_, n): Trade => ({ ...trade, id: `trade-${n}` }))
  return { header: { ...header, tx_count: count }, signature, transactions: trades }
}
const idOf = (tx: ShownTransaction | undefined): string | undefined => (tx?.kind === 'redacted' ? '-' : tx?.id)

describe('bodies in pages', () => {
  let opened: OpenedStore<LevelChainStore>

  beforeEach(async () => {
    opened = await tempChainStore()
  })
  afterEach(() => opened.cleanup())

  const put = (block: ShownBlock): Promise<void> =>
    opened.store.append(block, hashHeader(block.header), block.transactions.map(leafOf))

  for (const count of [499, 500, 501, 1_700, 4_000, 4_001, 9_000]) {
    it(`give back a block of ${count} transactions, and any part of it`, async () => {
      const block = largeBlock(count)
      await put(block)
      assert.deepEqual(await opened.store.block(0), block)
      for (const [from, length] of [
        [0, 3],
        [498, 4],
        [499, 1_100],
        [count - 1, 10],
        [count, 10],
      ] as const) {
        const part = await opened.store.transactions(0, from, length)
        assert.deepEqual(part, block.transactions.slice(from, from + length), `${length} from ${from}`)
      }
    })
  }

  it('know nothing of a block that is not there', async () => {
    assert.deepEqual(await opened.store.transactions(0, 0, 10), [])
    assert.deepEqual(await opened.store.transactions('00'.repeat(32), 0, 10), [])
    assert.equal(await opened.store.headerBeside('00'.repeat(32)), undefined)
  })

  it('go beside the chain and back', async () => {
    const block = largeBlock(1_201)
    const hash = hashHeader(block.header)
    await put(block)
    await opened.store.rewind(0)
    assert.equal(await opened.store.block(0), undefined)
    assert.deepEqual(await opened.store.locate({ tx_id: 'trade-1200' }), undefined)
    assert.deepEqual(await opened.store.besideChain(hash), block)
    assert.deepEqual((await opened.store.headerBeside(hash))?.header, block.header)
    assert.deepEqual(await opened.store.transactions(hash, 998, 4), block.transactions.slice(998, 1_002))
    await put(block)
    assert.equal(await opened.store.besideChain(hash), undefined)
    assert.deepEqual(await opened.store.block(0), block)
    assert.deepEqual(await opened.store.transactions(hash, 998, 4), [])
  })

  it('lose one transaction, on the chain and beside it, and keep the others', async () => {
    const block = largeBlock(1_201)
    const other = { ...block, header: { ...block.header, timestamp: block.header.timestamp + 1 } }
    await put(block)
    await opened.store.putBeside(other, hashHeader(other.header))
    const tx_hash = leafOf(block.transactions[700]!)
    const record = { tx_hash, tx_id: 'trade-700', height: 0, redacted_by: 'mia', redacted_at: 1, reason: 'erasure' }
    await opened.store.redact([record])
    for (const of of [0, hashHeader(other.header)]) {
      const shown = await opened.store.transactions(of, 699, 3)
      assert.deepEqual(shown.map(idOf), ['trade-699', '-', 'trade-701'])
    }
    assert.deepEqual(
      (await opened.store.block(0))?.transactions.map(leafOf),
      block.transactions.map(leafOf),
      'the same leaves',
    )
  })

  it('of a large block are part of nothing before its last write, and are gone where that did not come', async () => {
    const block = largeBlock(9_000)
    const folder = await tempDir()
    const db = await openLevel(folder.path)
    let writes = 0
    const failing = new Proxy(db, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (name !== 'batch') return typeof value === 'function' ? (value.bind(target) as unknown) : value
        return () => {
          const batch = target.batch()
          const write = batch.write.bind(batch)
          batch.write = () => (++writes === 4 ? Promise.reject(new Error('no room')) : write())
          return batch
        }
      },
    })
    const append = (store: LevelChainStore, one: ShownBlock) =>
      store.append(one, hashHeader(one.header), one.transactions.map(leafOf))
    const store = await chainStore(failing)
    await assert.rejects(append(store, block), /no room/)
    const bodies = () => db.keys({ gte: heightKey('body', 0), lt: heightKey('body', 1) }).all()
    assert.equal((await bodies()).length, 18, 'the block itself is what failed')
    assert.deepEqual([await store.size(), await store.block(0)], [0, undefined])
    // As the next start finds it.
    await chainStore(db)
    assert.deepEqual(await bodies(), [])
    const files = await Promise.all((await readdir(folder.path)).map((name) => readFile(join(folder.path, name))))
    const [first] = block.transactions
    const said = JSON.stringify(first).slice(0, 200)
    assert.ok(!files.some((bytes) => bytes.includes(said)), 'a redaction would not find what is left in the files')
    writes = 0
    await assert.rejects(append(store, block), /no room/)
    assert.equal((await bodies()).length, 18)
    const other = largeBlock(501)
    await append(store, other)
    assert.equal((await bodies()).length, 2)
    assert.deepEqual(await store.block(0), other)
    await store.close()
    await folder.remove()
  })

  it('are refused, with advice, where a page has what an earlier version put into one value', async () => {
    const block = largeBlock(700)
    const folder = await tempDir()
    const db = await openLevel(folder.path)
    const store = await chainStore(db)
    await store.append(block, hashHeader(block.header), block.transactions.map(leafOf))
    await db.put(heightKey('body', 0), JSON.stringify(block.transactions))
    await assert.rejects(store.block(0), { code: 'corrupt', message: /500 transactions.*700.*solar-node rebuild/ })
    await store.close()
    await folder.remove()
  })
})

describe('pages that were read last', () => {
  let opened: OpenedStore<LevelChainStore>

  beforeEach(async () => {
    opened = await tempChainStore()
    await keep(base)
  })
  afterEach(() => opened.cleanup())

  async function keep({ blocks, at }: Branch): Promise<void> {
    for (let height = await opened.store.size(); height < blocks.length; height++) {
      const block = blocks[height]!
      await opened.store.append(block, at(height).hash, block.transactions.map(hashTransaction))
    }
  }
  const idsAt = async (height: number) => (await opened.store.block(height))?.transactions.map(idOf)

  it('are read once', async () => {
    const block = await opened.store.block(1)
    assert.equal((await opened.store.block(1))?.transactions[0], block?.transactions[0])
    assert.deepEqual(block, base.blocks[1])
  })

  it('are read again once a body was removed, also where a read was under way', async () => {
    const [tx] = base.blocks[0]!.transactions
    const record = { tx_hash: hashTransaction(tx!), tx_id: tx!.id, height: 0, redacted_by: 'mia', redacted_at: 1 }
    const reads: Promise<unknown>[] = []
    for (let n = 0; n < 5; n++) reads.push(opened.store.block(0))
    const redacted = opened.store.redact([{ ...record, reason: 'erasure' }])
    for (let n = 0; n < 50; n++) {
      reads.push(opened.store.block(0))
      await new Promise(setImmediate)
    }
    await Promise.all([redacted, ...reads])
    assert.deepEqual(await idsAt(0), ['-'])
    assert.deepEqual(await idsAt(1), ['t1.1'])
  })

  it('are read again once the chain is another', async () => {
    assert.deepEqual(await idsAt(1), ['t1.1'])
    await opened.store.rewind(1)
    assert.equal(await opened.store.block(1), undefined)
    await keep(street.start.grow('t0', 'other'))
    assert.deepEqual(await idsAt(1), ['other.1'])
  })

  it('are those of one block, also while another one comes in its place', async () => {
    const other = street.start.grow('t0', 'other')
    const reads: Promise<ShownBlock | undefined>[] = []
    const read = async () => {
      for (let n = 0; n < 20; n++) {
        reads.push(opened.store.block(1))
        await new Promise(setImmediate)
      }
    }
    const change = async () => {
      for (const branch of [other, base, other]) {
        await opened.store.rewind(1)
        await keep(branch)
      }
    }
    await Promise.all([read(), change()])
    for (const block of await Promise.all(reads)) {
      if (block !== undefined)
        assert.deepEqual(block, [base, other].find(({ at }) => at(1).hash === hashHeader(block.header))?.blocks[1])
    }
  })

  const page: readonly ShownTransaction[] = base.blocks[0]!.transactions

  it('are kept up to 16 MiB of their bodies, the last ones', () => {
    const hot = new HotPages()
    for (let n = 0; n < 20; n++) hot.put(String(n), page, MIB, hot.generation)
    assert.equal(hot.get('3'), undefined)
    assert.equal(hot.get('4'), page)
    hot.put('20', page, MIB, hot.generation)
    assert.equal(hot.get('4'), page, 'it was read since')
    assert.equal(hot.get('5'), undefined)
  })

  it('are not kept if they were read before something changed', () => {
    const hot = new HotPages()
    const { generation } = hot
    hot.clear()
    hot.put('1', page, 1, generation)
    assert.equal(hot.get('1'), undefined)
  })
})
