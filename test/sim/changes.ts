import type { Finality } from '../../src/protocol/genesis.ts'
import {
  registryTickId,
  registryTransactionShape,
  type RegistryTransaction,
  type RegistryTransactionBody,
} from '../../src/protocol/registry-transaction.ts'
import { hashTransaction, type Transaction } from '../../src/protocol/transaction.ts'
import { countersign, type TestKey } from '../helpers/sign-now.ts'
import { signedChange } from '../helpers/signed-change.ts'
import type { Member, Members } from './model.ts'
import { honestVoters, keyOf, keyWith, MINER, recoveryKeyOf, type Plan } from './plan.ts'
import type { Random } from './random.ts'

/** Who allows a change: all operators, none before the end, none ever. */
type Allowed = 'ok' | 'later' | 'never'

/** Changes of the registry that keep 2m > n + f, and those that an adversary would like to make. */
export interface Changes {
  /** Hashes of what operators allow so far; it grows as they are asked. */
  readonly allowed: readonly string[]
  /** From now on they allow also what they were late to allow. */
  allowAll(): void
  /** The next one on top of `members`; `undefined` if chance picks one that the community could not bear. */
  next(members: Members, timestamp: number): readonly RegistryTransaction[] | undefined
  /** The enrolment of a joiner that these do not know; `undefined` if there is none, or the community cannot bear one more. */
  join(members: Members, timestamp: number): readonly RegistryTransaction[] | undefined
  /** Validators of the adversary, and a threshold that they reach alone, under ids that operators have allowed for something else. */
  capture(members: Members, timestamp: number): readonly RegistryTransaction[]
  /** True for what `capture` has made. */
  isEvil(transaction: Transaction): boolean
}

/** An authority that seals nothing; it comes and goes. */
const SECOND = 'second'

const ACTIONS = [
  'enrol-voter',
  'enrol-validator',
  'enrol-authority',
  'revoke-voter',
  'revoke-validator',
  'revoke-authority',
  'rotate-voter',
  'rotate-validator',
  'rotate-authority',
  'recover-voter',
  'recover-validator',
  'recover-authority',
  'policy',
  'policy',
] as const

/** What a kind of change says of its own. */
type Saying = DistributiveOmit<RegistryTransactionBody, 'kind' | 'id' | 'nonce' | 'timestamp'>

/** A change that somebody wants of a registry with these members, and the key that signs it. */
interface Wanted {
  readonly saying: Saying
  readonly key: TestKey
  readonly members: Members
}
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

