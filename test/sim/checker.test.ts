import assert from 'node:assert/strict'
import type { Block } from '../../src/protocol/block.ts'
import { hashHeader, type SealedHeader } from '../../src/protocol/header.ts'
import { registryTickId } from '../../src/protocol/registry-transaction.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { heightKey, keyOf } from '../../src/storage/level/keyspaces.ts'
import { createStreet, namedKey, type Branch, type Street } from '../helpers/branches.ts'
import { Checker } from './checker.ts'
import { createDisk } from './disk.ts'
import { createLoop } from './loop.ts'
import { Model } from './model.ts'
import { START } from './plan.ts'
import { createRandom } from './random.ts'

const V0 = 'v0'
const VALIDATORS = [V0, 'v1', 'v2', 'v3']

/** What a validator has on its disk. */
interface Held {
  readonly ack?: Vote
  /** Blocks beside the chain: those of this branch. */
  readonly beside?: Branch
  readonly votes?: readonly Vote[]
  readonly final?: number
}

interface Watched {
  readonly checker: Checker
  /** The disk of a validator has this chain; then the checker looks. */
  holds(id: string, chain: Branch, held?: Held): void
  /** The disk of a light node trusts this block of a chain, or none, and has these as the headers that it follows; then the checker looks. */
  follows(chain: Branch, trusted: number | undefined, headers?: readonly SealedHeader[]): void
  /** What its process says is final up to here. */
  says(id: string, final: number): void
}

function watch({ genesis }: Pick<Street, 'genesis'>): Watched {
  const loop = createLoop(START)
  const disks = new Map(VALIDATORS.map((id) => [id, createDisk(loop, createRandom(0))]))
  const light = createDisk(loop, createRandom(0))
  const told = new Map<string, number>()
  const checker = new Checker({
    model: new Model(genesis),
    nodes: [
      ...[...disks].map(([id, disk]) => ({ id, kind: 'validator', disk, told: () => told.get(id) }) as const),
      { id: 'l0', kind: 'light', disk: light },
    ],
    faces: [],
    honest: new Set(VALIDATORS),
    oneSealer: false,
    oneFinalBlock: true,
    isAllowed: () => true,
    isCalm: () => true,
    now: () => START,
  })
  return {
    checker,
    holds(id, { blocks }, { ack, beside, votes = [], final } = {}) {
      const entries = new Map<string, string>()
      for (const [height, { header, signature, transactions }] of blocks.entries()) {
        entries.set(heightKey('header', height), JSON.stringify({ header, signature }))
        entries.set(heightKey('body', height), JSON.stringify(transactions))
      }
      for (const block of beside?.blocks ?? []) {
        if (!blocks.includes(block)) entries.set(keyOf('beside', hashHeader(block.header)), JSON.stringify(block))
      }
      for (const vote of votes) entries.set(keyOf('anyVote', vote.signature), JSON.stringify(vote))
      if (ack !== undefined) entries.set(keyOf('vote'), JSON.stringify(ack))
      if (final !== undefined) entries.set(heightKey('final', final), String(START))
      disks.get(id)?.copyFrom({ entries })
      checker.check()
    },
    follows({ blocks }, trusted, headers = []) {
      const window = { headers, trusted: { anchor: blocks[trusted ?? -1] ?? null }, head: { anchor: null } }
      light.copyFrom({ entries: new Map([[keyOf('window'), JSON.stringify(window)]]) })
      checker.check()
    },
    says(id, final) {
      told.set(id, final)
      checker.check()
    },
  }
}

describe('what the simulation says of the acks of a validator that loses its disk', () => {
  const street = createStreet({ finality: { policy: 'validators', threshold: 3 }, validators: VALIDATORS })
  const stem = street.start.grow('t0')
  const branch = stem.grow('t1', 't2', 't3')
  const other = stem.grow('u1', 'u2', 'u3')
  let watched: Watched

  beforeEach(() => {
    watched = watch(street)
  })

  const acks = (chain: Branch, height: number): void =>
    watched.holds(V0, chain, { ack: street.vote(V0, chain.at(height)) })

  function loses(): void {
    watched.checker.storesLost(V0)
    watched.holds(V0, street.start)
  }

  it('an older disk after an empty one shows what it acked then, which is no new ack', () => {
    acks(branch, 1)
    acks(branch, 3)
    loses()
    watched.checker.storesLost(V0)
    acks(branch, 1)
    acks(branch, 3)
  })

  it('what it acked binds it still: no other block of the height, and none beside it', () => {
    acks(branch, 2)
    loses()
    assert.throws(() => acks(other, 2), /acked one of this height before/)
    assert.throws(() => acks(other, 3), /does not extend block 2/)
  })

  it('a block below its last ack says nothing new, and binds it no less to that', () => {
    acks(branch, 2)
    loses()
    acks(branch, 1)
    assert.throws(() => acks(other, 3), /does not extend block 2/)
  })

  it('who has lost nothing acks none below its last', () => {
    acks(branch, 2)
    assert.throws(() => acks(branch, 1), /does not extend block 2/)
  })
})

