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
/** All strangers together: half of the one core that seals. Nobody is cut off for what all of them do. */
const ALL_STRANGERS: Quota = {
  perSecond: { ms: 500, bytes: 16 * MIB },
  full: { ms: 10_000, bytes: 256 * MIB },
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
  /** Takes what something took from the buckets of its party. */
  charge(party: Party, cost: Cost): void
  /** Takes more than something took, as a penalty: from no bucket that others than its peer and its address draw from. */
  penalize(party: Party, cost: Cost): void
  /** Milliseconds until the party may cause more work; 0 while there is something in all of its buckets. */
  waitMs(party: Party): number
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

  /**
   * The buckets that a party draws from. A member's address is not counted: its neighbours pay for themselves. Nor is that of
   * this machine, where a proxy connects for everybody.
   */
  function bucketsOf({ peer, address, standing }: Party) {
    const share = SHARES[standing]
    const own = { whose: 'peer', key: `peer ${peer ?? ''}`, quota: PER_PEER, share } as const
    if (standing !== 'stranger') return [own]
    const shared = { whose: 'address', key: `address ${address}`, quota: PER_ADDRESS, share } as const
    const all = { whose: 'all', key: 'strangers', quota: ALL_STRANGERS, share } as const
    return [...(peer === undefined ? [] : [own]), ...(THIS_HOST.has(address) ? [] : [shared]), all]
  }

  function take(party: Party, { ms, bytes }: Cost, isPenalty: boolean): void {
    for (const { whose, key, quota, share } of bucketsOf(party)) {
      if (whose === 'all' && isPenalty) continue
      const bucket = bucketOf(key, quota, share)
      bucket.ms -= ms
      bucket.bytes -= bytes
      const { at, cutOffUntil } = bucket
      const isOver = bucket.ms < -quota.overdraft.ms * share || bucket.bytes < -quota.overdraft.bytes * share
      if (whose === 'all' || !isOver || at < cutOffUntil) continue
      const forMs = Math.min(CUT_OFF_MS * 2 ** bucket.cutOffs, LONGEST_CUT_OFF_MS)
      bucket.cutOffs++
      bucket.cutOffUntil = at + forMs
      onCutOff(whose, party, forMs)
    }
  }

  return {
    charge: (party, cost) => take(party, cost, false),
    penalize: (party, cost) => take(party, cost, true),
    waitMs: (party) =>
      bucketsOf(party).reduce((longest, { key, quota, share }) => {
        const { ms, bytes } = bucketOf(key, quota, share)
        const debt = Math.max(-ms / quota.perSecond.ms, -bytes / quota.perSecond.bytes) / share
        return Math.max(longest, Math.ceil(debt * 1_000))
      }, 0),
    isCutOff: (party) => {
      const now = steadyNow(clock)
      return bucketsOf(party).some(({ key }) => now < (buckets.get(key)?.cutOffUntil ?? 0))
    },
    size: () => buckets.size,
  }
}
