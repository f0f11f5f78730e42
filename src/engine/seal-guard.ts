import { ledgerError } from '../ports/errors.ts'
import type { HighWater } from '../ports/high-water.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Chain } from './chain.ts'

/** A block that an authority of this chain has sealed, as a peer has shown it. */
export interface Sighting {
  readonly height: number
  readonly hash: Hash
  readonly miner_id: string
  /** The peer. */
  readonly from: string
}

/**
 * What is known against sealing the next block: this database may be an older backup. A height that anybody has seen sealed
 * is never sealed again.
 */
export interface SealGuard {
  /** For people: why nothing may be sealed now; `undefined` if it may. */
  reason(): string | undefined
  /** Throws `not_ready` with the reason. */
  check(): void
  /** A block above the tip is sealed; nothing may be sealed until this chain has reached it. */
  saw(sighting: Sighting): void
  /** Compares what was seen above the tip with what is there now. Ticks wait meanwhile. */
  reached(): Promise<void>
  /** Why the last try to catch up has failed; `undefined` once it goes on. Shown with the reason. */
  stuck(because: string | undefined): void
  /** This authority's key has sealed something else than this chain has: only an operator can tell what is right. */
  conflict(reason: string): void
}

const ADVICE = 'find out which database is the right one'

export function createSealGuard(chain: Chain, highWater: HighWater): SealGuard {
  let highest: Sighting | undefined
  let conflicting: string | undefined
  let trouble: string | undefined

  function behind(): string | undefined {
    const { tip } = chain
    const height = tip?.header.height ?? -1
    const end = tip === null ? 'this database has none' : `this database ends at block ${height}`
    if (highest !== undefined && highest.height > height) {
      return `a peer has block ${highest.height} (${highest.hash}) sealed by ${highest.miner_id}, ${end}: restoring`
    }
    const { mark } = highWater
    if (mark === null || mark.height <= height) return undefined
    return `this authority has sealed block ${mark.height} (${mark.hash}) before, ${end}: restoring`
  }

  function reason(): string | undefined {
    if (conflicting !== undefined) return conflicting
    const missing = behind()
    return missing === undefined || trouble === undefined ? missing : `${missing}; ${trouble}`
  }

  return {
    reason,
    check() {
      const found = reason()
      if (found !== undefined) throw ledgerError('not_ready', { reason: found })
    },
    saw(sighting) {
      if (highest === undefined || sighting.height > highest.height) highest = sighting
    },
    async reached() {
      if (highest === undefined || highest.height >= chain.size) return
      const { height, hash, miner_id } = highest
      highest = undefined
      const [stored] = await chain.headers(height, 1)
      if (stored?.hash === hash) return
      conflicting = `a peer has block ${height} (${hash}) sealed by ${miner_id}, here it is ${stored?.hash ?? 'not there'}: ${ADVICE}`
    },
    stuck: (because) => void (trouble = because),
    conflict: (found) => void (conflicting = `${found}: ${ADVICE}`),
  }
}

/** Throws `corrupt` if this chain has another block than the one that this authority has sealed. */
export async function compareHighWater(chain: Chain, { mark }: HighWater): Promise<void> {
  if (mark === null || mark.height >= chain.size) return
  const [stored] = await chain.headers(mark.height, 1)
  if (stored?.hash === mark.hash) return
  throw ledgerError('corrupt', {
    place: `block ${mark.height}`,
    expected: `header ${mark.hash}, which this authority has sealed (high-water file)`,
    found: stored === undefined ? 'nothing' : `header ${stored.hash}`,
  })
}
