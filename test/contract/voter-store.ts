import { strict as assert } from 'node:assert'
import { MAX_ACKS_OF_HEIGHT, OWN_VOTES_KEPT, type VoterStore } from '../../src/ports/voter-store.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { Vote } from '../../src/protocol/vote.ts'
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
      assert.deepEqual(await store.ownVotesAt(0), [])
      assert.deepEqual(await store.rejected(), [])
    })

    it('keeps the ack that was put last, and each of the newest 512 heights by its height', async () => {
      for (const height of [1, 2, 5, 4]) await store.putVote(ack(height))
      assert.deepEqual(await store.lastVote(), ack(4))
      assert.deepEqual(await store.ownVotesAt(5), [ack(5)])
      assert.deepEqual(await store.ownVotesAt(3), [])
      await store.putVote(ack(OWN_VOTES_KEPT + 2))
      store = await opened.reopen()
      assert.deepEqual(await store.lastVote(), ack(OWN_VOTES_KEPT + 2))
      for (const forgotten of [1, 2]) assert.deepEqual(await store.ownVotesAt(forgotten), [])
      for (const kept of [4, 5]) assert.deepEqual(await store.ownVotesAt(kept), [ack(kept)])
    })

    it('gives its acks from a height on, ascending', async () => {
      for (const height of [1, 20, 3]) await store.putVote(ack(height))
      assert.deepEqual(await store.ownVotesFrom(2), [ack(3), ack(20)])
      assert.deepEqual(await store.ownVotesFrom(21), [])
    })

    it('takes acks that were forgotten: the highest is the last, and each stays beside what is known at its height', async () => {
      const other = (height: number) => vote(sha256Hex(`another ${height}`), height, 'ann')
      await store.putVote(ack(5))
      assert.equal(await store.hasForgotten(), false)
      await store.putForgotten([other(2), other(5)])
      store = await opened.reopen()
      assert.deepEqual(await store.lastVote(), ack(5))
      assert.deepEqual(await store.ownVotesFrom(0), [other(2), ack(5), other(5)])
      assert.equal(await store.hasForgotten(), true)
      await store.putForgotten([other(OWN_VOTES_KEPT + 2), other(1)])
      store = await opened.reopen()
      assert.deepEqual(await store.lastVote(), other(OWN_VOTES_KEPT + 2))
      assert.deepEqual(await store.ownVotesFrom(0), [ack(5), other(5), other(OWN_VOTES_KEPT + 2)])
      await store.putRemembered()
      store = await opened.reopen()
      assert.equal(await store.hasForgotten(), false)
    })

    it('keeps of one height each that was forgotten, once, up to a bound', async () => {
      const acks = Array.from({ length: MAX_ACKS_OF_HEIGHT + 2 }, (_, index) => vote(sha256Hex(`${index}`), 7, 'ann'))
      const byHash = (a: Vote, b: Vote) => a.header_hash.localeCompare(b.header_hash)
      const [first, second, third] = acks as [Vote, Vote, Vote]
      await store.putVote(first)
      await store.putForgotten([second, third, second, ack(8)])
      await store.putForgotten([first, third])
      store = await opened.reopen()
      assert.equal((await store.ownVotesAt(7))[0]?.header_hash, first.header_hash)
      assert.deepEqual((await store.ownVotesFrom(0)).toSorted(byHash), [first, second, third, ack(8)].toSorted(byHash))
      await store.putForgotten(acks)
      assert.deepEqual((await store.ownVotesAt(7)).toSorted(byHash), acks.slice(0, MAX_ACKS_OF_HEIGHT).toSorted(byHash))
      await store.putVote(ack(7 + OWN_VOTES_KEPT))
      store = await opened.reopen()
      assert.deepEqual(await store.ownVotesFrom(0), [ack(8), ack(7 + OWN_VOTES_KEPT)])
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
