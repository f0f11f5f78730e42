import { steadyNow, type Clock } from '../ports/clock.ts'
import { hostKey } from './address.ts'

/**
 * Who a peer is, as far as it has proven it. `stranger`: has shown nothing. `device`: has signed with the key of an
 * enrolled device. `member`: has signed with the key of an authority or validator, or is named in the settings.
 */
export type Standing = 'stranger' | 'device' | 'member'

/** A peer, and the address that it is connected from (`addressOf`). */
export interface Party {
  /** Undefined while a connection has not shown whose it is. */
  readonly peer: string | undefined
  readonly address: string
  readonly standing: Standing
  /** The registered key that it has signed with: all peers of a key draw from one bucket. */
  readonly key?: string | undefined
}

/** What something took: milliseconds of this process's CPU time, and bytes that came or went. */
export interface Cost {
  readonly ms: number
  readonly bytes: number
}

/** A token bucket: what comes back in a second, up to a full bucket, and how far below zero the owner is cut off. */
interface Quota {
  readonly perSecond: Cost
  readonly full: Cost
  readonly overdraft: Cost
}

const MIB = 1024 * 1024
/** As `addressOf` writes it. */
const THIS_HOST: ReadonlySet<string> = new Set(['127.0.0.1', hostKey('::1')])

/**
 * A stranger may use a fifth of a core, and ten seconds' worth at once: a light node that comes back after months asks for
 * anchors and proofs for less than a second. The overdraft is for what cannot be put off, such as gossip.
 */
const PER_PEER: Quota = {
  perSecond: { ms: 200, bytes: MIB },
  full: { ms: 2_000, bytes: 16 * MIB },
  overdraft: { ms: 4_000, bytes: 16 * MIB },
}
/** The households of a village may share an address. What it is cut off from, its members are not. */
const PER_ADDRESS: Quota = {
  perSecond: { ms: 300, bytes: 4 * MIB },
  full: { ms: 6_000, bytes: 64 * MIB },
  overdraft: { ms: 12_000, bytes: 64 * MIB },
}
/**
 * The questions of all strangers together: half of the one core that seals. Nobody is cut off for what all of them do, so
 * what they owe together is forgiven beyond two seconds' worth: who has asked for nothing yet has its turn soon.
 */
const ALL_STRANGERS: Quota = {
  perSecond: { ms: 500, bytes: 16 * MIB },
  full: { ms: 10_000, bytes: 256 * MIB },
  overdraft: { ms: 1_000, bytes: 32 * MIB },
}
/** Handshakes where devices are at home, once strangers there are cut off: a household at once, then two a second. */
const HOME: Quota = {
  perSecond: { ms: 20, bytes: 0 },
  full: { ms: 200, bytes: 0 },
  overdraft: { ms: Infinity, bytes: Infinity },
}
/** How many times a stranger's share they have: a device asks for its trades, a validator for every block. */
const SHARES: Readonly<Record<Standing, number>> = { stranger: 1, device: 2, member: 20 }

/** The first time; each time again within `FORGIVEN_MS` lasts twice as long, up to the longest. */
export const CUT_OFF_MS = 60_000
const LONGEST_CUT_OFF_MS = 60 * 60_000
const FORGIVEN_MS = 2 * 60 * 60_000
/** Buckets that are remembered; who has asked for nothing for longest is forgotten first. */
export const MAX_BUCKETS = 20_000

interface Bucket {
  ms: number
  bytes: number
  /** When `ms` and `bytes` were true. */
  at: number
  cutOffUntil: number
  cutOffs: number
}

export interface Budget {
  /** Takes what something took, or a penalty, from the buckets of its peer and of its address. */
  charge(party: Party, cost: Cost): void
  /** Takes it from the bucket of the peer alone: nobody behind its address pays. */
  chargePeer(party: Party, cost: Cost): void
  /** Takes what a question took: also from the bucket of the questions of all strangers. */
  chargeQuestion(party: Party, cost: Cost): void
  /** Takes it from that bucket alone. */
  takeOfStrangers(cost: Cost): void
  /** Takes a handshake from what an address has for its known peers while its strangers are cut off; false if it has nothing. */
  takeHome(address: string, cost: Cost): boolean
  /** Milliseconds until the party may cause more work; 0 while there is something in the buckets of its peer and address. */
  waitMs(party: Party): number
  /** Milliseconds until strangers may ask more questions, 0 for now. */
  strangersWaitMs(): number
  /** True for who has overdrawn its bucket, for as long as it stays cut off; of an address, only strangers are. */
  isCutOff(party: Party): boolean
  /** Number of buckets that are remembered. */
  size(): number
}

export interface BudgetOptions {
  readonly clock: Clock
  /** Hears who is cut off: a peer, or the strangers of an address. */
  readonly onCutOff: (whose: 'peer' | 'address', party: Party, forMs: number) => void
}

/**
 * What each peer, each address and all strangers together may cost. A request waits for its budget; what cannot wait
 * overdraws it, and who overdraws it by much is cut off for a while.
 */
