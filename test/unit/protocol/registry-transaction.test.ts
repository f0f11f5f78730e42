import assert from 'node:assert/strict'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { chainIdOf, type Finality, type Genesis, type GenesisEntry, type Role } from '../../../src/protocol/genesis.ts'
import { Registry, verifyRegistryEntry, verifyRegistryPolicy } from '../../../src/protocol/registry.ts'
import {
  decodePostedRegistryTransaction,
  isSignedBy,
  registryTransactionShape,
  type RegistryTransaction,
  type RegistryTransactionBody,
} from '../../../src/protocol/registry-transaction.ts'
import { testNonce, testSecret } from '../../vectors/keys.ts'
import { signingKeyFromSecret, type TestKey } from '../../helpers/sign-now.ts'
import { signedChange } from '../../helpers/signed-change.ts'

const key = (name: string): TestKey => signingKeyFromSecret(testSecret(name))
const hex = (name: string): string => key(name).publicKey

const entryOf = (id: string, role: Role, recovery: string | null = null): GenesisEntry => ({
  id,
  role,
  public_key: hex(id),
  recovery_key: recovery === null ? null : hex(recovery),
})
const GENESIS: Genesis = {
  version: 1,
  name: 'Registry',
  origin: 'registry.example',
  created_at: 0,
  currency: 'EUR',
  amount_decimals: 2,
  seal: 'authority',
  difficulty: 0,
  finality: { policy: 'validators', threshold: 2 },
  registry: [
    entryOf('authority', 'authority', 'authority recovery'),
    ...['v1', 'v2', 'v3'].map((id) => entryOf(id, 'validator')),
    entryOf('alice', 'voter', 'alice recovery'),
    entryOf('bob', 'voter'),
  ],
}
const CHAIN_ID = chainIdOf(GENESIS)
const START = Registry.fromGenesis(GENESIS)
const HEIGHT = 7

type Change = RegistryTransactionBody extends infer Body
  ? Body extends unknown
    ? Omit<Body, 'kind' | 'id' | 'timestamp' | 'nonce'>
    : never
  : never
let count = 0

/** A registry transaction as it gets into a block, signed by the key of that name. */
function signed(change: Change, signer: string, chainId = CHAIN_ID): RegistryTransaction {
  count += 1
  const body = {
    kind: 'registry',
    id: `change-${count}`,
    timestamp: 1_000,
    nonce: testNonce(count),
    ...change,
  } as const
  return decodePostedRegistryTransaction(
    signedChange(body, chainId, key(signer), { id: 'authority', key: key('authority') }),
  )
}
const enrol = (id: string, role: Role = 'voter', recovery?: string) =>
  signed(
    {
      action: 'enrol',
      subject_id: id,
      role,
      public_key: hex(id),
      ...(recovery !== undefined && { recovery_key: hex(recovery) }),
    },
    id,
  )
const rotate = (subject_id: string, to: string, signer: string, recovery?: string | null) =>
  signed({ action: 'rotate', subject_id, public_key: hex(to), ...recoveryKey(recovery) }, signer)
const recover = (subject_id: string, to: string, signer: string, recovery?: string | null) =>
  signed({ action: 'recover', subject_id, public_key: hex(to), ...recoveryKey(recovery) }, signer)
const revoke = (subject_id: string, signer: string) => signed({ action: 'revoke', subject_id }, signer)
const policy = (finality: Finality, signer = 'authority', subject_id = 'authority') =>
  signed({ action: 'policy', subject_id, finality }, signer)
const recoveryKey = (name: string | null | undefined) =>
  name === undefined ? {} : { recovery_key: name === null ? null : hex(name) }

const after = (...transactions: readonly RegistryTransaction[]) => START.after(transactions, HEIGHT, new Set())
/** The last of the transactions is refused. */
function assertRefused(reason: RegExp, ...transactions: readonly RegistryTransaction[]): void {
  assert.throws(
    () => after(...transactions),
    (error) => {
      assert.ok(isSolarError(error, 'registry_refused'), String(error))
      assert.match(error.message, reason)
      assert.ok(error.message.startsWith(`registry transaction ${transactions.at(-1)?.id}: `), error.message)
      return true
    },
  )
}