describe('what the simulation says of final blocks and of votes', () => {
  const street = createStreet({ finality: { policy: 'validators', threshold: 4 }, validators: VALIDATORS })
  const finality = { policy: 'validators', threshold: 3 } as const
  const change = street.change('three', namedKey('authority'), { action: 'policy', subject_id: 'authority', finality })
  const stem = street.start.grow('t0').add([{ ...change, tick_id: registryTickId(change.nonce) }])
  const branch = stem.grow('t2', 't3')
  const other = stem.grow('u2', 'u3')
  let watched: Watched

  beforeEach(() => {
    watched = watch(street)
  })

  /** Each acks this block, and has its ack on its own disk. */
  function acked(ids: readonly string[], chain: Branch, height: number): Vote[] {
    const votes = ids.map((id) => street.vote(id, chain.at(height)))
    for (const [index, id] of ids.entries()) watched.holds(id, chain, { ack: votes[index]! })
    return votes
  }

  it('acks on a branch count for what the chain shares with it, and what they made final lets acks of the chain count on', () => {
    // The change needs all four, and has the fourth on the branch alone; what follows it needs three.
    const votes = [
      ...acked(['v1', 'v2', 'v3'], stem, 1),
      ...acked([V0], other, 2),
      ...acked(['v1', 'v2', 'v3'], branch, 2),
    ]
    watched.holds(V0, branch, { beside: other, votes, final: 2 })
  })

  it('what neither the chain nor a branch that it shares makes final is not', () => {
    const votes = [...acked(['v1', 'v2', 'v3'], stem, 1), ...acked(['v1', 'v2', 'v3'], branch, 2)]
    assert.throws(() => watched.holds(V0, branch, { beside: other, votes, final: 2 }), /its votes make -1 final/)
  })

  it('acks on a branch make nothing final of the chain that it does not share', () => {
    const votes = acked(VALIDATORS, other, 2)
    assert.throws(() => watched.holds(V0, branch, { beside: other, votes, final: 2 }), /its votes make 1 final/)
  })

  it('two final blocks of a height are told before what they lack', () => {
    watched.holds('v1', other, { votes: acked(['v1', 'v2', 'v3', V0], other, 3), final: 3 })
    assert.throws(() => watched.holds('v2', branch, { final: 3 }), /no two final blocks of a height: height 2/)
  })

  it('an ack that another node has was on the disk of its voter before', () => {
    const early = street.vote('v1', branch.at(2))
    assert.throws(() => watched.holds(V0, branch, { votes: [early] }), /v0 has an ack of block 2 by v1/)
  })

  it('what a node says is final is so on its disk', () => {
    watched.holds(V0, branch, { votes: acked(VALIDATORS, branch, 2), final: 2 })
    watched.says(V0, 2)
    assert.throws(() => watched.says(V0, 3), /no final block is lost: v0 says that block 3 is final/)
  })

  it('what a light node trusted it trusts for ever, even if it trusts nothing any more', () => {
    watched.holds(V0, branch, { votes: acked(VALIDATORS, branch, 2) })
    watched.follows(branch, 2)
    assert.throws(() => watched.follows(branch, undefined), /no final block is lost: l0: block 0 was final/)
  })

  it('a light node holds no header that no valid block has', () => {
    watched.holds(V0, branch)
    const [{ header, signature }] = branch.blocks.slice(-1) as [Block]
    watched.follows(branch, undefined, [{ header, signature }])
    const forged = { header: { ...header, timestamp: header.timestamp + 1 }, signature }
    assert.throws(
      () => watched.follows(branch, undefined, [forged]),
      /every block is valid: l0 holds a header of height 3/,
    )
  })

  it('no ack contradicts what was final before', () => {
    const votes = [...acked(VALIDATORS, stem, 1), ...acked(['v1', 'v2', 'v3'], branch, 2)]
    watched.holds(V0, branch, { votes, final: 2 })
    const ack = street.vote(V0, other.at(3))
    assert.throws(
      () => watched.holds(V0, branch, { votes, final: 2, beside: other, ack }),
      /contradicts the final block 2/,
    )
  })
})