export function createChanges(plan: Plan, chainId: string, random: Random): Changes {
  let count = 0
  /** Voters that were enrolled on whatever branch: that needs nobody's word. */
  let newVoters = 0
  const allowed: string[] = []
  const late: string[] = []
  const evil = new Set<string>()
  let isLate = true

  const newNonce = (): string => Buffer.from(random.bytes(16)).toString('hex')
  const newId = (): string => `change-${count++}`

  /** The miner countersigns what takes it: who brings an authority or a validator, or back whom it has revoked. */
  function sign({ saying, key, members }: Wanted, timestamp: number, kind: Allowed, id = newId(), nonce = newNonce()) {
    const authority = { id: MINER, key: minerKey(members) }
    const body = { kind: 'registry', id, timestamp, nonce, ...saying } as const
    const posted = signedChange(body, chainId, key, authority)
    const isBound = posted.action === 'recover' && members.byId.get(posted.subject_id)?.active === false
    const countersigned = isBound ? countersign(posted, MINER, chainId, authority.key) : posted
    const signed = registryTransactionShape({ ...countersigned, tick_id: registryTickId(nonce) }, 'tx')
    const hash = hashTransaction(signed)
    if (kind === 'never') evil.add(hash)
    else if (kind === 'later' && isLate) late.push(hash)
    else allowed.push(hash)
    return signed
  }

  const minerKey = (members: Members): TestKey => presentKey(members.byId.get(MINER))
  const policyOf = (finality: Finality): Saying => ({ action: 'policy', subject_id: MINER, finality })
  const enrolmentOf = (id: string, role: Member['role']): Saying => ({
    action: 'enrol',
    subject_id: id,
    role,
    public_key: keyOf(id).publicKey,
    recovery_key: recoveryKeyOf(id).publicKey,
  })

  const honest = honestVoters(plan)
  const isHonest = ({ id }: Member): boolean => honest.includes(id)

  /** What the community can bear to lose or gain, as 2m > n + f and enough honest ones to reach m. */
  function budgetOf(members: Members, role: Member['role']) {
    const all = [...members.byId.values()].filter((member) => member.role === role)
    const active = all.filter((member) => member.active)
    const honest = active.filter(isHonest)
    const isCounted = members.finality.policy === (role === 'voter' ? 'votes' : 'validators')
    const threshold = isCounted && 'threshold' in members.finality ? members.finality.threshold : 0
    const total = role === 'voter' ? all.length + newVoters : active.length
    return {
      honest,
      revoked: all.filter((member) => !member.active && isHonest(member)),
      total,
      mayGrow: !isCounted || 2 * threshold > total + 1 + plan.byzantine.length,
      mayShrink: honest.length > 1 && (!isCounted || honest.length - 1 >= threshold),
    }
  }

  /** A policy that is safe and that the honest ones can meet; with an authority of two faces of the same kind as before. */
  function nextPolicy(members: Members): Finality | undefined {
    const { policy } = members.finality
    const kinds = plan.isTwoFaced ? [policy] : (['authority', 'votes', 'validators'] as const)
    const next = random.pick(kinds)
    if (next === 'authority') return policy === 'authority' ? undefined : { policy: next }
    const { honest, total } = budgetOf(members, next === 'votes' ? 'voter' : 'validator')
    const safe = Array.from({ length: honest.length }, (_, at) => at + 1).filter(
      (threshold) => 2 * threshold > total + plan.byzantine.length,
    )
    const others = safe.filter((threshold) => next !== policy || threshold !== thresholdOf(members))
    return others.length === 0 ? undefined : { policy: next, threshold: random.pick(others) }
  }

  /** What is said, and by whose key it is signed. */
  function pickOne(members: Members): { readonly saying: Saying; readonly key: TestKey } | undefined {
    const action = random.pick(ACTIONS)
    if (action === 'policy') {
      const finality = nextPolicy(members)
      return finality && { saying: policyOf(finality), key: minerKey(members) }
    }
    const [what, role] = action.split('-') as [string, Member['role']]
    if (role === 'authority') return ofAuthority(what, members)
    const budget = budgetOf(members, role)
    if (what === 'enrol') {
      if (!budget.mayGrow) return undefined
      if (role === 'voter') newVoters += 1
      const id = `new-${count}`
      return { saying: enrolmentOf(id, role), key: keyOf(id) }
    }
    if (what === 'recover') {
      const { revoked, honest, mayGrow } = budget
      const lost = mayGrow && revoked.length > 0 ? revoked : honest
      return lost.length === 0 ? undefined : keyChange('recover', random.pick(lost))
    }
    if (budget.honest.length === 0) return undefined
    const member = random.pick(budget.honest)
    if (what === 'rotate') return keyChange('rotate', member)
    return budget.mayShrink ? revocationOf(member, members) : undefined
  }

  function ofAuthority(what: string, members: Members): ReturnType<typeof pickOne> {
    const second = members.byId.get(SECOND)
    if (what === 'enrol') return second ? undefined : { saying: enrolmentOf(SECOND, 'authority'), key: keyOf(SECOND) }
    if (what === 'revoke') return second?.active === true ? revocationOf(second, members) : undefined
    const miner = members.byId.get(MINER)
    return miner && keyChange(what === 'recover' ? 'recover' : 'rotate', miner)
  }

  const revocationOf = ({ id }: Member, members: Members) =>
    ({ saying: { action: 'revoke', subject_id: id }, key: minerKey(members) }) as const

  function keyChange(action: 'rotate' | 'recover', member: Member) {
    const { id } = member
    const { publicKey: public_key } = keyOf(`${id} ${count}`)
    const key = action === 'rotate' ? presentKey(member) : recoveryKeyOf(id)
    return { saying: { action, subject_id: id, public_key }, key } as const
  }

  /** Of what operators have to allow: with an honest authority some of them are late to do so. */
  const nextAllowance = (): Allowed => (!plan.isTwoFaced && random.chance(0.3) ? 'later' : 'ok')

  return {
    allowed,
    allowAll() {
      isLate = false
      allowed.push(...late.splice(0))
    },
    next(members, timestamp) {
      const kind = nextAllowance()
      const change = pickOne(members)
      return change && [sign({ ...change, members }, timestamp, kind)]
    },
    join(members, timestamp) {
      const joiner = plan.joiners.find((id) => !members.byId.has(id))
      if (joiner === undefined || !budgetOf(members, 'validator').mayGrow) return undefined
      return [
        sign({ saying: enrolmentOf(joiner, 'validator'), key: keyOf(joiner), members }, timestamp, nextAllowance()),
      ]
    },
    capture(members, timestamp) {
      const active = [...members.byId.values()].filter(isActiveValidator).length
      const captors = Array.from({ length: active + 1 }, (_, at) => `evil-${count}-${at}`)
      const nonce = newNonce()
      const shown = policyOf(members.finality)
      const seal = (saying: Saying, key: TestKey) => {
        const { id } = sign({ saying: shown, key: minerKey(members), members }, timestamp, 'ok')
        return sign({ saying, key, members }, timestamp, 'never', id, nonce)
      }
      const quorum = policyOf({ policy: 'validators', threshold: captors.length })
      return [...captors.map((id) => seal(enrolmentOf(id, 'validator'), keyOf(id))), seal(quorum, minerKey(members))]
    },
    isEvil: (transaction) => evil.has(hashTransaction(transaction)),
  }
}

const isActiveValidator = ({ role, active }: Member): boolean => role === 'validator' && active
const thresholdOf = ({ finality }: Members): number => ('threshold' in finality ? finality.threshold : 0)

function presentKey(member: Member | undefined): TestKey {
  const key = member && keyWith(member.key)
  if (key === undefined) throw new Error(`${member?.id ?? 'nobody'} has a key that nobody knows`)
  return key
}

/** The ids of captors are the adversary's; so are those that are in `byzantine`. */
export const isCaptor = (id: string): boolean => id.startsWith('evil-')