export function createBudget({ clock, onCutOff }: BudgetOptions): Budget {
  const buckets = new Map<string, Bucket>()

  /** The bucket as of now, as the one that was used last. */
  function bucketOf(key: string, quota: Quota, share: number): Bucket {
    const now = steadyNow(clock)
    const known = buckets.get(key)
    const bucket = known ?? { ...quota.full, at: now, cutOffUntil: 0, cutOffs: 0 }
    if (known === undefined) {
      bucket.ms *= share
      bucket.bytes *= share
    } else {
      const seconds = ((now - known.at) / 1_000) * share
      bucket.ms = Math.min(known.ms + seconds * quota.perSecond.ms, quota.full.ms * share)
      bucket.bytes = Math.min(known.bytes + seconds * quota.perSecond.bytes, quota.full.bytes * share)
      bucket.at = now
      if (now - bucket.cutOffUntil > FORGIVEN_MS) bucket.cutOffs = 0
      buckets.delete(key)
    }
    buckets.set(key, bucket)
    if (buckets.size > MAX_BUCKETS) {
      const [oldest] = buckets.keys()
      if (oldest !== undefined) buckets.delete(oldest)
    }
    return bucket
  }

  function take({ whose, key, quota, share }: Owner, party: Party, { ms, bytes }: Cost): void {
    const bucket = bucketOf(key, quota, share)
    bucket.ms -= ms
    bucket.bytes -= bytes
    const { at, cutOffUntil } = bucket
    const isOver = bucket.ms < -quota.overdraft.ms * share || bucket.bytes < -quota.overdraft.bytes * share
    if (!isOver || at < cutOffUntil) return
    const forMs = Math.min(CUT_OFF_MS * 2 ** bucket.cutOffs, LONGEST_CUT_OFF_MS)
    bucket.cutOffs++
    bucket.cutOffUntil = at + forMs
    onCutOff(whose, party, forMs)
  }

  function takeOfStrangers({ ms, bytes }: Cost): void {
    const { full, overdraft } = ALL_STRANGERS
    const all = bucketOf(STRANGERS, ALL_STRANGERS, 1)
    all.ms = Math.min(Math.max(all.ms - ms, -overdraft.ms), full.ms)
    all.bytes = Math.min(Math.max(all.bytes - bytes, -overdraft.bytes), full.bytes)
  }

  function debtMs(key: string, quota: Quota, share: number): number {
    const { ms, bytes } = bucketOf(key, quota, share)
    const debt = Math.max(-ms / quota.perSecond.ms, -bytes / quota.perSecond.bytes) / share
    return Math.max(0, Math.ceil(debt * 1_000))
  }

  function charge(party: Party, cost: Cost): void {
    for (const owner of ownersOf(party)) take(owner, party, cost)
  }

  return {
    charge,
    chargePeer: (party, cost) => {
      for (const owner of ownersOf(party)) if (owner.whose === 'peer') take(owner, party, cost)
    },
    chargeQuestion: (party, cost) => {
      charge(party, cost)
      if (party.standing === 'stranger') takeOfStrangers(cost)
    },
    takeOfStrangers,
    takeHome: (address, { ms, bytes }) => {
      const bucket = bucketOf(`home ${address}`, HOME, 1)
      if (bucket.ms < ms) return false
      bucket.ms -= ms
      bucket.bytes -= bytes
      return true
    },
    waitMs: (party) => Math.max(0, ...ownersOf(party).map(({ key, quota, share }) => debtMs(key, quota, share))),
    strangersWaitMs: () => debtMs(STRANGERS, ALL_STRANGERS, 1),
    isCutOff: (party) => {
      const now = steadyNow(clock)
      return ownersOf(party).some(({ key }) => now < (buckets.get(key)?.cutOffUntil ?? 0))
    },
    size: () => buckets.size,
  }
}

/** Who may be cut off for what is taken from its bucket. */
interface Owner {
  readonly whose: 'peer' | 'address'
  readonly key: string
  readonly quota: Quota
  readonly share: number
}

const STRANGERS = 'strangers'

/**
 * Whose buckets a party draws from. A member's address is not counted: its neighbours pay for themselves. Nor is that of
 * this machine, where a proxy connects for everybody.
 */
function ownersOf({ peer, address, standing, key }: Party): readonly Owner[] {
  const share = SHARES[standing]
  const name = key === undefined ? `peer ${peer ?? ''}` : `key ${key}`
  const own: readonly Owner[] = [{ whose: 'peer', key: name, quota: PER_PEER, share }]
  if (standing !== 'stranger') return own
  const shared: Owner = { whose: 'address', key: `address ${address}`, quota: PER_ADDRESS, share }
  return [...(peer === undefined ? [] : own), ...(THIS_HOST.has(address) ? [] : [shared])]
}

/** With whom a party takes turns, where several wait: strangers of an address together, everybody else for itself. */
export const laneOf = ({ peer, address, standing }: Party): string =>
  standing === 'stranger' && !THIS_HOST.has(address) ? `address ${address}` : `peer ${peer ?? ''}`
