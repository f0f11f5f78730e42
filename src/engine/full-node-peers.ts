import { ledgerError } from '../ports/errors.ts'
import type { Gossip, GossipVerdict } from '../ports/gossip.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import { parseCanonicalBytes } from '../protocol/canonical-json.ts'
import { sealedHeaderShape, type SealedHeader } from '../protocol/header.ts'
import {
  anchorParams,
  registryParams,
  headersParams,
  historyParams,
  proofParams,
  votesParams,
  voteParams,
} from '../protocol/messages.ts'
import { voteShape } from '../protocol/vote.ts'
import { buildAnchor } from './anchor-builder.ts'
import { serveBlocks, type BlockServerParts } from './block-server.ts'
import { hearEvidence, serveEvidence } from './evidence-exchange.ts'
import type { EvidencePool } from './evidence-pool.ts'
import type { Finalizer } from './finalizer.ts'
import { judge } from './gossip-rules.ts'
import { serveTime } from './peer-clocks.ts'
import { recoveryIn, type AckSource } from './proven-step.ts'
import type { VoteCounter } from './vote-counter.ts'

export interface FullNodePeersParts extends BlockServerParts {
  readonly mode: 'authority' | 'validator'
  readonly ledger: BlockServerParts['ledger'] & Pick<ChainLedger, 'votes' | 'acksOf' | 'castVote'>
  readonly votes: VoteCounter
  readonly finalizer: Finalizer
  readonly acks: AckSource
  readonly evidence: EvidencePool
  readonly gossip: Gossip
  readonly logger: Logger
  /** What gossip does with a header of this chain that arrived. */
  readonly onHeader: (sealed: SealedHeader, from: string) => Promise<GossipVerdict>
}

/** What an authority and a validator answer and hear over libp2p (docs/protocol.md 8). */
export function serveFullNodePeers(parts: FullNodePeersParts): void {
  serveChain(parts)
  serveTime(parts.requests, parts.clock)
  serveVotes(parts)
  serveBlocks(parts)
}

function serveChain({ mode, chain, finalizer, acks, requests, clock }: FullNodePeersParts): void {
  requests.serve('genesis', () => Promise.resolve({ genesis: chain.genesis }))
  requests.serve('status', () => {
    const { tip } = chain
    const at = tip === null ? null : { height: tip.header.height, header_hash: tip.hash }
    const final_height = finalizer.finalHeight < 0 ? null : finalizer.finalHeight
    return Promise.resolve({ mode, chain_id: chain.chainId, tip: at, final_height })
  })
  requests.serve('headers', async (params) => {
    const { from_height, count } = headersParams(params, 'headers')
    const stored = await chain.headers(from_height, count)
    return { headers: stored.map(({ header, signature }) => ({ header, signature })) }
  })
  requests.serve('proof', async (params) => {
    const { at_height, ...by } = proofParams(params, 'proof')
    return await chain.transactionProof(by, at_height)
  })
  requests.serve('history', async (params) => {
    const asked = historyParams(params, 'history')
    return asked.type === 'inclusion'
      ? await chain.inclusion(asked.height, asked.size)
      : await chain.consistency(asked.from, asked.to)
  })
  const anchors = { chain, acks, clock, anchorHeight: () => finalizer.finalHeight }
  requests.serve('anchor', async (params) => await buildAnchor(anchors, anchorParams(params, 'anchor')))
  requests.serve('registry', async (params) => {
    const { at_height, ...by } = registryParams(params, 'registry')
    if (at_height !== null && at_height >= chain.size) {
      throw ledgerError('out_of_range', { what: 'at_height', value: at_height, limit: chain.size })
    }
    const height = at_height ?? chain.size - 1
    const registry = await chain.registryBefore(height + 1)
    const entry = 'id' in by ? registry.entry(by.id) : registry.holder(by.public_key)
    const proven = entry === undefined ? null : { entry, registry_proof: registry.proof(entry) }
    // Who follows headers needs it to know who sealed this block, long before a quorum proves it.
    const recovery =
      'id' in by ? await recoveryIn(chain, await chain.registryBefore(height), { height, miner_id: by.id }) : undefined
    return { height, entry: proven, ...(recovery !== undefined && { recovery }) }
  })
}

function serveVotes(parts: FullNodePeersParts): void {
  const { chain, ledger, votes, evidence, gossip, requests, logger } = parts
  requests.serve('votes', async (params) => {
    const asked = votesParams(params, 'votes')
    return 'voter_id' in asked ? await ledger.acksOf(asked) : { votes: await ledger.votes(asked.header_hash) }
  })
  requests.serve('vote', async (params) => {
    const { header_hash, status } = await ledger.castVote(voteParams(params, 'vote').vote)
    return { header_hash, status }
  })
  const fault = (error: unknown) => logger.error({ error }, 'a gossiped message could not be handled')
  gossip.subscribe('votes', (payload) =>
    judge(async () => {
      const vote = voteShape(parseCanonicalBytes(payload), 'vote')
      const { outcome } = await votes.cast(vote)
      return outcome === 'stored' ? 'accept' : 'ignore'
    }, fault),
  )
  gossip.subscribe('headers', (payload, from) =>
    judge(async () => {
      const sealed = sealedHeaderShape(parseCanonicalBytes(payload), 'header')
      if (sealed.header.chain_id !== chain.chainId) {
        throw ledgerError('wrong_chain', { chain_id: sealed.header.chain_id, expected: chain.chainId })
      }
      return await parts.onHeader(sealed, from)
    }, fault),
  )
  hearEvidence(gossip, evidence, logger)
  serveEvidence(requests, evidence)
}
