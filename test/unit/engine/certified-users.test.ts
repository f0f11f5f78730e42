import assert from 'node:assert/strict'
import { createCertifiedUsers } from '../../../src/engine/certified-users.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Membership } from '../../../src/protocol/membership.ts'
import type { RegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import { createStreet, namedKey, STREET_TIME, type Branch } from '../../helpers/branches.ts'
import { signMembership } from '../../helpers/sign-now.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'
import { replicaFolder } from './replica-harness.ts'

const DAY_MS = 24 * 3_600_000
const street = createStreet({ voters: ['ann'], validators: ['v1'], recoverable: true })
/** Times of blocks: the clock of these tests stands a day after the last. */
const at = (day: number): number => STREET_TIME + day * DAY_MS

/** A change of a key by who is told; days after the start, as a change counts for a day alone. */
function change(
  day: number,
  subject_id: string,
  action: 'rotate' | 'recover',
  signer: string,
  key: string,
  nonce?: string,
): RegistryTransaction {
  const given = { timestamp: at(day), ...(nonce !== undefined && { nonce }) }
  const fields = { action, subject_id, public_key: namedKey(key).publicKey, ...given }
  return street.change(`${action}-${key}`.replace(' ', '-'), namedKey(signer), fields)
}
const rotate = (day: number, from: string, to: string) => change(day, 'authority', 'rotate', from, to)
const recover = (day: number, to: string) => change(day, 'authority', 'recover', 'authority recovery', to)
const enrolOther = street.change('enrol-other', namedKey('other'), {
  ...{ action: 'enrol', subject_id: 'other', role: 'authority', public_key: namedKey('other').publicKey },
  recovery_key: namedKey('other recovery').publicKey,
})
const revoke = (day: number, subject_id: string, signer: string) =>
  street.change(`revoke-${subject_id}`, namedKey(signer), { action: 'revoke', subject_id, timestamp: at(day) })

const grown = (
  ...blocks: readonly (readonly [day: number, changes: readonly RegistryTransaction[], miner?: string])[]
) =>
  blocks.reduce<Branch>(
    (branch, [day, changes, minerId = 'authority']) => branch.add(changes, { timestamp: at(day), minerId }),
    street.start,
  )

/** What ann's device shows: who issued it, the day, and the key that signed. */
type Shown = readonly [issuer: string, day: number, key: string]

describe('certificates of whose device a voter is', () => {
  async function userBy(branch: Branch, [issuer, day, key]: Shown, now: number): Promise<string> {
    const folder = await replicaFolder(street)
    try {
      const node = await folder.open(undefined, at(now))
      assert.equal(await node.acceptAll(branch), branch.size === 0 ? 'nothing' : 'on_chain')
      const userOf = createCertifiedUsers(node.chain, createVirtualClock(at(now)))
      const [issued_at, voter_id] = [at(day), 'ann']
      const body = { chain_id: street.chainId, voter_id, user_id: 'anna', issued_at, issuer }
      const shown: Membership = signMembership({ ...body, expires_at: issued_at + 90 * DAY_MS }, namedKey(key))
      return await userOf('ann', shown).catch((error: unknown) => {
        if (isSolarError(error, 'no_membership')) return 'refused'
        throw error
      })
    } finally {
      await folder.remove()
    }
  }

  const rotated = grown([10, [rotate(10, 'authority', 'authority 2')]])
  const twice = grown([10, [rotate(10, 'authority', 'authority 2')]], [20, [rotate(20, 'authority 2', 'authority 3')]])
  // Changes of one nonce are of one tick, and so of one block.
  const nonce = 'ab'.repeat(16)
  const atOnce = grown([
    10,
    [
      change(10, 'authority', 'rotate', 'authority', 'authority 2', nonce),
      change(10, 'authority', 'rotate', 'authority 2', 'authority 3', nonce),
    ],
  ])
  const recovered = grown([10, [recover(10, 'authority 2')]])
  const rotatedThenRecovered = grown([10, [rotate(10, 'authority', 'authority 2')]], [20, [recover(20, 'authority 3')]])
  const bothAtOnce = grown([
    10,
    [
      change(10, 'authority', 'rotate', 'authority', 'authority 2', nonce),
      change(10, 'authority', 'recover', 'authority recovery', 'authority 3', nonce),
    ],
  ])
  const recoveredThenRotated = grown(
    [10, [recover(10, 'authority 2')]],
    [20, [rotate(20, 'authority 2', 'authority 3')]],
  )
  const other = [0, [enrolOther]] as const
  const revoked = grown(other, [10, [revoke(10, 'authority', 'other')], 'other'])
  const revokedThenRecovered = grown(
    other,
    [10, [revoke(10, 'authority', 'other')], 'other'],
    [20, [recover(20, 'authority 2')], 'other'],
  )

  const cases: readonly (readonly [string, Branch, Shown, number, 'anna' | 'refused'])[] = [
    ['of the present key', street.start, ['authority', 1, 'authority'], 2, 'anna'],
    ['until its last day', street.start, ['authority', 1, 'authority'], 90, 'anna'],
    ['when its time is over', street.start, ['authority', 1, 'authority'], 91, 'refused'],
    ['of another key in its name', street.start, ['authority', 1, 'v1'], 2, 'refused'],
    ['of a validator', street.start, ['v1', 1, 'v1'], 2, 'refused'],
    ['of the device itself', street.start, ['ann', 1, 'ann'], 2, 'refused'],
    ['of nobody who is known', street.start, ['mallory', 1, 'mallory'], 2, 'refused'],
    [
      'of the recovery key, which signs recoveries alone',
      street.start,
      ['authority', 1, 'authority recovery'],
      2,
      'refused',
    ],
    ['of another authority', grown(other), ['other', 1, 'other'], 2, 'anna'],
    ['of one authority in the name of another', grown(other), ['authority', 1, 'other'], 2, 'refused'],
    ['issued before its key was rotated', rotated, ['authority', 9, 'authority'], 11, 'anna'],
    ['issued in the moment of the rotation', rotated, ['authority', 10, 'authority'], 11, 'anna'],
    ['issued after the rotation by the former key', rotated, ['authority', 10.5, 'authority'], 11, 'refused'],
    ['of the key that was rotated to', rotated, ['authority', 10.5, 'authority 2'], 11, 'anna'],
    ['two rotations ago', twice, ['authority', 9, 'authority'], 21, 'anna'],
    ['one rotation ago', twice, ['authority', 19, 'authority 2'], 21, 'anna'],
    ['between two rotations by the first key', twice, ['authority', 11, 'authority'], 21, 'refused'],
    ['before two rotations in one block', atOnce, ['authority', 9, 'authority'], 11, 'anna'],
    ['of the key between two rotations in one block', atOnce, ['authority', 10, 'authority 2'], 11, 'anna'],
    ['of the key after two rotations in one block', atOnce, ['authority', 11, 'authority 3'], 11, 'anna'],
    ['of a key that was lost: a recovery ends all before it', recovered, ['authority', 9, 'authority'], 11, 'refused'],
    ['of the recovered key', recovered, ['authority', 11, 'authority 2'], 11, 'anna'],
    ['rotated from before a recovery', rotatedThenRecovered, ['authority', 9, 'authority'], 21, 'refused'],
    ['of the key that was recovered', rotatedThenRecovered, ['authority', 19, 'authority 2'], 21, 'refused'],
    ['rotated and recovered in one block', bothAtOnce, ['authority', 9, 'authority'], 11, 'refused'],
    ['of the key between rotation and recovery', bothAtOnce, ['authority', 10, 'authority 2'], 11, 'refused'],
    ['rotated since the last recovery', recoveredThenRotated, ['authority', 19, 'authority 2'], 21, 'anna'],
    ['from before the last recovery', recoveredThenRotated, ['authority', 9, 'authority'], 21, 'refused'],
    ['of an issuer that is revoked', revoked, ['authority', 9, 'authority'], 11, 'refused'],
    ['of an issuer that was revoked once', revokedThenRecovered, ['authority', 9, 'authority'], 21, 'refused'],
    ['of an issuer that is back', revokedThenRecovered, ['authority', 20.5, 'authority 2'], 21, 'anna'],
  ]
  for (const [what, branch, shown, now, expected] of cases) {
    it(`${expected === 'anna' ? 'count' : 'do not count'} ${what}`, async () => {
      assert.equal(await userBy(branch, shown, now), expected)
    })
  }

  it('are looked up anew when the registry has changed', async () => {
    const folder = await replicaFolder(street)
    try {
      const node = await folder.open(undefined, at(11))
      const userOf = createCertifiedUsers(node.chain, createVirtualClock(at(11)))
      const body = { chain_id: street.chainId, voter_id: 'ann', user_id: 'anna', issued_at: at(9), issuer: 'authority' }
      const shown = signMembership({ ...body, expires_at: at(30) }, namedKey('authority'))
      assert.equal(await userOf('ann', shown), 'anna')
      await node.acceptAll(recovered)
      await assert.rejects(userOf('ann', shown), { code: 'no_membership' })
    } finally {
      await folder.remove()
    }
  })
})
