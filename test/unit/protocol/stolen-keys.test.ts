import assert from 'node:assert/strict'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { chainIdOf, decodeGenesis, type Role } from '../../../src/protocol/genesis.ts'
import { verifyRecoveredSeal } from '../../../src/protocol/handover.ts'
import type { Header } from '../../../src/protocol/header.ts'
import { merkleProof } from '../../../src/protocol/merkle.ts'
import { keysNamedBy, Registry } from '../../../src/protocol/registry.ts'
import {
  decodePostedRegistryTransaction,
  type RegistryTransactionBody,
} from '../../../src/protocol/registry-transaction.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { testNonce, testSecret } from '../../vectors/keys.ts'
import { countersign, sealHeader, signingKeyFromSecret, signRegistryTransaction } from '../../helpers/sign-now.ts'

const key = (name: string) => signingKeyFromSecret(testSecret(name))
const publicKey = (name: string): string => key(name).publicKey
const entryOf = (id: string, role: Role, recovery: string | null = `${id} recovery`) => ({
  id,
  role,
  public_key: publicKey(id),
  recovery_key: recovery === null ? null : publicKey(recovery),
})

type Fields = RegistryTransactionBody extends infer Body
  ? Body extends unknown
    ? Omit<Body, 'kind' | 'id' | 'timestamp' | 'nonce'>
    : never
  : never
/** An authority and the key that it signs with. */
type Countersigner = readonly [id: string, keyName: string]

/** A community in which keys get lost and stolen, one block a change. */
function createStory(...others: readonly ReturnType<typeof entryOf>[]) {
  const genesis = decodeGenesis({
    version: 1,
    name: 'Thieves',
    origin: 'thieves.example',
    created_at: 0,
    currency: 'EUR',
    amount_decimals: 2,
    seal: 'authority',
    difficulty: 0,
    finality: { policy: 'authority' },
    registry: [
      entryOf('town', 'authority'),
      entryOf('school', 'validator'),
      entryOf('phone', 'voter'),
      entryOf('plain-phone', 'voter', null),
      ...others,
    ],
  })
  const chainId = chainIdOf(genesis)
  const used = new Set<string>()
  let registry = Registry.fromGenesis(genesis)
  let height = 0

  function make(keyName: string, fields: Fields, countersigner?: Countersigner): void {
    const body = {
      kind: 'registry' as const,
      id: `change-${height}`,
      timestamp: 1_000,
      nonce: testNonce(height),
      ...fields,
    }
    const signed = signRegistryTransaction(body, chainId, key(keyName))
    const posted =
      countersigner !== undefined && (signed.action === 'enrol' || signed.action === 'recover')
        ? countersign(signed, countersigner[0], chainId, key(countersigner[1]))
        : signed
    const tx = decodePostedRegistryTransaction(posted)
    registry = registry.after([tx], height, used)
    for (const named of keysNamedBy([tx])) used.add(named)
    height += 1
  }

  return {
    make,
    refuse(reason: RegExp, ...change: Parameters<typeof make>): void {
      assert.throws(
        () => make(...change),
        (error) => {
          assert.ok(isSolarError(error, 'registry_refused'), String(error))
          assert.match(error.message, reason)
          return true
        },
      )
    },
    chainId,
    registry: () => registry,
    /** The key name by which an id is active. */
    has: (id: string, keyName: string): boolean => registry.active(id)?.public_key === publicKey(keyName),
    isActive: (id: string): boolean => registry.active(id) !== undefined,
  }
}

const rotate = (subject_id: string, to: string, recovery?: string): Fields => ({
  action: 'rotate',
  subject_id,
  public_key: publicKey(to),
  ...(recovery !== undefined && { recovery_key: publicKey(recovery) }),
})
const recover = (subject_id: string, to: string, recovery?: string): Fields => ({
  action: 'recover',
  subject_id,
  public_key: publicKey(to),
  ...(recovery !== undefined && { recovery_key: publicKey(recovery) }),
})
const revoke = (subject_id: string): Fields => ({ action: 'revoke', subject_id })
const enrol = (subject_id: string, role: Role, recovery?: string): Fields => ({
  action: 'enrol',
  subject_id,
  role,
  public_key: publicKey(subject_id),
  ...(recovery !== undefined && { recovery_key: publicKey(recovery) }),
})
const TOWN: Countersigner = ['town', 'town']

