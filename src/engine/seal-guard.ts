import { ledgerError } from '../ports/errors.ts'
import type { HighWater, HighWaterMark } from '../ports/high-water.ts'
import type { Chain } from './chain.ts'

/** A block that an authority of this chain has sealed, as somebody has shown it. */
export interface Sighting extends HighWaterMark {
  readonly miner_id: string
  readonly shownBy: 'a peer' | 'the signer'
}

/**
 * What is known against sealing the next block: this database may be an older backup. A height that anybody has seen sealed
 * is never sealed again.
 */
export interface SealGuard {
  /** For people: why nothing may be sealed now; `undefined` if it may. */
  reason(): string | undefined
  /** Throws `not_ready` with the reason, if there is one. */
  check(): void
  /** A block above the tip is sealed; nothing may be sealed until this chain has reached it. True if it is the highest. */
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

export function createSealGuard(chain: Chain, highWater: HighWater): SealGuard {
  let highest: Sighting | undefined
  let conflicting: string | undefined
  let trouble: string | undefined
  let fencedHeight = -1

  function behind(): string | undefined {
    const { tip } = chain
    const height = tip?.header.height ?? -1
    const end = tip === null ? 'this database has none' : `this database ends at block ${height}`
    if (highest !== undefined && highest.height > height) {
      return `${highest.shownBy} has block ${highest.height} (${highest.hash}) sealed by ${highest.miner_id}, ${end}: restoring`
    }
    const { mark } = highWater
    if (mark === null || mark.height <= height) return undefined
    if (mark.height <= fencedHeight) return `block ${mark.height} is in SQL and could not be stored in LevelDB yet`
    return `this authority has sealed block ${mark.height} (${mark.hash}) before, ${end}: restoring`
  }

  function reason(): string | undefined {
    if (conflicting !== undefined) return conflicting
    const missing = behind()
    return missing === undefined || trouble === undefined ? missing : `${missing}; ${trouble}`
  }

  async function compare({ height, hash }: HighWaterMark, whose: string): Promise<void> {
    const found = await chain.hashAt(height)
    if (found === undefined || found === hash) return
    const expected = `header ${hash}, ${whose}`
    conflicting = `block ${height}: expected ${expected}, found header ${found}: find out which database is the right one`
    throw ledgerError('corrupt', { place: `block ${height}`, expected, found: `header ${found}` })
  }

  return {
    reason,
    check: () => refuseFor(reason()),
    saw(sighting) {
      if (highest !== undefined && sighting.height <= highest.height) return false
      highest = sighting
      return true
    },
    async reached() {
      const { mark } = highWater
      if (mark !== null) await compare(mark, 'which this authority has sealed (high-water file)')
      if (highest !== undefined) await compare(highest, `which ${highest.shownBy} has, sealed by ${highest.miner_id}`)
    },
    fenced: (height) => void (fencedHeight = Math.max(fencedHeight, height)),
    stuck: (because) => void (trouble = because),
  }
}

/** The same guard, which heeds what others say against sealing as well: a wrong clock, a signer that does not answer. */
export function withOthers(guard: SealGuard, ...others: readonly Pick<SealGuard, 'reason'>[]): SealGuard {
  const reason = (): string | undefined => {
    for (const { reason: say } of [guard, ...others]) {
      const said = say()
      if (said !== undefined) return said
    }
    return undefined
  }
  return { ...guard, reason, check: () => refuseFor(reason()) }
}

/** Throws `not_ready`. */
function refuseFor(reason: string | undefined): void {
  if (reason !== undefined) throw ledgerError('not_ready', { reason })
}
