import assert from 'node:assert/strict'
import {
  changesGuard,
  countedRole,
  mayAck,
  newFinalHeight,
  requiredVotes,
  weightAt,
  type AckFacts,
  type BlockPoint,
  type ChainView,
} from '../../../src/protocol/finality.ts'
import { chainIdOf, type Finality, type Genesis, type Role } from '../../../src/protocol/genesis.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import {
  decodePostedRegistryTransaction,
  type RegistryTransaction,
  type RegistryTransactionBody,
} from '../../../src/protocol/registry-transaction.ts'
import { testNonce, testSecret } from '../../vectors/keys.ts'
import { signingKeyFromSecret, type TestKey } from '../../helpers/sign-now.ts'
import { signedChange } from '../../helpers/signed-change.ts'

const AUTHORITY: Finality = { policy: 'authority' }
const votes = (threshold: number): Finality => ({ policy: 'votes', threshold })
const validators = (threshold: number): Finality => ({ policy: 'validators', threshold })

const key = (name: string): TestKey => signingKeyFromSecret(testSecret(name))
const entryOf = (id: string, role: Role) => ({ id, role, public_key: key(id).publicKey, recovery_key: null })
const genesisOf = (finality: Finality): Genesis => ({
  version: 1,
  name: 'Finality',
  origin: 'finality.example',
  created_at: 0,
  currency: 'EUR',
  amount_decimals: 2,
  seal: 'authority',
  difficulty: 0,
  finality,
  registry: [
    entryOf('authority', 'authority'),
    ...['v1', 'v2', 'v3'].map((id) => entryOf(id, 'validator')),
    ...['alice', 'bob', 'carol'].map((id) => entryOf(id, 'voter')),
  ],
})

let count = 0
function signed(
  genesis: Genesis,
  change:
    | { action: 'enrol'; subject_id: string; role: Role; public_key: string }
    | { action: 'rotate'; subject_id: string; public_key: string }
    | { action: 'revoke'; subject_id: string }
    | { action: 'policy'; subject_id: string; finality: Finality },
  signer: string,
): RegistryTransaction {
  count += 1
  const body: RegistryTransactionBody = {
    kind: 'registry',
    id: `change-${count}`,
    timestamp: 1,
    nonce: testNonce(count),
    ...change,
  }
  return decodePostedRegistryTransaction(
    signedChange(body, chainIdOf(genesis), key(signer), { id: 'authority', key: key('authority') }),
  )
}
const enrolled = (genesis: Genesis, id: string, role: Role) =>
  signed(genesis, { action: 'enrol', subject_id: id, role, public_key: key(id).publicKey }, id)
const rotated = (genesis: Genesis, id: string) =>
  signed(genesis, { action: 'rotate', subject_id: id, public_key: key(`${id} 2`).publicKey }, id)
const revoked = (genesis: Genesis, id: string) => signed(genesis, { action: 'revoke', subject_id: id }, id)
const policyChanged = (genesis: Genesis, finality: Finality) =>
  signed(genesis, { action: 'policy', subject_id: 'authority', finality }, 'authority')

interface Chain {
  readonly blocks: number
  readonly changes?: Readonly<Record<number, (genesis: Genesis) => readonly RegistryTransaction[]>>
  /** By the name of the key: that of an id, or `ID 2` of its second one. */
  readonly acks?: Readonly<Record<string, number>>
  readonly finalHeight?: number
}

/** A chain of that many blocks, with registry changes at some heights, made by the registry itself. */
function viewOf(finality: Finality, { blocks, changes = {}, acks = {}, finalHeight = -1 }: Chain): ChainView {
  const genesis = genesisOf(finality)
  const before = [Registry.fromGenesis(genesis)]
  const guarded = new Set<number>()
  for (let height = 0; height < blocks; height++) {
    const transactions = changes[height]?.(genesis) ?? []
    const registry = before[height]!
    if (changesGuard(transactions, registry)) guarded.add(height)
    before.push(transactions.length === 0 ? registry : registry.after(transactions, height, new Set()))
  }
  return {
    finalHeight,
    tipHeight: blocks - 1,
    registryBefore: (height) => before[height]!,
    isGuarded: (height) => guarded.has(height),
    ackHeights: new Map(Object.entries(acks).map(([name, height]) => [key(name).publicKey, height])),
  }
}

