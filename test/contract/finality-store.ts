import { strict as assert } from 'node:assert'
import type { BranchVotes, FinalityStore } from '../../src/ports/finality-store.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { T0, vote } from './fixtures.ts'
import type { OpenedFinality, OpenedRewindable } from './openers.ts'

const MAX = Number.MAX_SAFE_INTEGER
const outcomesOf = (votes: readonly unknown[], outcome: string) => votes.map(() => ({ outcome }))

/** What every implementation of `FinalityStore` must do. `open` gives a new, empty store each time. */
export function finalityStoreContract(
  name: string,
  open: () => Promise<OpenedFinality>,
  { keepsBranches }: { readonly keepsBranches: boolean },
): void {
  describe(`finality store contract: ${name}`, () => {
    let opened: OpenedFinality
    let store: FinalityStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    describe('votes', () => {
      const ours = sha256Hex('our header')
      const theirs = sha256Hex('their header')

      it('are stored once and come back as they were signed, also after reopening', async () => {
        const votes = [vote(ours, 3, 'ann'), vote(ours, 3, 'bob', 'reject'), vote(ours, 3, 'bob')]
        assert.deepEqual(await store.putVotes(votes), outcomesOf(votes, 'stored'))
        assert.deepEqual(await store.putVotes(votes), outcomesOf(votes, 'same'))
        store = await opened.reopen()
        assert.deepEqual(await store.putVotes(votes), outcomesOf(votes, 'same'))
        assert.deepEqual(new Set(await store.votesOf(ours)), new Set(votes))
        assert.deepEqual(await store.votesOf(theirs), [])
        assert.deepEqual(await store.putVotes([]), [])
      })

      it('hold one ack a voter a height, more only where branches are kept, and rejects of any number of headers', async () => {
        const first = vote(ours, 3, 'ann')
        await store.putVotes([first])
        const outcomes = await store.putVotes([
          vote(theirs, 3, 'ann'),
          vote(theirs, 3, 'ann', 'reject'),
          vote(sha256Hex('the next header'), 4, 'ann'),
          vote(theirs, 3, 'bob'),
          vote(ours, 3, 'bob'),
          vote(theirs, 3, 'bob'),
        ])
        assert.deepEqual(outcomes, [
          { outcome: 'conflict', stored: first, kept: keepsBranches },
          { outcome: 'stored' },
          { outcome: 'stored' },
          { outcome: 'stored' },
          { outcome: 'conflict', stored: vote(theirs, 3, 'bob'), kept: keepsBranches },
          { outcome: 'same' },
        ])
        assert.deepEqual(await store.votesOf(ours), keepsBranches ? [first, vote(ours, 3, 'bob')] : [first])
      })

      it('are found by voter and height: the ack, on whatever chain, and never a reject', async () => {
        await opened.seal(0)
        const [onChain, beside] = [vote(opened.hashOf(0), 0, 'ann'), vote(theirs, 1, 'ann')]
        await store.putVotes([onChain, beside, vote(ours, 2, 'ann', 'reject'), vote(ours, 0, 'ann.2')])
        for (const reopen of [false, true]) {
          const current = reopen ? await opened.reopen() : store
          assert.deepEqual(await current.ackAt('ann', 0), onChain)
          assert.deepEqual(await current.ackAt('ann', 1), beside)
          assert.equal(await current.ackAt('ann', 2), undefined)
          assert.equal(await current.ackAt('bob', 0), undefined)
          assert.deepEqual(await current.ackAt('ann.2', 0), vote(ours, 0, 'ann.2'))
        }
      })

      it('are found by voter from a height on: its acks on whatever chain, by height, as many as are asked for', async () => {
        await opened.seal(0)
        const acks = [
          vote(opened.hashOf(0), 0, 'ann'),
          vote(theirs, 2, 'ann'),
          vote(ours, 11, 'ann'),
          vote(sha256Hex('a header far above'), 2 ** 40, 'ann'),
        ]
        const others = [vote(ours, 2, 'ann', 'reject'), vote(theirs, 3, 'ann.2'), vote(theirs, 3, 'an')]
        await store.putVotes([...acks.toReversed(), ...others])
        for (const reopen of [false, true]) {
          const current = reopen ? await opened.reopen() : store
          assert.deepEqual(await current.acksOf('ann', 0, 10), acks)
          assert.deepEqual(await current.acksOf('ann', 0, 2), acks.slice(0, 2))
          assert.deepEqual(await current.acksOf('ann', 3, 10), acks.slice(2))
          assert.deepEqual(await current.acksOf('bob', 0, 10), [])
        }
      })

      it('are counted by header and decision', async () => {
        await store.putVotes(['a', 'b', 'c'].map((voter) => vote(ours, 1, voter)))
        await store.putVotes([vote(theirs, 1, 'a', 'reject'), vote(theirs, 1, 'd')])
        const nobody = sha256Hex('a header nobody voted on')
        assert.deepEqual(
          await store.voteCounts([ours, theirs, nobody]),
          new Map([
            [ours, { ack: 3, reject: 0 }],
            [theirs, { ack: 1, reject: 1 }],
            [nobody, { ack: 0, reject: 0 }],
          ]),
        )
        assert.deepEqual(await store.voteCounts([]), new Map())
      })

      it('that arrive at the same time in many batches: the first ack of each voter is the one', async () => {
        const voters = Array.from({ length: 300 }, (_, index) => `voter-${index}`)
        const batches = [ours, theirs, ours, theirs].map((hash) => voters.map((voter) => vote(hash, 7, voter)))
        const outcomes = (await Promise.all(batches.map((batch) => store.putVotes(batch)))).flat()
        assert.equal(outcomes.filter(({ outcome }) => outcome === 'stored').length, voters.length)
        const counts = await store.voteCounts([ours, theirs])
        assert.equal(counts.get(ours)!.ack + counts.get(theirs)!.ack, voters.length * (keepsBranches ? 2 : 1))
      })

      it('come in batches of any size', async () => {
        const votes = Array.from({ length: 2_500 }, (_, index) => vote(ours, 1, `voter-${index}`))
        await store.putVotes(votes.slice(0, 1_200))
        const outcomes = await store.putVotes(votes)
        assert.deepEqual(
          outcomes.map(({ outcome }) => outcome),
          votes.map((_, index) => (index < 1_200 ? 'same' : 'stored')),
        )
      })
    })

    describe('acks by voter', () => {
      it('are acks of blocks of the chain, whichever came first, and nothing else', async () => {
        const header = (height: number) => opened.hashOf(height)
        assert.deepEqual(await store.ackHeights(), new Map())
        for (const height of [0, 1]) await opened.seal(height)
        const foreign = sha256Hex('a header of somebody else')
        await store.putVotes([
          vote(header(0), 0, 'ann'),
          vote(header(1), 1, 'ann'),
          vote(foreign, 7, 'ann'),
          vote(header(0), 0, 'bob'),
          vote(header(1), 1, 'bob', 'reject'),
          vote(foreign, 1, 'cyd'),
          vote(header(1), 1, 'dan', 'reject'),
          vote(header(2), 2, 'eve'),
        ])
        const before = new Map([
          ['ann', 1],
          ['bob', 0],
        ])
        assert.deepEqual(await store.ackHeights(), before)
        await opened.seal(2)
        store = await opened.reopen()
        assert.deepEqual(await store.ackHeights(), new Map([...before, ['eve', 2]]))
        const first = [vote(header(0), 0, 'ann'), vote(header(0), 0, 'bob'), vote(header(2), 2, 'eve')]
        assert.deepEqual(await store.acksFrom(0), first)
        assert.deepEqual(await store.acksFrom(1), [vote(header(1), 1, 'ann'), vote(header(2), 2, 'eve')])
        assert.deepEqual(await store.acksFrom(3), [])
      })

      it('are told apart although an id begins with another', async () => {
        await opened.seal(0)
        const ids = ['ann', 'ann+', 'ann-1', 'ann.1', 'ann0', 'ann:x', 'ann@b', 'annA', 'ann_', 'anna']
        await store.putVotes(ids.toReversed().map((id) => vote(opened.hashOf(0), 0, id)))
        assert.deepEqual([...(await store.ackHeights()).keys()].sort(), ids.toSorted())
        const acks = await store.acksFrom(0)
        assert.deepEqual(new Set(acks), new Set(ids.map((id) => vote(opened.hashOf(0), 0, id))))
      })

      it('are those that a look at every single vote finds', async () => {
        const votes: Vote[] = []
        const acks: Vote[] = []
        const expected = new Map<string, number>()
        for (let height = 0; height < 25; height++) {
          await opened.seal(height)
          for (let voter = 0; voter < 30; voter++) {
            const kind = sha256Hex(`${voter} at ${height}`).charCodeAt(0) % 3
            const of = kind === 1 ? sha256Hex(`fork at ${height}`) : opened.hashOf(height)
            if (voter % 7 === 0 || height < 20 - (voter % 20)) {
              votes.push(vote(of, height, `v${voter}`, kind === 2 ? 'reject' : 'ack'))
              if (kind !== 0) continue
              acks.push(vote(of, height, `v${voter}`))
              expected.set(`v${voter}`, height)
            }
          }
        }
        await store.putVotes(votes)
        assert.ok(new Set(expected.values()).size > 8)
        assert.deepEqual(await store.ackHeights(), expected)
        for (const from of [0, 1, 9, 19, 24, 25]) {
          const first = new Map<string, Vote>()
          for (const ack of acks) {
            if (ack.height >= from && !first.has(ack.voter_id)) first.set(ack.voter_id, ack)
          }
          const found = await store.acksFrom(from)
          assert.equal(found.length, first.size)
          assert.deepEqual(new Map(found.map((ack) => [ack.voter_id, ack])), first)
        }
      })
    })

    describe('finality', () => {
      it('is -1 before the first block is final, then the height of the last that is', async () => {
        assert.equal(await store.finalHeight(), -1)
        for (let height = 0; height < 12; height++) await opened.seal(height)
        assert.equal(await store.finalHeight(), -1)
        for (const height of [0, 9, 10, 4, 11]) {
          await store.finalizeUpTo(height, T0)
          assert.equal(await store.finalHeight(), height === 4 ? 10 : height)
        }
        store = await opened.reopen()
        assert.equal(await store.finalHeight(), 11)
      })

      it('is for ever, with its first time', async () => {
        for (let height = 0; height < 4; height++) await opened.seal(height)
        assert.equal(await opened.finalizedAt(0), null)
        await store.finalizeUpTo(1, T0 + 1)
        await store.finalizeUpTo(2, MAX)
        await store.finalizeUpTo(0, T0 + 3)
        await store.finalizeUpTo(1, T0 + 4)
        await opened.reopen()
        const times = await Promise.all([0, 1, 2, 3].map((height) => opened.finalizedAt(height)))
        assert.deepEqual(times, [T0 + 1, T0 + 1, MAX, null])
      })
    })
  })
}

