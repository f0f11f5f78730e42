import type { Clock } from '../ports/clock.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { parseCanonicalBytes } from '../protocol/canonical-json.ts'
import { evidenceShape } from '../protocol/evidence.ts'
import { evidenceAnswer } from '../protocol/messages.ts'
import type { EvidencePool } from './evidence-pool.ts'
import { gossipVerdict, judge } from './gossip-rules.ts'

/** One peer is asked each time, all in turn. */
const ASK_EVERY_MS = 20_000

export interface EvidenceAskerParts {
  readonly requests: Pick<PeerRequests, 'peers' | 'onConnect' | 'request'>
  readonly evidence: EvidencePool
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Asks each peer for its evidence when it connects, and one peer every 20 s from then on: gossip loses what is published while a
 * subscription is on its way, and says it once. Gives back how to end it.
 */
export function keepAskingForEvidence({ requests, evidence, clock, logger }: EvidenceAskerParts): () => void {
  let turn = 0
  let stopped = false
  let cancel = (): void => undefined

  const ask = (peer: string): void => {
    askForEvidence(requests, evidence, peer).catch((error: unknown) => {
      if (!stopped) logger.debug({ error }, 'could not ask for evidence')
    })
  }
  const wait = (): void => {
    cancel = clock.after(ASK_EVERY_MS, () => {
      const peers = requests.peers()
      const peer = peers[turn++ % peers.length]
      if (peer !== undefined) ask(peer)
      wait()
    })
  }
  const stopListening = requests.onConnect(ask)
  wait()
  return () => {
    stopped = true
    stopListening()
    cancel()
  }
}

/** Evidence of one answer: what fits it, the newest first. */
const MAX_PER_ANSWER = 100

/** Answers the request `evidence`. */
export function serveEvidence(requests: PeerRequests, evidence: EvidencePool): void {
  requests.serve('evidence', async () => ({ evidence: await evidence.list(MAX_PER_ANSWER) }))
}

/** Takes what a peer knows of misbehaviour. Throws `peer_refused`, `peer_unreachable`, `malformed`. */
export async function askForEvidence(
  requests: Pick<PeerRequests, 'request'>,
  evidence: EvidencePool,
  peer: string,
): Promise<void> {
  const answer = evidenceAnswer(await requests.request(peer, 'evidence', {}), 'evidence')
  for (const piece of answer.evidence) await evidence.learn(piece)
}

/** Takes gossiped evidence. */
export function hearEvidence(gossip: Gossip, evidence: EvidencePool, logger: Logger): void {
  gossip.subscribe('evidence', (payload) =>
    judge(
      async () => {
        const outcome = await evidence.add(evidenceShape(parseCanonicalBytes(payload), 'evidence'))
        if (outcome === 'new') return 'accept'
        return typeof outcome === 'object' ? gossipVerdict(outcome.refused) : 'ignore'
      },
      (error) => logger.error({ error }, 'gossiped evidence could not be handled'),
    ),
  )
}