const finalOf = (finality: Finality, chain: Chain): number => newFinalHeight(viewOf(finality, chain))

describe('finality', () => {
  it('asks for no votes under authority, and for the threshold of the other policies', () => {
    assert.deepEqual([AUTHORITY, votes(40), validators(2)].map(requiredVotes), [0, 40, 2])
    assert.deepEqual([AUTHORITY, votes(40), validators(2)].map(countedRole), [undefined, 'voter', 'validator'])
  })

  it('is reached when a block is sealed under authority, whatever is acked', () => {
    assert.equal(finalOf(AUTHORITY, { blocks: 0 }), -1)
    assert.equal(finalOf(AUTHORITY, { blocks: 5 }), 4)
    assert.equal(weightAt(viewOf(AUTHORITY, { blocks: 5, acks: { alice: 4, v1: 4 } }), 2), 0)
  })

  it('counts each voter for every block up to its highest ack', () => {
    const view = viewOf(validators(2), { blocks: 6, acks: { v1: 4, v2: 2, v3: 2 } })
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((height) => weightAt(view, height)),
      [3, 3, 3, 1, 1, 0],
    )
    assert.equal(newFinalHeight(view), 2)
  })

  it('counts only active entries of the role that the policy names', () => {
    const acks = { v1: 4, v2: 4, v3: 4, alice: 3, bob: 2, authority: 4, stranger: 4 }
    assert.equal(finalOf(votes(2), { blocks: 5, acks }), 2)
    assert.equal(finalOf(votes(3), { blocks: 5, acks }), -1)
    assert.equal(finalOf(validators(3), { blocks: 5, acks }), 4)
  })

  it('never goes back, and starts from what is final', () => {
    assert.equal(finalOf(validators(2), { blocks: 6, finalHeight: 4, acks: { v1: 1, v2: 1 } }), 4)
    assert.equal(finalOf(validators(2), { blocks: 6, finalHeight: 4, acks: { v1: 5, v2: 5 } }), 5)
    assert.equal(finalOf(validators(2), { blocks: 6, finalHeight: 5, acks: { v1: 5, v2: 5 } }), 5)
  })

  it('does not count a voter for blocks before it was enrolled, nor for those after it was revoked', () => {
    const changes = {
      1: (genesis: Genesis) => [enrolled(genesis, 'dora', 'voter')],
      3: (genesis: Genesis) => [revoked(genesis, 'alice')],
    }
    const view = viewOf(votes(2), { blocks: 6, changes, acks: { dora: 5, alice: 5 } })
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((height) => weightAt(view, height)),
      [1, 1, 2, 2, 1, 1],
    )
    // Two at height 3 finalize what only one voter could ack below it.
    assert.equal(newFinalHeight(view), 3)
  })

  it('counts an ack where the key that signed it was in force, not before and not after', () => {
    const changes = { 2: (genesis: Genesis) => [rotated(genesis, 'v3')] }
    const weights = (acks: Readonly<Record<string, number>>) => {
      const view = viewOf(validators(3), { blocks: 6, changes, acks })
      return [0, 1, 2, 3, 4, 5].map((height) => weightAt(view, height))
    }
    assert.deepEqual(weights({ v1: 5, v2: 5, 'v3 2': 4 }), [2, 2, 2, 3, 3, 2])
    assert.deepEqual(weights({ v1: 5, v2: 5, v3: 1 }), [3, 3, 2, 2, 2, 2])
    // The newer ack takes nothing from the older one, and the change itself is for the key before it.
    assert.deepEqual(weights({ v1: 5, v2: 5, v3: 2, 'v3 2': 4 }), [3, 3, 3, 3, 3, 2])
    assert.equal(finalOf(validators(3), { blocks: 6, changes, acks: { v1: 5, v2: 5, 'v3 2': 5 } }), -1)
    assert.equal(finalOf(validators(3), { blocks: 6, changes, acks: { v1: 5, v2: 5, v3: 2, 'v3 2': 5 } }), 5)
  })

  it('takes the policy in force at each height', () => {
    const changes = { 1: (genesis: Genesis) => [policyChanged(genesis, votes(3))] }
    const chain = { blocks: 5, changes, acks: { v1: 4, v2: 4, alice: 3, bob: 3, carol: 2 } }
    const view = viewOf(validators(2), chain)
    assert.deepEqual(
      [0, 1, 2, 3].map((height) => weightAt(view, height)),
      [2, 2, 3, 2],
    )
    assert.equal(newFinalHeight(view), 2)
  })

  it('ends at a set change without quorum, even where everything above would be final', () => {
    const toAuthority = { 2: (genesis: Genesis) => [policyChanged(genesis, AUTHORITY)] }
    assert.equal(finalOf(validators(2), { blocks: 6, changes: toAuthority }), -1)
    assert.equal(finalOf(validators(2), { blocks: 6, changes: toAuthority, acks: { v1: 5, v2: 1 } }), 1)
    // Acks of descendants count for the change.
    assert.equal(finalOf(validators(2), { blocks: 6, changes: toAuthority, acks: { v1: 5, v2: 4 } }), 5)
  })

  it('does not let the new validators vouch for the change that brings them', () => {
    const takeover = {
      1: (genesis: Genesis) => [
        ...['x1', 'x2', 'x3'].map((id) => enrolled(genesis, id, 'validator')),
        ...['v1', 'v2', 'v3'].map((id) => revoked(genesis, id)),
      ],
    }
    const sybils = { x1: 5, x2: 5, x3: 5 }
    assert.equal(finalOf(validators(2), { blocks: 6, changes: takeover, acks: sybils }), -1)
    assert.equal(finalOf(validators(2), { blocks: 6, changes: takeover, acks: { ...sybils, v1: 1 } }), -1)
    assert.equal(finalOf(validators(2), { blocks: 6, changes: takeover, acks: { ...sybils, v1: 1, v2: 1 } }), 5)
  })

  it('is not held up by changes of voters', () => {
    const changes = { 1: (genesis: Genesis) => [enrolled(genesis, 'dora', 'voter'), revoked(genesis, 'alice')] }
    // Block 2 has dora and bob; block 1, which enrols dora, has bob alone.
    assert.equal(finalOf(votes(2), { blocks: 3, changes, acks: { dora: 2, bob: 2 } }), 2)
  })

  it('takes a chain that nobody acks without looking at all of it', () => {
    let asked = 0
    const view = viewOf(validators(2), { blocks: 1 })
    const registry = view.registryBefore(0)
    const long: ChainView = { ...view, tipHeight: 1_000_000, registryBefore: () => ((asked += 1), registry) }
    assert.equal(newFinalHeight(long), -1)
    assert.ok(asked < 10, String(asked))
  })
})

