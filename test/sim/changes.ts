import {
  registryTickId,
  registryTransactionShape,
  signRegistryTransaction,
  type RegistryTransaction,
  type RegistryTransactionBody,
} from '../../src/protocol/registry-transaction.ts'
import type { SigningKey } from '../../src/protocol/signature.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import type { Member, Members } from './model.ts'
import { keyOf, MINER, type Plan } from './plan.ts'
import type { Random } from './random.ts'

/**
 * Ids of registry transactions say who allows them, by their hashes: all operators, none before the end, none
 * ever.
 */
const OK = 'ok'
const LATER = 'later'
const EVIL = 'evil'
const MANY = 40

/** Changes of the registry that keep 2m > n + f, and those that an adversary would like to make. */
export interface Changes {
  /** Hashes of what operators allow so far; it grows as they are asked. */
  readonly allowed: readonly string[]
  /** From now on they allow also what they were late to allow. */
  allowAll(): void
  /** The next one on top of `members`; `undefined` if chance picks one that the community could not bear. */
  next(members: Members, timestamp: number): readonly RegistryTransaction[] | undefined
  /** Validators of the adversary, and a threshold that they reach alone: no operator allows it. */
  capture(members: Members, timestamp: number): readonly RegistryTransaction[]
}

export function createChanges(plan: Plan, chainId: string, random: Random): Changes {
  let count = 0
  const allowed: string[] = []
  const late: string[] = []
  let isLate = true

  function sign(kind: string, body: (common: Common) => RegistryTransactionBody, key: SigningKey, nonce: string) {
    const common = { kind: 'registry', id: `${kind}-${count++ % MANY}`, timestamp: 0, nonce } as const
    const posted = signRegistryTransaction(body(common), chainId, key)
    const signed = registryTransactionShape({ ...posted, tick_id: registryTickId(nonce) }, 'tx')
    if (kind === OK || (kind === LATER && !isLate)) allowed.push(hashTransaction(signed))
    if (kind === LATER && isLate) late.push(hashTransaction(signed))
    return signed
  }

  const newNonce = (): string => Buffer.from(random.bytes(16)).toString('hex')
  const minerKey = (members: Members): SigningKey => authorityKeyOf(members.byId.get(MINER)?.key ?? '')

  function enrol(id: string, role: 'voter' | 'validator', kind: string, timestamp: number, nonce = newNonce()) {
    const key = keyOf(id)
    const body = (common: Common): RegistryTransactionBody => ({
      ...common,
      timestamp,
      action: 'enrol',
      subject_id: id,
      role,
      public_key: key.publicKey,
    })
    return sign(kind, body, key, nonce)
  }

  function revoke(id: string, kind: string, members: Members, timestamp: number) {
    const body = (common: Common): RegistryTransactionBody => ({
      ...common,
      timestamp,
      action: 'revoke',
      subject_id: id,
    })
    return sign(kind, body, minerKey(members), newNonce())
  }

  function policy(threshold: number, kind: string, members: Members, timestamp: number, nonce = newNonce()) {
    const body = (common: Common): RegistryTransactionBody => ({
      ...common,
      timestamp,
      action: 'policy',
      subject_id: MINER,
      finality: { policy: 'validators', threshold },
    })
    return sign(kind, body, minerKey(members), nonce)
  }

  function rotate(kind: string, members: Members, timestamp: number) {
    const next =
      AUTHORITY_KEYS[AUTHORITY_KEYS.findIndex(({ publicKey }) => publicKey === minerKey(members).publicKey) + 1]
    if (next === undefined) return undefined
    const body = (common: Common): RegistryTransactionBody => ({
      ...common,
      timestamp,
      action: 'rotate',
      subject_id: MINER,
      public_key: next.publicKey,
    })
    return sign(kind, body, minerKey(members), newNonce())
  }

  /** What the community can bear to lose or gain, as 2m > n + f and enough honest ones to reach m. */
  function budgetOf(members: Members, role: 'voter' | 'validator') {
    const active = [...members.byId.values()].filter((member) => member.role === role && member.active)
    const honest = active.filter(({ id }) => [...plan.validators, ...plan.lights].includes(id))
    const isCounted = members.finality.policy === (role === 'voter' ? 'votes' : 'validators')
    const threshold = isCounted && 'threshold' in members.finality ? members.finality.threshold : 0
    // Voters of every branch together: an enrolment of a voter needs nobody's word.
    const total =
      role === 'voter' ? [...members.byId.values()].filter((one) => one.role === role).length + voters : active.length
    return {
      honest,
      mayGrow: !isCounted || 2 * threshold > total + 1 + plan.byzantine.length,
      mayShrink: !isCounted || honest.length - 1 >= threshold,
      mayRaise: isCounted && threshold + 1 <= honest.length,
      threshold,
    }
  }

  let voters = 0

  function pickOne(members: Members, timestamp: number): RegistryTransaction | undefined {
    // Changes that operators have to allow: with an honest authority some of them are late to do so.
    const kind = !plan.isTwoFaced && random.chance(0.3) ? LATER : OK
    const action = random.pick([
      'enrol-voter',
      'revoke-voter',
      'enrol-validator',
      'revoke-validator',
      'policy',
      'rotate',
    ] as const)
    const isAboutVoters = action === 'enrol-voter' || action === 'revoke-voter'
    const budget = budgetOf(members, isAboutVoters ? 'voter' : 'validator')
    switch (action) {
      case 'enrol-voter':
      case 'enrol-validator':
        if (!budget.mayGrow) return undefined
        if (isAboutVoters) voters += 1
        return enrol(`new-${count}`, isAboutVoters ? 'voter' : 'validator', kind, timestamp)
      case 'revoke-voter':
      case 'revoke-validator':
        if (!budget.mayShrink || budget.honest.length < 2) return undefined
        return revoke(random.pick(budget.honest).id, kind, members, timestamp)
      case 'policy':
        return budget.mayRaise ? policy(budget.threshold + 1, kind, members, timestamp) : undefined
      case 'rotate':
        return rotate(kind, members, timestamp)
    }
  }

  return {
    allowed,
    allowAll() {
      isLate = false
      allowed.push(...late.splice(0))
    },
    next(members, timestamp) {
      const change = pickOne(members, timestamp)
      return change && [change]
    },
    capture(members, timestamp) {
      const active = [...members.byId.values()].filter(isActiveValidator).length
      const captors = Array.from({ length: active + 1 }, (_, at) => `evil-${count}-${at}`)
      const nonce = newNonce()
      const threshold = captors.length
      return [
        ...captors.map((id) => enrol(id, 'validator', EVIL, timestamp, nonce)),
        policy(threshold, EVIL, members, timestamp, nonce),
      ]
    },
  }
}

type Common = Pick<RegistryTransactionBody, 'kind' | 'id' | 'nonce'> & { readonly timestamp: number }

const isActiveValidator = ({ role, active }: Member): boolean => role === 'validator' && active

/** The keys of the authority, one after the other. */
export const AUTHORITY_KEYS: readonly SigningKey[] = [MINER, `${MINER} 1`, `${MINER} 2`].map(keyOf)

function authorityKeyOf(publicKey: string): SigningKey {
  const key = AUTHORITY_KEYS.find((one) => one.publicKey === publicKey)
  if (key === undefined) throw new Error('the authority has a key that nobody knows')
  return key
}

/** True for a registry transaction of the adversary. */
export const isEvil = (id: string): boolean => id.startsWith(`${EVIL}-`)
/** The ids of captors are the adversary's; so are those that are in `byzantine`. */
export const isCaptor = (id: string): boolean => id.startsWith('evil-')
