import assert from 'node:assert/strict'
import fc from 'fast-check'
import { chooseFork, compareCandidates, forkWeight, type Candidate } from '../../../src/protocol/fork-choice.ts'
import type { ChainView } from '../../../src/protocol/finality.ts'
import type { Finality, Genesis } from '../../../src/protocol/genesis.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { Registry } from '../../../src/protocol/registry.ts'

const AUTHORITY: Finality = { policy: 'authority' }
const VALIDATORS: Finality = { policy: 'validators', threshold: 2 }
const VOTES: Finality = { policy: 'votes', threshold: 2 }

const candidate = (given: Partial<Candidate>): Candidate => ({
  hash: 'bb',
  height: 10,
  containsFinal: true,
  weight: 2,
  seen: 5,
  ...given,
})
const chosen = (finality: Finality, ...candidates: readonly Candidate[]) => chooseFork(candidates, finality)

describe('fork choice', () => {
  for (const finality of [VALIDATORS, VOTES]) {
    it(`takes the most acks, then the longest, then the lowest hash under ${finality.policy}`, () => {
      const acked = candidate({ weight: 3, height: 8, hash: 'ff', seen: 9 })
      const long = candidate({ height: 11, hash: 'ee', seen: 8 })
      const low = candidate({ hash: 'aa', seen: 7 })
      const first = candidate({ seen: 1 })
      assert.equal(chosen(finality, first, low, long, acked), acked)
      assert.equal(chosen(finality, first, low, long), long)
      assert.equal(chosen(finality, first, low), low)
    })
  }

  it('stays with the first seen under authority', () => {
    const first = candidate({ weight: 0, height: 1, hash: 'ff', seen: 1 })
    assert.equal(chosen(AUTHORITY, candidate({}), first, candidate({ weight: 9 })), first)
  })

  it('takes no chain without the last final header, whatever speaks for it', () => {
    const lost = candidate({ weight: 9, height: 99, hash: '00', seen: 0, containsFinal: false })
    const kept = candidate({ weight: 0 })
    for (const finality of [AUTHORITY, VALIDATORS, VOTES]) {
      assert.equal(chosen(finality, lost, kept), kept)
      assert.equal(chosen(finality, lost), undefined)
      assert.equal(chosen(finality), undefined)
    }
  })

  it('chooses the same chain in whatever order the candidates come', () => {
    const any = fc.record({
      hash: fc.constantFrom('aa', 'bb', 'cc'),
      height: fc.nat({ max: 2 }),
      containsFinal: fc.boolean(),
      weight: fc.nat({ max: 2 }),
      seen: fc.nat({ max: 2 }),
    })
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), fc.constantFrom(AUTHORITY, VALIDATORS, VOTES), (all, finality) => {
        const sorted = all.filter(({ containsFinal }) => containsFinal)
        sorted.sort((a, b) => compareCandidates(a, b, finality))
        for (const order of [all, all.toReversed()]) {
          const best = chooseFork(order, finality)
          assert.equal(best === undefined, sorted.length === 0)
          if (best !== undefined) assert.equal(compareCandidates(best, sorted[0]!, finality), 0)
        }
        for (const [i, a] of sorted.entries()) {
          for (const b of sorted.slice(i)) {
            assert.ok(compareCandidates(a, b, finality) <= 0)
            assert.equal(
              Math.sign(compareCandidates(a, b, finality)),
              -Math.sign(compareCandidates(b, a, finality)) + 0,
            )
          }
        }
      }),
    )
  })
})

function registryOf(finality: Finality, ids: readonly string[]): Registry {
  const entry = (id: string, role: 'authority' | 'validator' | 'voter') => ({
    id,
    role,
    public_key: sha256Hex(id),
    recovery_key: null,
  })
  const genesis: Genesis = {
    version: 1,
    name: 'Forks',
    origin: 'forks.example',
    created_at: 0,
    currency: 'EUR',
    amount_decimals: 2,
    seal: 'authority',
    difficulty: 0,
    finality,
    registry: [
      entry('authority', 'authority'),
      ...ids.map((id) => entry(id, id.startsWith('v') ? 'validator' : 'voter')),
    ],
  }
  return Registry.fromGenesis(genesis)
}

describe('ack weight of a branch', () => {
  const viewOf = (finality: Finality, acks: Readonly<Record<string, number>>): ChainView => ({
    finalHeight: 4,
    tipHeight: 9,
    // From height 7 on the branch has voters of its own making.
    registryBefore: (height) =>
      registryOf(finality, height <= 6 ? ['v1', 'v2', 'alice'] : ['v8', 'v9', 'alice', 'eve']),
    isGuarded: (height) => height === 6,
    ackHeights: new Map(Object.entries(acks).map(([id, height]) => [sha256Hex(id), height])),
  })

  it('is the number of voters of the policy with an ack above the last final block', () => {
    const acks = { v1: 5, v2: 4, alice: 9, authority: 9, stranger: 9 }
    assert.equal(forkWeight(viewOf(VALIDATORS, acks)), 1)
    assert.equal(forkWeight(viewOf(VOTES, acks)), 1)
    assert.equal(forkWeight(viewOf(VOTES, { ...acks, alice: 4 })), 0)
    assert.equal(forkWeight(viewOf(VALIDATORS, { v1: 9, v2: 9 })), 2)
  })

  it('does not grow by voters whom the branch itself enrolled', () => {
    assert.equal(forkWeight(viewOf(VALIDATORS, { v8: 9, v9: 9 })), 0)
    assert.equal(forkWeight(viewOf(VOTES, { eve: 9 })), 0)
  })

  it('is nothing under authority', () => {
    assert.equal(forkWeight(viewOf(AUTHORITY, { v1: 9, alice: 9 })), 0)
  })
})
