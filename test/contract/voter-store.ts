import { strict as assert } from 'node:assert'
import { OWN_VOTES_KEPT, type VoterStore } from '../../src/ports/voter-store.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { sealed, vote } from './fixtures.ts'

const ack = (height: number) => vote(sha256Hex(`${height}`), height, 'ann')
const headersOf = (...heights: number[]) => heights.map((height) => sealed(height))

/** What every implementation of `VoterStore` must do. `open` gives a new, empty store each time. */
export function voterStoreContract(name: string, open: () => Promise<OpenedStore<VoterStore>>): void {
  describe(`voter store contract: ${name}`, () => {
    let opened: OpenedStore<VoterStore>
    let store: VoterStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    it('knows of no vote at first', async () => {
      assert.equal(await store.lastVote(), undefined)
      assert.equal(await store.ownVoteAt(0), undefined)
      assert.deepEqual(await store.rejected(), [])
    })

    it('keeps the ack that was put last, and each of the newest 512 heights by its height', async () => {
      for (const height of [1, 2, 5, 4]) await store.putVote(ack(height))
      assert.deepEqual(await store.lastVote(), ack(4))
      assert.deepEqual(await store.ownVoteAt(5), ack(5))
      assert.equal(await store.ownVoteAt(3), undefined)
      await store.putVote(ack(OWN_VOTES_KEPT + 2))
      store = await opened.reopen()
      assert.deepEqual(await store.lastVote(), ack(OWN_VOTES_KEPT + 2))
      for (const forgotten of [1, 2]) assert.equal(await store.ownVoteAt(forgotten), undefined)
      for (const kept of [4, 5]) assert.deepEqual(await store.ownVoteAt(kept), ack(kept))
    })

    it('gives its acks from a height on, ascending', async () => {
      for (const height of [1, 20, 3]) await store.putVote(ack(height))
      assert.deepEqual(await store.ownVotesFrom(2), [ack(3), ack(20)])
      assert.deepEqual(await store.ownVotesFrom(21), [])
    })

    it('takes acks that were forgotten: the highest is the last, and what is known at a height stays', async () => {
      const other = (height: number) => vote(sha256Hex(`another ${height}`), height, 'ann')
      await store.putVote(ack(5))
      assert.equal(await store.hasForgotten(), false)
      await store.putForgotten([other(2), other(5)])
      store = await opened.reopen()
      assert.deepEqual(await store.lastVote(), ack(5))
      assert.deepEqual(await store.ownVotesFrom(0), [other(2), ack(5)])
      assert.equal(await store.hasForgotten(), true)
      await store.putForgotten([other(OWN_VOTES_KEPT + 2), other(1)])
      store = await opened.reopen()
      assert.deepEqual(await store.lastVote(), other(OWN_VOTES_KEPT + 2))
      assert.deepEqual(await store.ownVotesFrom(0), [ack(5), other(OWN_VOTES_KEPT + 2)])
      await store.putRemembered()
      store = await opened.reopen()
      assert.equal(await store.hasForgotten(), false)
    })

    it('takes them where it knows of no ack at all', async () => {
      await store.putForgotten([ack(3), ack(4)])
      assert.deepEqual(await store.lastVote(), ack(4))
      assert.deepEqual(await store.ownVotesFrom(0), [ack(3), ack(4)])
    })

    it('keeps the headers of rejected blocks until others are put', async () => {
      await store.putRejected(headersOf(3, 4))
      store = await opened.reopen()
      assert.deepEqual(await store.rejected(), headersOf(3, 4))
      await store.putRejected(headersOf(4))
      assert.deepEqual(await store.rejected(), headersOf(4))
      await store.putRejected([])
      assert.deepEqual(await store.rejected(), [])
    })

    it('keeps of rejected blocks the newest 512, and their sealed headers alone', async () => {
      const headers = Array.from({ length: OWN_VOTES_KEPT + 3 }, (_, height) => sealed(height))
      await store.putRejected(headers.map((header) => ({ ...header, hash: 'more than a header' })))
      assert.deepEqual(await store.rejected(), headers.slice(3))
    })
  })
}