describe('registry after a block', () => {
  it('enrols a new id into the next slot, without a recovery key where none is named', () => {
    const registry = after(enrol('carol'), enrol('dora', 'authority', 'dora recovery'))
    const since = { status: 'active', since_height: HEIGHT }
    const carol = { slot: 6, id: 'carol', role: 'voter', public_key: hex('carol'), recovery_key: null, ...since }
    assert.deepEqual(registry.entry('carol'), carol)
    const dora = { slot: 7, id: 'dora', role: 'authority', public_key: hex('dora'), ...since }
    assert.deepEqual(registry.entry('dora'), { ...dora, recovery_key: hex('dora recovery') })
    assert.equal(registry.activeCount('authority'), 2)
    assert.deepEqual(
      registry.activeOf('voter').map(({ id }) => id),
      ['alice', 'bob', 'carol'],
    )
  })

  it('rotates to a new key and keeps the recovery key, or names a first one', () => {
    const kept = after(rotate('alice', 'alice 2', 'alice')).entry('alice')
    assert.equal(kept?.public_key, hex('alice 2'))
    assert.equal(kept.recovery_key, hex('alice recovery'))
    assert.equal(kept.since_height, HEIGHT)
    const named = after(rotate('alice', 'alice 2', 'alice', 'alice recovery')).entry('alice')
    assert.equal(named?.recovery_key, hex('alice recovery'))
    const first = after(rotate('bob', 'bob 2', 'bob', 'bob recovery')).entry('bob')
    assert.equal(first?.recovery_key, hex('bob recovery'))
  })

  it('revokes by the subject or by an active authority; the entry stays in its slot', () => {
    for (const signer of ['alice', 'authority']) {
      const registry = after(revoke('alice', signer))
      const revoked = { ...START.entry('alice'), status: 'revoked', since_height: HEIGHT }
      assert.deepEqual(registry.entry('alice'), signer === 'alice' ? revoked : { ...revoked, revoked_by: signer })
      assert.equal(registry.active('alice'), undefined)
      assert.equal(registry.activeCount('voter'), 1)
    }
  })

  it('recovers by the recovery key, after a revocation as well', () => {
    const recovered = { ...START.entry('alice'), public_key: hex('alice 2'), since_height: HEIGHT }
    assert.deepEqual(after(recover('alice', 'alice 2', 'alice recovery')).entry('alice'), recovered)
    const registry = after(revoke('alice', 'alice'), recover('alice', 'alice 2', 'alice recovery'))
    assert.deepEqual(registry.active('alice'), recovered)
    assert.equal(registry.activeCount('voter'), 2)
  })

  it('changes the policy, with the height of the change', () => {
    const finality: Finality = { policy: 'votes', threshold: 40 }
    assert.deepEqual(after(policy(finality)).policy, { finality, since_height: HEIGHT })
  })

  it('applies the transactions of a block in order', () => {
    const registry = after(enrol('carol'), rotate('carol', 'carol 2', 'carol'), revoke('carol', 'carol 2'))
    assert.equal(registry.entry('carol')?.status, 'revoked')
    assertRefused(
      /not signed by the present key/,
      enrol('erik'),
      rotate('erik', 'erik 2', 'erik'),
      rotate('erik', 'erik 3', 'erik'),
    )
  })

  it('leaves the registry before it as it was, and proves each entry and the policy under its own root', () => {
    const root = START.root
    const registry = after(
      enrol('carol'),
      rotate('alice', 'alice 2', 'alice'),
      revoke('bob', 'bob'),
      policy({ policy: 'authority' }),
    )
    assert.equal(START.root, root)
    assert.equal(START.entry('carol'), undefined)
    assert.equal(START.active('bob')?.id, 'bob')
    for (const entry of registry.entries) {
      assert.deepEqual(verifyRegistryEntry(entry, registry.proof(entry), registry.root), { ok: true })
    }
    assert.deepEqual(verifyRegistryPolicy(registry.policy, registry.policyProof(), registry.root), { ok: true })
    const alice = registry.entry('alice')!
    assert.ok(!verifyRegistryEntry(alice, registry.proof(alice), root).ok)
  })

  it('is the registry itself after a block without registry transactions', () => {
    assert.equal(after(), START)
  })
})

