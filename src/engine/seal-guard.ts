import { ledgerError } from '../ports/errors.ts'
import type { HighWater, HighWaterMark } from '../ports/high-water.ts'
import type { Hex } from '../protocol/bytes.ts'
import { verifySeal } from '../protocol/header.ts'
import type { Chain } from './chain.ts'

/** A block that an authority of this chain has sealed, as somebody has shown it. */
export type Sighting = HighWaterMark & { readonly miner_id: string } & (
    | { readonly shownBy: 'a peer' }
    | {
        readonly shownBy: 'the signer'
        /** With which the signer has signed it. */
        readonly public_key: Hex
        /** It counts while the registry names this key: that one, or the one that came before it. */
        readonly named: Hex
      }
  )

/**
 * What is to be sealed: any block, or one that begins with the recovery of its own authority. That is sealed by a key which has
 * sealed nothing yet, so what a signer says of the key that is lost or stolen does not count against it.
 */
export type ToSeal = 'block' | 'recovery'

/**
 * What is known against sealing the next block: this database may be an older backup. A height that anybody has seen sealed
 * is never sealed again.
 */
export interface SealGuard {
  /** For people: why nothing of this kind may be sealed now, a block if it is left out; `undefined` if it may. */
  reason(what?: ToSeal): string | undefined
  /** Throws `not_ready` with the reason, if there is one. */
  check(what?: ToSeal): void
  /**
   * A block above the tip is sealed; nothing may be sealed until this chain has reached it. What a signer shows counts while
   * the registry names the key that the sighting says. True if it is the highest of those that peers, or that key, have shown.
   */
  saw(sighting: Sighting): boolean
  /**
   * Compares the blocks that are there now with what this authority has sealed before, and with what was seen above the
   * tip. Ticks wait meanwhile. Throws `corrupt` if one is another, and nothing may be sealed from then on.
   */
  reached(): Promise<void>
  /** SQL has fenced this height: where LevelDB ends below it, it is LevelDB that lags behind, and no older backup. */
  fenced(height: number): void
  /** Why the last try to catch up has failed; `undefined` once it goes on. Shown with the reason. */
  stuck(because: string | undefined): void
}

/** No public key. */
const PEERS = ''

export function createSealGuard(chain: Chain, highWater: HighWater): SealGuard {
  /** The highest of each key of the signer, and under PEERS of all peers: who has the signer could else hide what those have. */
  const highest = new Map<Hex, Sighting>()
  let conflicting: string | undefined
  let trouble: string | undefined
  let fencedHeight = -1

  function counts(seen: Sighting, what: ToSeal): boolean {
    if (seen.shownBy === 'a peer') return true
    return what === 'block' && chain.registry.active(seen.miner_id, 'authority')?.public_key === seen.named
  }

  function behind(what: ToSeal): string | undefined {
    const { tip } = chain
    const height = tip?.header.height ?? -1
    const end = tip === null ? 'this database has none' : `this database ends at block ${height}`
    for (const seen of highest.values()) {
      if (seen.height <= height || !counts(seen, what)) continue
      return `${seen.shownBy} has block ${seen.height} (${seen.hash}) sealed by ${seen.miner_id}, ${end}: restoring`
    }
    const { mark } = highWater
    if (mark === null || mark.height <= height) return undefined
    if (mark.height <= fencedHeight) return `block ${mark.height} is in SQL and could not be stored in LevelDB yet`
    return `this authority has sealed block ${mark.height} (${mark.hash}) before, ${end}: restoring`
  }

  function reason(what: ToSeal = 'block'): string | undefined {
    if (conflicting !== undefined) return conflicting
    const missing = behind(what)
    return missing === undefined || trouble === undefined ? missing : `${missing}; ${trouble}`
  }

  async function compare({ height, hash }: HighWaterMark, whose: string): Promise<void> {
    const found = await chain.hashAt(height)
    if (found === undefined || found === hash) return
    const expected = `header ${hash}, ${whose}`
    conflicting = `block ${height}: expected ${expected}, found header ${found}: find out which database is the right one`
    throw ledgerError('corrupt', { place: `block ${height}`, expected, found: `header ${found}` })
  }

  /** What a signer has signed and nobody shows stays unsealed, where another key has sealed its height. */
  async function isOther(seen: Sighting): Promise<boolean> {
    if (seen.shownBy === 'a peer') return false
    const [found] = await chain.headers(seen.height, 1)
    return found !== undefined && !verifySeal(found, seen.public_key).ok
  }

  return {
    reason,
    check: (what) => refuseFor(reason(what)),
    saw(sighting) {
      const from = sighting.shownBy === 'a peer' ? PEERS : sighting.public_key
      if (sighting.height <= (highest.get(from)?.height ?? -1)) return false
      highest.set(from, sighting)
      return true
    },
    async reached() {
      const { mark } = highWater
      if (mark !== null) await compare(mark, 'which this authority has sealed (high-water file)')
      for (const seen of highest.values()) {
        if (await isOther(seen)) continue
        await compare(seen, `which ${seen.shownBy} has, sealed by ${seen.miner_id}`)
      }
    },
    fenced: (height) => void (fencedHeight = Math.max(fencedHeight, height)),
    stuck: (because) => void (trouble = because),
  }
}

/** The same guard, which heeds what others say against sealing as well: a wrong clock, a signer that does not answer. */
export function withOthers(guard: SealGuard, ...others: readonly Pick<SealGuard, 'reason'>[]): SealGuard {
  const reason = (what?: ToSeal): string | undefined => {
    for (const { reason: say } of [guard, ...others]) {
      const said = say(what)
      if (said !== undefined) return said
    }
    return undefined
  }
  return { ...guard, reason, check: (what) => refuseFor(reason(what)) }
}

/** Throws `not_ready`. */
function refuseFor(reason: string | undefined): void {
  if (reason !== undefined) throw ledgerError('not_ready', { reason })
}
