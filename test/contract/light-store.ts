import { strict as assert } from 'node:assert'
import type { CheckedTrade, LightStore } from '../../src/ports/light-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { merkleProof } from '../../src/protocol/merkle.ts'
import type { TrustedState } from '../../src/protocol/light-verify.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { CHAIN, sealed, trade } from './fixtures.ts'

/** What a light node trusts at this height; not `isFull`: at the start, when all that may be null is. */
function trusted(height: number, isFull: boolean): TrustedState {
  const anchor = sealed(height)
  const common = { anchor, anchor_hash: hashHeader(anchor.header), registry_root: sha256Hex(`registry at ${height}`) }
  if (!isFull) return { ...common, anchor: null, frontier: [], policy: null, sealers: [] }
  return {
    ...common,
    frontier: [sha256Hex('left'), sha256Hex('right')],
    policy: { finality: { policy: 'votes', threshold: 2 }, since_height: 1 },
    sealers: [
      {
        slot: 0,
        id: 'authority-1',
        role: 'authority',
        public_key: sha256Hex('the key of the authority'),
        recovery_key: null,
        status: 'active',
        since_height: 0,
      },
    ],
  }
}

const headersOf = (...heights: number[]) => heights.map((height) => sealed(height))

function checkedTrade(id: string): CheckedTrade {
  const transaction = trade('t1', id)
  const tx_hash = hashTransaction(transaction)
  return { transaction, tx_hash, merkle_proof: merkleProof([tx_hash, CHAIN], 0), sealed: sealed(4, [transaction]) }
}

/** What every implementation of `LightStore` must do. `open` gives a new, empty store each time. */
export function lightStoreContract(name: string, open: () => Promise<OpenedStore<LightStore>>): void {
  describe(`light store contract: ${name}`, () => {
    let opened: OpenedStore<LightStore>
    let store: LightStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    it('knows nothing at first', async () => {
      assert.equal(await store.genesis(), undefined)
      assert.equal(await store.window(), undefined)
      assert.equal(await store.trade({ tx_id: 'a' }), undefined)
      assert.equal(await store.trade({ tx_hash: CHAIN }), undefined)
    })

    it('keeps the genesis, the window and the trades over a restart', async () => {
      const mine = [checkedTrade('a'), checkedTrade('b:1')]
      const window = { headers: headersOf(3, 4, 5), trusted: trusted(4, true), head: trusted(5, true) }
      await store.putGenesis('{"name":"a street"}')
      await store.putWindow(window)
      await store.putTrades(mine)
      store = await opened.reopen()
      assert.equal(await store.genesis(), '{"name":"a street"}')
      assert.deepEqual(await store.window(), window)
      assert.deepEqual(await store.trade({ tx_id: 'b:1' }), mine[1])
      assert.deepEqual(await store.trade({ tx_hash: mine[0]!.tx_hash }), mine[0])
      assert.equal(await store.trade({ tx_id: 'b' }), undefined)
    })

    it('replaces the window as a whole', async () => {
      await store.putWindow({ headers: headersOf(1, 2, 3), trusted: trusted(2, true), head: trusted(3, true) })
      const later = { headers: headersOf(4), trusted: trusted(0, false), head: trusted(4, true) }
      await store.putWindow(later)
      assert.deepEqual(await store.window(), later)
    })

    it('takes the same trade again', async () => {
      await store.putTrades([checkedTrade('a')])
      await store.putTrades([checkedTrade('a')])
      await store.putTrades([])
      assert.deepEqual(await store.trade({ tx_id: 'a' }), checkedTrade('a'))
    })

    it('refuses to work after it was closed', async () => {
      await store.close()
      await assert.rejects(store.window(), (error) => isSolarError(error, 'store_failed'))
    })
  })
}