describe('registry refuses', () => {
  it('signatures of the wrong key', () => {
    assertRefused(/not signed by the key that it enrols/, signed({ ...enrolment('carol'), action: 'enrol' }, 'alice'))
    assertRefused(/not signed by the present key of alice/, rotate('alice', 'alice 2', 'alice 2'))
    assertRefused(/not signed by the present key of alice/, rotate('alice', 'alice 2', 'alice recovery'))
    assertRefused(/not signed by the present key of alice/, rotate('alice', 'alice 2', 'authority'))
    assertRefused(/not signed by the recovery key of alice/, recover('alice', 'alice 2', 'alice'))
    assertRefused(/signed neither by alice nor by an active authority/, revoke('alice', 'bob'))
    assertRefused(/signed neither by alice/, revoke('alice', 'alice recovery'))
    assertRefused(/not signed by authority/, policy({ policy: 'authority' }, 'v1'))
  })

  it('a signature for another chain, of another action, or over other fields', () => {
    const elsewhere = signed({ action: 'revoke', subject_id: 'alice' }, 'alice', '0'.repeat(64))
    assertRefused(/signed neither/, elsewhere)
    const rotation = rotate('alice', 'alice 2', 'alice')
    assertRefused(/not signed by the present key/, { ...rotation, timestamp: rotation.timestamp + 1 })
    // The same body, with the key that may recover: but it was signed as a rotation.
    const asRecovery = { ...rotate('alice', 'alice 2', 'alice recovery'), action: 'recover' } as RegistryTransaction
    assertRefused(/not signed by the recovery key/, asRecovery)
  })

  it('a policy by somebody who is no active authority', () => {
    assertRefused(/v1 is no active authority/, policy({ policy: 'authority' }, 'v1', 'v1'))
    assertRefused(/nobody is no active authority/, policy({ policy: 'authority' }, 'stranger', 'nobody'))
    const gone = [enrol('authority-2', 'authority'), revoke('authority', 'authority-2')]
    assertRefused(/authority is no active authority/, ...gone, policy({ policy: 'authority' }))
    assertRefused(/signed neither/, ...gone, revoke('alice', 'authority'))
  })

  it('ids that are there already, or are not there', () => {
    const again = { ...enrolment('alice 2'), action: 'enrol', subject_id: 'alice' } as const
    assertRefused(/alice is registered already/, signed(again, 'alice 2'))
    assertRefused(/alice is registered already/, revoke('alice', 'alice'), signed(again, 'alice 2'))
    assertRefused(/nobody is not registered/, rotate('nobody', 'n 2', 'nobody'))
    assertRefused(/nobody is not registered/, recover('nobody', 'n 2', 'nobody'))
    assertRefused(/nobody is not registered/, revoke('nobody', 'authority'))
  })

  it('what a revoked entry can no longer do', () => {
    const gone = revoke('alice', 'authority')
    assertRefused(/alice is revoked: its recovery key/, gone, rotate('alice', 'alice 2', 'alice'))
    assertRefused(/alice is revoked already/, gone, revoke('alice', 'authority'))
    assertRefused(/bob has no recovery key/, recover('bob', 'bob 2', 'bob'))
  })

  it('keys that were ever registered, as key or as recovery key', () => {
    const reused = (public_key: string, signer: string, recovery?: string) =>
      signed({ action: 'enrol', subject_id: 'carol', role: 'voter', public_key, ...recoveryKey(recovery) }, signer)
    assertRefused(/was registered before/, reused(hex('alice'), 'alice'))
    assertRefused(/was registered before/, reused(hex('alice recovery'), 'alice recovery'))
    assertRefused(/was registered before/, reused(hex('carol'), 'carol', 'bob'))
    assertRefused(/the recovery key is the key itself/, reused(hex('carol'), 'carol', 'carol'))
    assertRefused(/was registered before/, rotate('alice', 'alice', 'alice'))
    assertRefused(/was registered before/, rotate('alice', 'bob', 'alice'))
    assertRefused(/was registered before/, rotate('alice', 'alice recovery', 'alice'))
    assertRefused(/was registered before/, rotate('bob', 'bob 2', 'bob', 'alice'))
    assertRefused(/was registered before/, recover('alice', 'alice', 'alice recovery'))
    // Keys of the past count too: rotated away, and those of the revoked.
    assertRefused(/was registered before/, rotate('alice', 'alice 2', 'alice'), reused(hex('alice'), 'alice'))
    assertRefused(/was registered before/, revoke('bob', 'bob'), reused(hex('bob'), 'bob'))
    const dropped = recover('alice', 'alice 2', 'alice recovery', null)
    assertRefused(/was registered before/, dropped, rotate('alice', 'alice 3', 'alice 2', 'alice recovery'))
  })

  it('keys outside the signature rule', () => {
    const identity = `01${'00'.repeat(31)}`
    const weak = { ...enrolment('carol'), action: 'enrol', public_key: identity } as const
    assert.throws(() => after(signed(weak, 'carol')), { code: 'bad_public_key' })
    const weakRecovery = { ...enrolment('carol'), action: 'enrol', recovery_key: identity } as const
    assert.throws(() => after(signed(weakRecovery, 'carol')), { code: 'bad_public_key' })
  })

  it('a block that leaves no active authority', () => {
    assertRefused(/no active authority would be left/, revoke('authority', 'authority'))
    const successor = after(enrol('authority-2', 'authority'), revoke('authority', 'authority'))
    assert.deepEqual(
      successor.activeOf('authority').map(({ id }) => id),
      ['authority-2'],
    )
    // What counts is the registry after the whole block.
    const back = recover('authority', 'authority 3', 'authority recovery')
    assert.equal(after(revoke('authority', 'authority'), back).activeCount('authority'), 1)
  })

  it('a block after which the threshold is out of reach (n < m)', () => {
    const two = revoke('v3', 'v3')
    assert.equal(after(two).activeCount('validator'), 2)
    assertRefused(/validators:2 needs 2 active validators, there are 1/, two, revoke('v2', 'authority'))
    assertRefused(/validators:4 needs 4 active validators, there are 3/, policy({ policy: 'validators', threshold: 4 }))
    assert.equal(after(two, revoke('v2', 'v2'), enrol('v4', 'validator')).activeCount('validator'), 2)
  })

  it('a block after which the threshold is no majority (2m <= n)', () => {
    assertRefused(/validators:2 of 4 is no majority/, enrol('v4', 'validator'))
    assertRefused(/validators:1 of 3 is no majority/, policy({ policy: 'validators', threshold: 1 }))
    const both = after(enrol('v4', 'validator'), policy({ policy: 'validators', threshold: 3 }))
    assert.equal(both.activeCount('validator'), 4)
    // Votes of users are attestations: no majority is asked for, and validators are not counted.
    assert.equal(
      after(policy({ policy: 'votes', threshold: 1 }), revoke('v1', 'v1'), revoke('v2', 'v2')).activeCount('validator'),
      1,
    )
  })

  it('what takes the word of more users than there are: it could never become final, nor anything above', () => {
    // Two users are registered, and nobody who comes later counts for a block before.
    const byThree = after(policy({ policy: 'votes', threshold: 3 }))
    const next = (...transactions: RegistryTransaction[]) => byThree.after(transactions, HEIGHT + 1, new Set())
    const tooFew = /3 users have to confirm it under the policy votes:3, and 2 are registered: enrol the others first/
    for (const change of [
      policy({ policy: 'authority' }),
      revoke('v1', 'v1'),
      enrol('v4', 'validator'),
      recover('authority', 'authority 2', 'authority recovery'),
    ]) {
      assert.throws(() => next(change), tooFew, change.action)
      assert.throws(() => next(enrol('carol'), change), tooFew, `${change.action}, with the third user`)
    }
    // Users come and go as before, and then it can be changed.
    next(revoke('bob', 'bob'))
    const three = next(enrol('carol'))
    assert.deepEqual(three.after([policy({ policy: 'authority' })], HEIGHT + 2, new Set()).finality, {
      policy: 'authority',
    })
  })
})