/** What a `FinalityStore` must do beside a chain that can give up blocks. */
export function rewoundFinalityContract(name: string, open: () => Promise<OpenedRewindable>): void {
  describe(`finality store contract, after a rewind: ${name}`, () => {
    let opened: OpenedRewindable
    let store: BranchVotes

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    it('counts acks of the blocks that the chain has now, and those of others once they are back; of a double voter too', async () => {
      for (const height of [0, 1, 2, 3]) await opened.seal(height)
      const old = [0, 1, 2, 3].map((height) => vote(opened.hashOf(height), height, 'ann'))
      await store.putVotes([...old, vote(opened.hashOf(3), 3, 'bob')])
      await opened.rewind(2)
      assert.deepEqual(await store.ackHeights(), new Map([['ann', 1]]))
      assert.deepEqual(await store.acksBesideFrom(2), [old[2], old[3], vote(opened.hashOf(3), 3, 'bob')])
      assert.deepEqual(await store.acksBesideFrom(1), [vote(opened.hashOf(3), 3, 'bob')], 'ann has one on the chain')
      assert.deepEqual(await store.acksBesideFrom(4), [])
      assert.deepEqual(await store.acksFrom(0), [old[0]])
      assert.deepEqual(await store.acksFrom(2), [])
      assert.deepEqual(await store.ackAt('ann', 3), old[3], 'it has said so all the same')

      const other = await opened.sealOther(2)
      const [conflict, stored] = await store.putVotes([vote(other, 2, 'ann'), vote(other, 2, 'bob')])
      assert.deepEqual(conflict, { outcome: 'conflict', stored: old[2], kept: true })
      assert.deepEqual(stored, { outcome: 'stored' })
      store = await opened.reopen()
      assert.deepEqual(
        await store.ackHeights(),
        new Map([
          ['ann', 2],
          ['bob', 2],
        ]),
      )
      assert.deepEqual(await store.acksFrom(2), [vote(other, 2, 'ann'), vote(other, 2, 'bob')])

      await opened.rewind(2)
      for (const height of [2, 3]) await opened.seal(height)
      assert.deepEqual(
        await store.ackHeights(),
        new Map([
          ['ann', 3],
          ['bob', 3],
        ]),
      )
    })
  })
}
