import type { Logger } from '../ports/logger.ts'
import type { SignatureChecks } from '../ports/signature-checks.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import type { Chain } from './chain.ts'
import type { EvidencePool } from './evidence-pool.ts'
import { reportDoubleSeal } from './full-node-evidence.ts'
import { hasSeal } from './checked-seal.ts'
import type { SealGuard } from './seal-guard.ts'

export interface PeerHeadersParts {
  readonly chain: Chain
  readonly guard: SealGuard
  readonly evidence: EvidencePool
  readonly logger: Logger
  /** Where signatures are checked; in place if absent. */
  readonly signatures?: SignatureChecks | undefined
}

/** Holds sealed headers that come from peers against this chain, and tells the guard what follows for sealing. */
export interface PeerHeaders {
  /**
   * A header of an authority above the tip: this database is behind. Another header at a height of this chain: evidence, if
   * one key has sealed both. What no authority of this chain has sealed says nothing.
   */
  consider(sealed: SealedHeader, from: string): Promise<void>
  /** True if the authority that the header names has sealed it, as far as this chain knows its authorities. */
  isSealed(sealed: SealedHeader): Promise<boolean>
}

export function createPeerHeaders({ chain, guard, evidence, logger, signatures }: PeerHeadersParts): PeerHeaders {
  /** Above the tip the registry of the tip stands in: a key that was registered since is not known yet. */
  async function isSealed(sealed: SealedHeader): Promise<boolean> {
    const { chain_id, height, miner_id } = sealed.header
    if (chain_id !== chain.chainId) return false
    const entry = (await chain.registryBefore(height)).active(miner_id, 'authority')
    return entry !== undefined && (await hasSeal(sealed, entry.public_key, signatures))
  }

  return {
    isSealed,
    async consider(sealed, from) {
      const { height, miner_id } = sealed.header
      const hash = hashHeader(sealed.header)
      const [ours] = height < chain.size ? await chain.headers(height, 1) : []
      if (ours?.hash === hash || !(await isSealed(sealed))) return
      const fields = { height, hash, miner_id, peer: from }
      if (ours === undefined) {
        const isNews = guard.saw({ height, hash, miner_id, shownBy: 'a peer' })
        if (isNews)
          logger.warn(fields, `a peer has block ${height} sealed by ${miner_id}, above the tip of this database`)
        return
      }
      logger.error(
        fields,
        `a peer has another block ${height} sealed by ${miner_id}: header ${hash}, here it is ${ours.hash}`,
      )
      await reportDoubleSeal(chain, evidence, sealed, [])
    },
  }
}