describe('a guarded block', () => {
  const genesis = genesisOf(validators(2))
  const registry = Registry.fromGenesis(genesis)
  const guards = (...transactions: readonly RegistryTransaction[]) => changesGuard(transactions, registry)

  it('changes the policy, an authority or a validator', () => {
    assert.ok(guards(policyChanged(genesis, AUTHORITY)))
    for (const id of ['authority', 'v1']) {
      assert.ok(guards(rotated(genesis, id)), id)
      assert.ok(guards(revoked(genesis, id)), id)
      assert.ok(guards({ ...rotated(genesis, id), action: 'recover' } as RegistryTransaction), id)
    }
    for (const role of ['authority', 'validator'] as const) assert.ok(guards(enrolled(genesis, 'new', role)), role)
    assert.ok(guards(rotated(genesis, 'alice'), revoked(genesis, 'v1')))
  })

  it('is not one that changes voters, nor one without registry transactions', () => {
    assert.ok(!guards())
    assert.ok(!guards(rotated(genesis, 'alice'), revoked(genesis, 'bob'), enrolled(genesis, 'new', 'voter')))
    assert.ok(!guards(enrolled(genesis, 'new', 'voter'), rotated(genesis, 'new')))
  })

  it('is one that enrols a validator, whatever follows in it', () => {
    assert.ok(guards(enrolled(genesis, 'new', 'validator'), revoked(genesis, 'new')))
  })
})

