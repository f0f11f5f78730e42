import assert from 'node:assert/strict'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { replicaStore, type ReplicaStore } from '../../../src/storage/level/replica-store.ts'
import { createStreet, STREET_TIME } from '../../helpers/branches.ts'
import { createDisk } from '../../sim/disk.ts'
import { createLoop } from '../../sim/loop.ts'
import { createRandom } from '../../sim/random.ts'

/** A disk that is never slow, and of which a power cut takes all that it may take: what was not synced since the last sync. */
const UNLUCKY = { ...createRandom(0), chance: () => false, between: (_: number, most: number) => most }

describe('a power cut', () => {
  const street = createStreet({ finality: { policy: 'validators', threshold: 1 }, validators: ['v0'] })
  const branch = street.start.grow('t0', 't1')
  const ack = street.vote('v0', branch.at(0))
  const disk = createDisk(createLoop(STREET_TIME), UNLUCKY)

  beforeEach(() => disk.copyFrom({ entries: new Map() }))

  /** What is in the store after this and a power cut. */
  async function after(write: (store: ReplicaStore) => Promise<unknown>): Promise<ReplicaStore> {
    await write(await replicaStore(await disk.open()))
    disk.crash(true)
    return await replicaStore(await disk.open())
  }

  async function append({ chain }: ReplicaStore, height: number): Promise<void> {
    const block = branch.blocks[height]
    assert.ok(block !== undefined)
    await chain.append(block, branch.at(height).hash, block.transactions.map(hashTransaction))
  }

  it('takes blocks, which others have', async () => {
    const { chain } = await after((store) => append(store, 0))
    assert.equal(await chain.size(), 0)
  })

  it('takes no ack of this voter, by which it is bound', async () => {
    const { voter } = await after((store) => store.voter.putVote(ack))
    assert.deepEqual([await voter.lastVote(), ...(await voter.ownVotesAt(0))], [ack, ack])
  })

  it('takes no vote that was counted', async () => {
    const { finality } = await after((store) => store.finality.putVotes([ack]))
    assert.deepEqual(await finality.votesOf(ack.header_hash), [ack])
  })

  it('takes nothing that is final, nor the blocks up to it', async () => {
    const { chain, finality } = await after(async (store) => {
      await append(store, 0)
      await store.finality.finalizeUpTo(0, STREET_TIME)
      await append(store, 1)
    })
    assert.deepEqual([await finality.finalHeight(), await chain.size()], [0, 1])
  })
})
