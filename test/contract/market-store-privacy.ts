import { strict as assert } from 'node:assert'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { blockRow, commitTick, correction, T0, tick, trade } from './fixtures.ts'

/** The bytes of an age file, of this length, that nobody can open. */
const payloadOf = (bytes: number): string =>
  Buffer.from(`age-encryption.org/v1\n${'-> nobody '.repeat(bytes)}`)
    .subarray(0, bytes)
    .toString('base64')

const CHECK = sha256Hex('a secret')
const ANN = { user_id: 'ann', pseudonym: `u-${'a'.repeat(32)}` }
const BEN = { user_id: 'ben', pseudonym: `u-${'b'.repeat(32)}` }

/** What every implementation of `MarketStore` must do with payloads and with pseudonyms. */
export function marketStorePrivacyContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, payloads and pseudonyms: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    const secret = trade('t0', 'secret', { payload: payloadOf(300) })
    const largest = trade('t0', 'largest', { payload: payloadOf(4_096), from_user_id: 'roof-2' })
    const plain = trade('t0', 'plain', { to_user_id: 'flat-2' })

    it('payloads come back as they were, beside trades without one, in the order of the tick', async () => {
      const committed = tick('t0', [secret, plain, largest])
      await commitTick(store, committed)
      assert.deepEqual((await store.nextUnsealedTick())?.transactions, committed.transactions)
      await store.fence(blockRow(0, 't0'))
      const again = await opened.reopen()
      assert.deepEqual(await again.transactionsOfTick('t0'), committed.transactions)
      assert.deepEqual((await again.tick('t0'))?.transactions, committed.transactions)
      assert.deepEqual((await again.sealedTicks(0, 1)).get(0)?.transactions, committed.transactions)
      assert.deepEqual((await again.transaction('secret'))?.transaction, secret)
      assert.equal((await again.transaction('secret'))?.tx_hash, hashTransaction(secret))
      assert.equal('payload' in ((await again.transaction('plain'))?.transaction ?? {}), false)
    })

    it('a payload goes with the body of its trade, and that of no other trade', async () => {
      await commitTick(store, tick('t0', [secret, plain, largest]))
      await store.fence({ ...blockRow(0, 't0'), finalized_at: T0 })
      await commitTick(store, tick('t1', [correction('t1', 'fix', 'secret')]))
      await store.fence({ ...blockRow(1, 't1'), finalized_at: T0 })
      await store.redact({ tx_id: 'secret', redacted_by: 'mia', reason: 'asked for', redacted_at: T0 + 9 })
      assert.deepEqual((await store.transaction('secret'))?.transaction, {
        kind: 'redacted',
        tx_hash: hashTransaction(secret),
      })
      assert.deepEqual((await store.transaction('largest'))?.transaction, largest)
    })

    it('a payload of a tick that could never be sealed stays with it', async () => {
      await commitTick(store, tick('t0', [secret]))
      await store.voidTick('t0', { parent: null, reason: 'never', at: T0 })
      assert.deepEqual((await store.voidTicks('t0'))[0]?.transactions, [secret])
    })

    it('the check of a secret is written once, and never gives way to another', async () => {
      assert.equal(await store.pseudonymCheck(), undefined)
      assert.equal(await store.bindPseudonyms(CHECK), CHECK)
      assert.equal(await store.bindPseudonyms(sha256Hex('another secret')), CHECK)
      assert.equal(await (await opened.reopen()).pseudonymCheck(), CHECK)
    })

    it('users are found by their pseudonyms and the other way round, and what is known stays', async () => {
      assert.deepEqual(await store.usersOfPseudonyms([]), [])
      assert.deepEqual(await store.usersOfPseudonyms([ANN.pseudonym]), [])
      await store.putPseudonyms([ANN])
      await store.putPseudonyms([ANN, BEN])
      await store.putPseudonyms([])
      const again = await opened.reopen()
      const found = await again.usersOfPseudonyms([BEN.pseudonym, `u-${'c'.repeat(32)}`, ANN.pseudonym])
      assert.deepEqual(
        [...found].sort((a, b) => (a.user_id < b.user_id ? -1 : 1)),
        [ANN, BEN],
      )
      assert.equal(await again.pseudonymOfUser('ben'), BEN.pseudonym)
      assert.equal(await again.pseudonymOfUser(BEN.pseudonym), undefined)
    })

    it('more users than one statement takes are all remembered', async () => {
      const many = Array.from({ length: 2_500 }, (_, i) => ({
        user_id: `user-${i}`,
        pseudonym: `u-${sha256Hex(String(i)).slice(0, 32)}`,
      }))
      await store.putPseudonyms(many)
      assert.equal((await store.usersOfPseudonyms(many.map(({ pseudonym }) => pseudonym))).length, many.length)
    })
  })
}
