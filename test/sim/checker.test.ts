import assert from 'node:assert/strict'
import type { Vote } from '../../src/protocol/vote.ts'
import { heightKey, keyOf } from '../../src/storage/level/keyspaces.ts'
import { createStreet, type Branch } from '../helpers/branches.ts'
import { Checker } from './checker.ts'
import { createDisk, type Disk } from './disk.ts'
import { createLoop } from './loop.ts'
import { Model } from './model.ts'
import { START } from './plan.ts'
import { createRandom } from './random.ts'

const V0 = 'v0'

describe('what the simulation says of the acks of a validator that loses its disk', () => {
  const street = createStreet({ finality: { policy: 'validators', threshold: 3 }, validators: [V0, 'v1', 'v2', 'v3'] })
  const stem = street.start.grow('t0')
  const branch = stem.grow('t1', 't2', 't3')
  const other = stem.grow('u1', 'u2', 'u3')
  let disk: Disk
  let checker: Checker

  beforeEach(() => {
    disk = createDisk(createLoop(START), createRandom(0))
    checker = new Checker({
      model: new Model(street.genesis),
      nodes: [{ id: V0, kind: 'validator', disk }],
      faces: [],
      honest: new Set([V0]),
      oneSealer: false,
      oneFinalBlock: true,
      isAllowed: () => true,
      ignored: new Set(),
      isCalm: () => true,
      now: () => START,
    })
  })

  /** Its disk has this chain, and this ack as the last one of its own. */
  function holds({ blocks }: Branch, ack?: Vote): void {
    const entries = new Map<string, string>()
    for (const [height, { header, signature, transactions }] of blocks.entries()) {
      entries.set(heightKey('header', height), JSON.stringify({ header, signature }))
      entries.set(heightKey('body', height), JSON.stringify(transactions))
    }
    if (ack !== undefined) entries.set(keyOf('vote'), JSON.stringify(ack))
    disk.copyFrom({ entries })
    checker.check()
  }

  const acks = (chain: Branch, height: number): void => holds(chain, street.vote(V0, chain.at(height)))

  function loses(): void {
    checker.storesLost(V0)
    holds(street.start)
  }

  it('an older disk after an empty one shows what it acked then, which is no new ack', () => {
    acks(branch, 1)
    acks(branch, 3)
    loses()
    checker.storesLost(V0)
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