/** Two branches: a0-a1-a2-a3-a4 and, from a1, b2-b3-b4. */
const point = (name: string): BlockPoint => ({ hash: name, height: Number(name.slice(1)) })
function hashAt({ hash, height: tip }: BlockPoint, height: number): string | undefined {
  if (height > tip || !/^[ab][0-4]$/.test(hash)) return undefined
  return height < 2 ? `a${height}` : `${hash[0]}${height}`
}
const facts = (header: string, given: Partial<AckFacts> = {}): AckFacts => ({
  header: point(header),
  lastAck: null,
  ackedAtHeight: null,
  lastFinal: null,
  unallowedChange: null,
  hashAt,
  ...given,
})
const codeOf = (given: AckFacts): string => {
  const verdict = mayAck(given)
  return verdict.ok ? 'ok' : verdict.code
}

describe('a voter may ack', () => {
  it('any header first, and then what extends its last ack', () => {
    assert.equal(codeOf(facts('a0')), 'ok')
    assert.equal(codeOf(facts('b3')), 'ok')
    assert.equal(codeOf(facts('a2', { lastAck: point('a1') })), 'ok')
    assert.equal(codeOf(facts('b4', { lastAck: point('a0') })), 'ok')
  })

  it('nothing beside or below its last ack', () => {
    assert.equal(codeOf(facts('b3', { lastAck: point('a2') })), 'does_not_extend')
    assert.equal(codeOf(facts('b2', { lastAck: point('a4') })), 'does_not_extend')
    assert.equal(codeOf(facts('a1', { lastAck: point('a2') })), 'does_not_extend')
  })

  it('one header a height: the same one is sent again, not signed again', () => {
    assert.equal(codeOf(facts('a2', { ackedAtHeight: 'a2', lastAck: point('a2') })), 'already_acked')
    assert.equal(codeOf(facts('b2', { ackedAtHeight: 'a2', lastAck: point('a2') })), 'acked_another')
    const free = { lastAck: point('a2'), lastFinal: point('b3') }
    assert.equal(codeOf(facts('b2', { ...free, ackedAtHeight: 'a2' })), 'acked_another')
    assert.equal(codeOf(facts('b4', free)), 'ok')
  })

  it('another branch as soon as a header that conflicts with its last ack is final', () => {
    const stuck = { lastAck: point('a3') }
    assert.equal(codeOf(facts('b4', { ...stuck, lastFinal: point('a1') })), 'does_not_extend')
    assert.equal(codeOf(facts('b4', { ...stuck, lastFinal: point('b2') })), 'ok')
    assert.equal(codeOf(facts('b4', { ...stuck, lastFinal: point('b4') })), 'ok')
  })

  it('nothing beside the chain of the last final header', () => {
    assert.equal(codeOf(facts('b3', { lastFinal: point('a2') })), 'conflicts_with_final')
    assert.equal(codeOf(facts('a4', { lastAck: point('a3'), lastFinal: point('b2') })), 'conflicts_with_final')
    assert.equal(codeOf(facts('a2', { lastFinal: point('a3') })), 'ok')
  })

  it('nothing that rests on a set change which its operator has not allowed', () => {
    const change = { unallowedChange: point('a2') }
    assert.equal(codeOf(facts('a2', change)), 'change_not_allowed')
    assert.equal(codeOf(facts('a4', { ...change, lastAck: point('a1'), lastFinal: point('a3') })), 'change_not_allowed')
  })

  it('nothing on the ground of headers that it does not know', () => {
    const unknown = { hash: 'lost', height: 3 }
    assert.equal(codeOf(facts('b4', { lastAck: unknown })), 'does_not_extend')
    assert.equal(codeOf(facts('b4', { lastAck: unknown, lastFinal: point('b2') })), 'does_not_extend')
    // A final header at the height of the lost one tells.
    assert.equal(codeOf(facts('b4', { lastAck: unknown, lastFinal: point('b3') })), 'ok')
    assert.equal(codeOf(facts('b4', { lastFinal: { hash: 'lost', height: 2 } })), 'conflicts_with_final')
  })
})
