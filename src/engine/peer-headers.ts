import type { Logger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import { hashHeader, verifySeal, type SealedHeader } from '../protocol/header.ts'
import type { Chain } from './chain.ts'
import type { SealGuard } from './seal-guard.ts'

export interface PeerHeadersParts {
  readonly chain: Chain
  readonly guard: SealGuard
  readonly logger: Logger
  /** The registered id of the authority that seals here. */
  readonly minerId: string
}

/** Holds sealed headers that come from peers against this chain, and tells the guard what follows for sealing. */
export interface PeerHeaders {
  /**
   * A header of an authority above the tip: this database is behind. Another header of this authority's own key at a height
   * of this chain: a conflict. What no authority of this chain has sealed says nothing.
   */
  consider(sealed: SealedHeader, from: string): Promise<void>
  /** True if the authority that the header names has sealed it, as far as this chain knows its authorities. */
  isSealed(sealed: SealedHeader): boolean
}

export function createPeerHeaders({ chain, guard, logger, minerId }: PeerHeadersParts): PeerHeaders {
  /** Above the tip the registry of the tip stands in: a key that was registered since is not known yet. */
  function isSealed(sealed: SealedHeader): boolean {
    const { chain_id, height, miner_id } = sealed.header
    if (chain_id !== chain.chainId) return false
    const entry = chain.registryBefore(height).active(miner_id, 'authority')
    return entry !== undefined && verifySeal(sealed, entry.public_key).ok
  }

  /** Other headers of authorities at heights of this chain: each is said once. */
  const told = new Set<Hash>()

  return {
    isSealed,
    async consider(sealed, from) {
      const { height, miner_id } = sealed.header
      const hash = hashHeader(sealed.header)
      const [ours] = height < chain.size ? await chain.headers(height, 1) : []
      if (ours?.hash === hash || !isSealed(sealed)) return
      const fields = { height, hash, miner_id, peer: from }
      if (ours === undefined) {
        const isNews = guard.saw({ height, hash, miner_id, from })
        if (isNews)
          logger.warn(fields, `a peer has block ${height} sealed by ${miner_id}, above the tip of this database`)
        return
      }
      const reason = `a peer has another block ${height} sealed by ${miner_id}: header ${hash}, here it is ${ours.hash}`
      if (!told.has(hash)) logger.error(fields, reason)
      told.add(hash)
      if (miner_id === minerId) guard.conflict(reason)
    },
  }
}
