import assert from 'node:assert/strict'
import { createChangeLimiter } from '../../../src/engine/change-limits.ts'
import { countersign, signRegistryTransaction } from '../../helpers/sign-now.ts'
import { entryOf, createTestChain, genesisOf, namedKey, type TestChain } from '../../helpers/test-chain.ts'
import {
  decodePostedRegistryTransaction,
  type RegistryTransaction,
} from '../../../src/protocol/registry-transaction.ts'
import { testNonce } from '../../vectors/keys.ts'

const HOUR_MS = 3_600_000
const GENESIS = genesisOf(
  { policy: 'authority' },
  entryOf('authority', 'authority'),
  entryOf('ann', 'voter', 'ann recovery'),
  entryOf('ann-phone', 'voter'),
)
const OWNERS = new Map([['ann-phone', 'ann']])

describe('changes of the registry within an hour', () => {
  let made: TestChain
  let now: number
  let keys: number

  beforeEach(async () => {
    made = await createTestChain(GENESIS)
    await made.trade()
    now = made.chain.tip!.header.timestamp
    keys = 0
  })

  const limiter = (perHour: number, perUserPerHour: number) =>
    createChangeLimiter({
      chain: made.chain,
      clock: { now: () => now, after: () => () => undefined },
      limits: { perHour, perUserPerHour },
      userOf: (id) => OWNERS.get(id) ?? id,
    })

  async function enrol(id: string): Promise<void> {
    const { publicKey: public_key } = namedKey(id)
    await made.change({ action: 'enrol', subject_id: id, role: 'voter', public_key }, id)
    now = made.chain.tip!.header.timestamp
  }

  async function rotate(id: string): Promise<void> {
    const last = keys === 0 ? id : `${id} ${keys}`
    keys += 1
    const { publicKey: public_key } = namedKey(`${id} ${keys}`)
    await made.change({ action: 'rotate', subject_id: id, public_key }, last)
    now = made.chain.tip!.header.timestamp
  }

  /** A change that somebody asks for. */
  function asked(
    action: 'rotate' | 'recover' | 'revoke',
    subject_id: string,
    signer = subject_id,
  ): RegistryTransaction {
    const fields = action === 'revoke' ? { action } : { action, public_key: namedKey('a new one').publicKey }
    const body = { kind: 'registry' as const, id: 'asked', subject_id, timestamp: now, nonce: testNonce('asked') }
    const signed = signRegistryTransaction({ ...body, ...fields }, made.chain.chainId, namedKey(signer))
    return decodePostedRegistryTransaction(signed)
  }

  const tooMany = (whose: string, limit: number) => ({ code: 'too_many_changes', fields: { whose, limit } })
  async function refused(answer: Promise<void>, whose: string, limit: number): Promise<number> {
    const error = await answer.then(
      () => assert.fail('nothing was refused'),
      (thrown: unknown) => thrown as { code: string; fields: { retry_after_s: number; whose: string; limit: number } },
    )
    const { fields } = error
    assert.deepEqual({ code: error.code, fields: { whose: fields.whose, limit: fields.limit } }, tooMany(whose, limit))
    return fields.retry_after_s
  }

  it('are so many of all together, whoever asks', async () => {
    const limits = limiter(3, 100)
    for (const id of ['one', 'two', 'three']) {
      await limits.check(asked('rotate', id), undefined)
      await enrol(id)
    }
    await refused(limits.check(asked('rotate', 'four'), undefined), 'the registry', 3)
    await refused(limits.check(asked('rotate', 'ann'), 'a user'), 'the registry', 3)
  })

  it('are so many of a user, whichever of its keys is changed', async () => {
    const limits = limiter(100, 2)
    await rotate('ann-phone')
    await rotate('ann-phone')
    await refused(limits.check(asked('rotate', 'ann'), undefined), 'the user of ann', 2)
    await refused(limits.check(asked('rotate', 'new-phone'), 'ann'), 'the user of new-phone', 2)
    await limits.check(asked('rotate', 'ben'), undefined)
  })

  it('are counted again after a start, and by no time that a signer has chosen', async () => {
    const first = limiter(2, 100)
    await first.check(asked('rotate', 'ann'), undefined)
    await enrol('one')
    await enrol('two')
    const wait = await refused(limiter(2, 100).check(asked('rotate', 'ann'), undefined), 'the registry', 2)
    assert.ok(wait > 0 && wait <= HOUR_MS / 1_000)
    // The node has seen them arrive: what they say of their time counts for nothing.
    now += HOUR_MS / 2
    await refused(first.check(asked('rotate', 'ann'), undefined), 'the registry', 2)
    now += HOUR_MS - 1
    await refused(first.check(asked('rotate', 'ann'), undefined), 'the registry', 2)
    now += 2
    await first.check(asked('rotate', 'ann'), undefined)
  })

  it('leave room for who takes a key away from a thief', async () => {
    const limits = limiter(2, 2)
    await rotate('ann')
    await rotate('ann')
    await refused(limits.check(asked('rotate', 'ann'), undefined), 'the registry', 2)
    for (const action of ['recover', 'revoke'] as const) await limits.check(asked(action, 'ann'), undefined)
  })

  it('leave room for an authority, whatever a thief with the recovery key does', async () => {
    const limits = limiter(100, 2)
    for (const n of [1, 2]) {
      const { publicKey: public_key } = namedKey(`thief ${n}`)
      await made.change({ action: 'recover', subject_id: 'ann', public_key }, 'ann recovery')
      await made.change({ action: 'revoke', subject_id: 'ann' }, `thief ${n}`)
    }
    now = made.chain.tip!.header.timestamp
    for (const signer of ['thief 2', 'ben']) {
      await refused(limits.check(asked('revoke', 'ann', signer), undefined), 'the user of ann', 2)
    }
    await limits.check(asked('revoke', 'ann', 'authority'), undefined)
    const recovery = asked('recover', 'ann', 'ann recovery')
    assert.ok(recovery.action === 'recover')
    const by = (key: string) => countersign(recovery, 'authority', made.chain.chainId, namedKey(key))
    await limits.check(by('authority'), undefined)
    await refused(limits.check(by('thief 2'), undefined), 'the user of ann', 2)
  })

  it('of an authority are not counted for its user', async () => {
    const limits = limiter(100, 1)
    await made.change({ action: 'revoke', subject_id: 'ann' }, 'authority')
    await limits.check(asked('recover', 'ann', 'ann recovery'), undefined)
    await made.change({ action: 'revoke', subject_id: 'ann-phone' }, 'ann-phone')
    await refused(limits.check(asked('recover', 'ann', 'ann recovery'), undefined), 'the user of ann', 1)
  })
})
