import type { RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import { createStreet, namedKey, type Branch } from '../helpers/branches.ts'
import { sealHeader } from '../helpers/sign-now.ts'
import {
  change,
  countersigned,
  enrolled,
  honest,
  key,
  next,
  recovered,
  refused,
  revoked,
  rotated,
  type ChainCase,
} from './next-block.ts'

const street = createStreet({ validators: ['v1', 'v2'], voters: ['alice'], recoverable: true })
const bare = createStreet({ voters: ['bob'] })
const base = street.start.grow('t0')
const second = change(street, 'enrol-second', 'second', {
  action: 'enrol',
  subject_id: 'second',
  role: 'authority',
  public_key: key('second'),
  recovery_key: key('second recovery'),
})
const two = base.add([second])

const gone = (on: Branch, id: string, by: string): Branch => on.add([revoked(street, id, by)])
/** The same once more, by somebody else or not. */
const goneAgain = (id: string, by: string) => change(street, `again-${id}`, by, { action: 'revoke', subject_id: id })
const back = (id: string, keyName = `${id} 2`) => recovered(street, id, keyName)
const backBy = (id: string, by: string) => countersigned(street, back(id), by)

/** A rotation that names a recovery key as well. */
const rotatedWith = (id: string, recovery_key: string | null, of = street) =>
  change(of, `rotate-${id}`, id, { action: 'rotate', subject_id: id, public_key: key(`${id} 2`), recovery_key })

function uncountersigned(tx: RegistryTransaction): RegistryTransaction {
  const copy: Record<string, unknown> = { ...tx }
  delete copy.countersigner_id
  delete copy.countersignature
  return copy as unknown as RegistryTransaction
}

/** Who brings an authority or a validator. */
function enrolmentCases(): readonly ChainCase[] {
  const v3 = enrolled(street, 'v3', 'validator')
  const v3By = (by: string, keyName = by) => countersigned(street, v3, by, keyName)
  const carol = enrolled(street, 'carol')
  return [
    honest('a validator comes, an authority has countersigned', street, base, [v3]),
    honest('an authority comes, another one has countersigned', street, base, [second]),
    honest('a validator that the second authority has countersigned', street, two, [v3By('second')]),
    honest('a user whom an authority has countersigned', street, base, [countersigned(street, carol, 'authority')]),
    refused('a validator that nobody has countersigned', street, base, uncountersigned(v3)),
    refused('an authority that nobody has countersigned', street, base, uncountersigned(second)),
    refused('a validator that a validator has countersigned', street, base, v3By('v1')),
    refused('a validator that has countersigned itself', street, base, v3By('v3')),
    refused('a validator countersigned with the key of a stranger', street, base, v3By('authority', 'stranger')),
    refused(
      'a validator countersigned with the key that the authority had',
      street,
      base.add([rotated(street, 'authority', 'authority 2')]),
      v3,
    ),
    refused(
      'a validator that a revoked authority has countersigned',
      street,
      gone(two, 'second', 'authority'),
      v3By('second'),
    ),
    refused(
      'a user whose countersignature does not hold',
      street,
      base,
      countersigned(street, carol, 'authority', 'stranger'),
    ),
  ]
}

/** A recovery key changes by its own signature alone. */
function recoveryKeyCases(): readonly ChainCase[] {
  const bob = (recovery_key: string | null) => rotatedWith('bob', recovery_key, bare)
  const plain = base.add([enrolled(street, 'second', 'authority')])
  const renewed = { action: 'recover', subject_id: 'alice', public_key: key('alice 2') } as const
  return [
    refused('a rotation that names another recovery key', street, base, rotatedWith('alice', key('thief'))),
    refused('a rotation that names no recovery key any more', street, base, rotatedWith('alice', null)),
    honest('a rotation that names the recovery key that there is', street, base, [
      rotatedWith('alice', key('alice recovery')),
    ]),
    honest('a rotation that names a first recovery key', bare, bare.start.grow('t0'), [bob(key('bob recovery'))]),
    honest('a recovery that names another recovery key', street, base, [
      change(street, 'recover-alice', 'alice recovery', { ...renewed, recovery_key: key('alice recovery 2') }),
    ]),
    refused(
      'an authority beside another one that names a first recovery key',
      street,
      plain,
      rotatedWith('second', key('second recovery')),
    ),
  ]
}

/** Who comes back, and by whose word. */
function recoveryCases(): readonly ChainCase[] {
  const ownWord = gone(base, 'alice', 'alice')
  const secondGone = gone(two, 'second', 'authority')
  const firstGone = gone(two, 'authority', 'second')
  const members = ['alice', 'v2'].flatMap((id) => {
    const revokedOne = gone(base, id, 'authority')
    const again = revokedOne.add([backBy(id, 'authority')])
    return [
      refused(`${id}, revoked by an authority, comes back by its recovery key alone`, street, revokedOne, back(id)),
      honest(`${id} comes back, an authority has countersigned`, street, revokedOne, [backBy(id, 'authority')]),
      refused(`${id} comes back, countersigned by itself`, street, revokedOne, backBy(id, id)),
      honest(`${id} is back, and recovers by its recovery key alone`, street, again, [
        change(street, `again-${id}`, `${id} recovery`, {
          action: 'recover',
          subject_id: id,
          public_key: key(`${id} 3`),
        }),
      ]),
    ]
  })
  const bound = ownWord.add([goneAgain('alice', 'authority')])
  const secondOwnWord = gone(two, 'second', 'second')
  const returned = secondGone.add([backBy('second', 'authority')]).blocks.at(-1)!
  return [
    honest('who went by its own word comes back by its recovery key', street, ownWord, [back('alice')]),
    honest('who went by its own word is revoked by an authority as well', street, ownWord, [
      goneAgain('alice', 'authority'),
    ]),
    refused('who went by its own word goes by it again', street, ownWord, goneAgain('alice', 'alice')),
    refused('then it comes back by its recovery key alone', street, bound, back('alice')),
    refused(
      'then the authority revokes it once more',
      street,
      bound,
      change(street, 'third-alice', 'authority', { action: 'revoke', subject_id: 'alice' }),
    ),
    honest('the second authority went by its own word, and the first one revokes it as well', street, secondOwnWord, [
      goneAgain('second', 'authority'),
    ]),
    refused(
      'the first authority, revoked by the second, is revoked by it again',
      street,
      firstGone,
      goneAgain('authority', 'second'),
    ),
    ...members,
    refused('the second authority, revoked by the first, comes back alone', street, secondGone, back('second')),
    next('it is countersigned, and seals that itself', street, secondGone, {
      ...sealHeader({ ...returned.header, miner_id: 'second' }, namedKey('second 2')),
      transactions: returned.transactions,
    }),
    honest('it is countersigned, and the first one seals that', street, secondGone, [backBy('second', 'authority')]),
    refused('it revokes the first one', street, secondGone, revoked(street, 'authority', 'second')),
    honest('the first authority, revoked by the second, comes back alone', street, firstGone, [back('authority')]),
  ]
}

/** What revocation takes from a thief, and gives back to the owner. */
export const revocationCases = (): readonly ChainCase[] => [
  ...enrolmentCases(),
  ...recoveryKeyCases(),
  ...recoveryCases(),
]
