import { ledgerError } from '../ports/errors.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { headersParams, proofParams } from '../protocol/messages.ts'
import { serveEvidence } from './evidence-exchange.ts'
import type { EvidencePool } from './evidence-pool.ts'
import type { LightFollower } from './light-follower.ts'

export interface LightPeersParts {
  readonly follower: LightFollower
  readonly genesis: Genesis
  readonly requests: PeerRequests
  readonly store: LightStore
  readonly evidence: EvidencePool
}

/** A light node answers for its window and for the proofs that it holds (docs/protocol.md 8). */
export function serveLightPeers({ follower, genesis, requests, store, evidence }: LightPeersParts): void {
  requests.serve('genesis', () => Promise.resolve({ genesis }))

  requests.serve('status', () => {
    const { anchor, anchor_hash } = follower.head
    const tip = anchor === null ? null : { height: anchor.header.height, header_hash: anchor_hash }
    const final_height = follower.trusted.anchor?.header.height ?? null
    return Promise.resolve({ mode: 'light', chain_id: follower.chainId, tip, final_height })
  })

  requests.serve('headers', (params) => {
    const { from_height, count } = headersParams(params, 'headers')
    const headers = follower.window.filter(({ header }) => header.height >= from_height).slice(0, count)
    // Ascending from from_height, as everywhere: a window that begins later has nothing to say.
    return Promise.resolve({ headers: headers[0]?.header.height === from_height ? headers : [] })
  })

  serveEvidence(requests, evidence)

  requests.serve('proof', async (params) => {
    const { at_height, ...by } = proofParams(params, 'proof')
    const held = await store.trade(by)
    const id = 'tx_id' in by ? by.tx_id : by.tx_hash
    if (held === undefined) throw ledgerError('unknown_transaction', { id })
    const { header, signature } = held.sealed
    if (at_height !== null && at_height !== header.height) {
      throw ledgerError('not_ready', { reason: 'a light node has no history proofs: ask a full node' })
    }
    return { tx_hash: held.tx_hash, merkle_proof: held.merkle_proof, header, signature, history_proof: null }
  })
}