const enrolment = (name: string) => ({ subject_id: name, role: 'voter', public_key: hex(name) }) as const

describe('registry transactions', () => {
  it('are signed without their tick, which is their own', () => {
    const tx = enrol('carol')
    assert.equal(tx.tick_id, `registry:${tx.nonce}`)
    assert.ok(isSignedBy(tx, CHAIN_ID, hex('carol')))
    assert.ok(isSignedBy({ ...tx, tick_id: 'tick-1' }, CHAIN_ID, hex('carol')))
    assert.ok(!isSignedBy({ ...tx, id: 'other' }, CHAIN_ID, hex('carol')))
    assert.ok(!isSignedBy(tx, CHAIN_ID, hex('alice')))
  })

  it('are posted without a tick', () => {
    const { tick_id, ...posted } = revoke('alice', 'alice')
    assert.deepEqual(decodePostedRegistryTransaction(posted), { ...posted, tick_id })
    assert.throws(() => decodePostedRegistryTransaction({ ...posted, tick_id }), {
      code: 'malformed',
      fields: { path: 'transaction.tick_id', expected: 'no such field', got: JSON.stringify(tick_id) },
    })
    for (const value of [null, [], 'revoke', { ...posted, nonce: 1 }, { ...posted, nonce: undefined }]) {
      assert.throws(() => decodePostedRegistryTransaction(value), { code: 'malformed' })
    }
  })

  it('have the fields of their action and no other', () => {
    const accepted = [
      enrol('carol', 'voter', 'carol recovery'),
      rotate('alice', 'alice 2', 'alice', null),
      revoke('alice', 'alice'),
      recover('alice', 'alice 2', 'alice recovery'),
      policy({ policy: 'votes', threshold: 2 }),
    ]
    for (const tx of accepted) {
      assert.deepEqual(registryTransactionShape(tx, 'tx'), tx)
      const other = tx.action === 'policy' ? { public_key: hex('carol') } : { finality: { policy: 'authority' } }
      assert.throws(() => registryTransactionShape({ ...tx, ...other }, 'tx'), { code: 'malformed' }, tx.action)
      for (const field of Object.keys(tx).filter((name) => name !== 'recovery_key')) {
        const without = Object.fromEntries(Object.entries(tx).filter(([name]) => name !== field))
        assert.throws(() => registryTransactionShape(without, 'tx'), { code: 'malformed' }, `${tx.action} ${field}`)
      }
    }
    assert.throws(() => registryTransactionShape({ ...accepted[0], action: 'remove' }, 'tx'), { code: 'malformed' })
  })
})