describe('keys that are lost or stolen: the owner is in at the end, the thief is out', () => {
  it('a lost phone comes back by its recovery key alone', () => {
    const story = createStory()
    story.make('phone recovery', recover('phone', 'new phone'))
    assert.ok(story.has('phone', 'new phone'))
    story.refuse(/not signed by the present key/, 'phone', rotate('phone', 'found phone'))
  })

  it('a lost phone without a recovery key is revoked, and its user gets another one', () => {
    const story = createStory()
    story.make('town', revoke('plain-phone'))
    story.make('phone-2', enrol('phone-2', 'voter'))
    assert.deepEqual([story.isActive('plain-phone'), story.isActive('phone-2')], [false, true])
  })

  for (const [id, what] of [
    ['phone', 'phone'],
    ['school', 'validator'],
  ] as const) {
    it(`whoever has stolen the key of a ${what} cannot shut out its recovery key`, () => {
      const story = createStory()
      story.refuse(/changes by its own signature alone/, id, rotate(id, 'thief', 'thief recovery'))
      story.make(id, rotate(id, 'thief'))
      story.make(`${id} recovery`, recover(id, 'owner', 'owner recovery'))
      assert.ok(story.has(id, 'owner'))
      story.refuse(/not signed by the present key/, 'thief', rotate(id, 'thief 2'))
      story.refuse(/not signed by the recovery key/, 'thief', recover(id, 'thief 2'))
    })

    it(`a revoked ${what} stays so for whoever has its recovery key, until an authority signs as well`, () => {
      const story = createStory()
      // The thief has the recovery key, and throws the owner out.
      story.make(`${id} recovery`, recover(id, 'thief', 'thief recovery'))
      story.make('town', revoke(id))
      story.refuse(/takes the signature of an active authority as well/, 'thief recovery', recover(id, 'thief 2'))
      story.refuse(/no active authority/, 'thief recovery', recover(id, 'thief 2'), [id, 'thief'])
      story.refuse(/not countersigned by town/, 'thief recovery', recover(id, 'thief 2'), ['town', 'thief'])
      assert.equal(story.isActive(id), false)
    })

    it(`a ${what} that its thief revokes first is bound by the authority all the same`, () => {
      const story = createStory()
      story.make(`${id} recovery`, recover(id, 'thief', 'thief recovery'))
      story.make('thief', revoke(id))
      story.make('town', revoke(id))
      assert.equal(story.registry().entry(id)?.revoked_by, 'town')
      story.refuse(/takes the signature of an active authority as well/, 'thief recovery', recover(id, 'thief 2'))
      // Once is enough, whoever asks.
      story.refuse(/is revoked already/, 'town', revoke(id))
      story.refuse(/is revoked already/, 'thief', revoke(id))
    })

    it(`the owner of a ${what} that was revoked comes back with an authority's word`, () => {
      const story = createStory()
      story.make('town', revoke(id))
      story.make(`${id} recovery`, recover(id, 'owner'), TOWN)
      assert.ok(story.has(id, 'owner'))
      // The countersignature was for once.
      story.make('town', revoke(id))
      story.refuse(/takes the signature of an active authority/, `${id} recovery`, recover(id, 'owner 2'))
    })
  }

  it('a thief of a phone without recovery key gives it one, and is revoked for good', () => {
    const story = createStory()
    story.make('plain-phone', rotate('plain-phone', 'thief', 'thief recovery'))
    story.make('town', revoke('plain-phone'))
    story.refuse(/takes the signature of an active authority/, 'thief recovery', recover('plain-phone', 'thief 2'))
  })

  it('a thief of a phone without recovery key gives it one and revokes it first: the authority binds him', () => {
    const story = createStory()
    story.make('plain-phone', rotate('plain-phone', 'thief', 'thief recovery'))
    story.make('thief', revoke('plain-phone'))
    story.make('town', revoke('plain-phone'))
    story.refuse(/takes the signature of an active authority/, 'thief recovery', recover('plain-phone', 'thief 2'))
  })

  it('a later authority that its thief revokes first is bound by the first one, never the other way round', () => {
    const story = createStory(entryOf('port', 'authority'))
    story.make('port', revoke('port'))
    story.refuse(/signed neither by port nor by an active authority/, 'school', revoke('port'))
    story.make('town', revoke('port'))
    story.refuse(/recovering port, which town has revoked/, 'port recovery', recover('port', 'thief'))
    const other = createStory(entryOf('port', 'authority'))
    other.make('town', revoke('town'))
    other.refuse(/town is revoked already/, 'port', revoke('town'))
    other.make('town recovery', recover('town', 'owner'))
    assert.ok(other.has('town', 'owner'))
  })

  it('a phone that its thief revokes comes back by its recovery key alone', () => {
    const story = createStory()
    story.make('phone', revoke('phone'))
    story.make('phone recovery', recover('phone', 'owner'))
    assert.ok(story.has('phone', 'owner'))
  })

  it('the only authority comes back by its recovery key, whatever the thief of its key has done', () => {
    const story = createStory()
    story.make('town', rotate('town', 'thief'))
    story.make('evil', enrol('evil', 'authority', 'evil recovery'), ['town', 'thief'])
    story.make('evil', revoke('town'))
    story.make('evil', revoke('phone'))
    assert.equal(story.isActive('town'), false)
    // Evil was registered after it: its revocation does not bind the recovery key.
    story.make('town recovery', recover('town', 'owner'))
    story.make('owner', revoke('evil'))
    story.refuse(/takes the signature of an active authority/, 'evil recovery', recover('evil', 'evil 2'))
    story.refuse(/signed neither by town nor by an active authority/, 'evil', revoke('town'))
    story.make('phone recovery', recover('phone', 'new phone'), ['town', 'owner'])
    assert.ok(story.has('town', 'owner') && story.has('phone', 'new phone') && !story.isActive('evil'))
  })

  it('the first of two authorities that revoke each other is the one whose block comes first', () => {
    const story = createStory(entryOf('port', 'authority'))
    story.make('port', revoke('town'))
    story.refuse(/signed neither by port nor by an active authority/, 'town', revoke('port'))
    const other = createStory(entryOf('port', 'authority'))
    other.make('town', revoke('port'))
    other.refuse(/signed neither by town nor by an active authority/, 'port', revoke('town'))
  })

  it('the recovery key of the one that was registered first has the last word', () => {
    const story = createStory(entryOf('port', 'authority'))
    story.make('port', revoke('town'))
    story.make('town recovery', recover('town', 'town 2'))
    story.make('town 2', revoke('port'))
    story.refuse(/recovering port, which town has revoked/, 'port recovery', recover('port', 'port 2'))
    story.make('port recovery', recover('port', 'port 2'), ['town', 'town 2'])
    assert.ok(story.has('port', 'port 2'))
  })

  it('the second authority is stolen and revokes the first: both owners are in at the end', () => {
    const story = createStory(entryOf('port', 'authority'))
    story.make('port', rotate('port', 'thief'))
    story.make('thief', revoke('town'))
    story.make('town recovery', recover('town', 'town 2'))
    story.make('town 2', revoke('port'))
    story.make('port recovery', recover('port', 'port 2'), ['town', 'town 2'])
    assert.ok(story.has('town', 'town 2') && story.has('port', 'port 2'))
    story.refuse(/not signed by the present key/, 'thief', rotate('port', 'thief 2'))
  })

  it('an authority without recovery key beside another one is given none by its thief, and is revoked for good', () => {
    const story = createStory(entryOf('port', 'authority', null))
    story.refuse(/gets no first recovery key/, 'port', rotate('port', 'thief', 'thief recovery'))
    story.make('port', rotate('port', 'thief'))
    story.make('town', revoke('port'))
    story.refuse(/port has no recovery key/, 'thief', recover('port', 'thief 2'))
  })

  it('a light node takes a recovery that its own sealer brings, unless an authority has revoked that one', () => {
    for (const [id, by, isTaken] of [
      ['town', 'port', true],
      ['port', 'town', false],
    ] as const) {
      const story = createStory(entryOf('port', 'authority'))
      story.make(by, revoke(id))
      const registry = story.registry()
      const entry = registry.entry(id)!
      const nonce = testNonce('recover')
      const body = { kind: 'registry' as const, id: 'recover', timestamp: 1_000, nonce, ...recover(id, 'new key') }
      const signed = signRegistryTransaction(body, story.chainId, key(`${id} recovery`))
      const transaction = decodePostedRegistryTransaction(signed)
      const tx_hash = hashTransaction(transaction)
      const header: Header = {
        ...{ version: 1, chain_id: story.chainId, height: 1, prev_hash: tx_hash, merkle_root: tx_hash, tx_count: 1 },
        ...{ history_root: tx_hash, registry_root: tx_hash, timestamp: 1_000, nonce: 0, difficulty: 0, miner_id: id },
      }
      const proven = { entry, registry_proof: registry.proof(entry), merkle_proof: merkleProof([tx_hash], 0) }
      const sealed = sealHeader(header, key('new key'))
      const verdict = verifyRecoveredSeal(sealed, { transaction, ...proven }, registry.root, story.chainId)
      assert.equal(verdict.ok, isTaken)
      if (!verdict.ok) assert.match(verdict.reason, /port was revoked by town: another authority seals its recovery/)
    }
  })

  it('nobody becomes an authority or a validator by the word of anything but an active authority', () => {
    const story = createStory(entryOf('port', 'authority'))
    for (const role of ['authority', 'validator'] as const) {
      story.refuse(/takes the signature of an active authority/, 'evil', enrol('evil', role))
      story.refuse(/evil is no active authority/, 'evil', enrol('evil', role), ['evil', 'evil'])
      story.refuse(/school is no active authority/, 'evil', enrol('evil', role), ['school', 'school'])
      story.refuse(/not countersigned by town/, 'evil', enrol('evil', role), ['town', 'evil'])
    }
    story.make('port', revoke('town'))
    story.refuse(/town is no active authority/, 'evil', enrol('evil', 'validator'), TOWN)
    story.make('evil', enrol('evil', 'validator'), ['port', 'port'])
  })
})
