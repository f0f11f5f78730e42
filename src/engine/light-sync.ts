import { steadyNow, type Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip, GossipVerdict } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { parseCanonicalBytes } from '../protocol/canonical-json.ts'
import { sealedHeaderShape } from '../protocol/header.ts'
import { collectAnswers } from './answers.ts'
import { hearEvidence, keepAskingForEvidence } from './evidence-exchange.ts'
import type { EvidencePool } from './evidence-pool.ts'
import { gossipVerdict, judge } from './gossip-rules.ts'
import type { LightFollower, Offer, SyncReport } from './light-follower.ts'
import { syncWithNewPeers } from './new-peers.ts'
import type { OnPeer } from './peer-report.ts'

export interface LightSyncParts {
  readonly follower: LightFollower
  readonly evidence: EvidencePool
  readonly gossip: Gossip
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly logger: Logger
  readonly pollMs: number
  /** Called after each sync with a peer. `isNewest`: it has nothing that is newer, and the newest here is trusted. */
  readonly onSynced: (peer: string, isNewest: boolean) => Promise<void>
  /** Hears how each peer turned out. */
  readonly onPeer: OnPeer
}

/** When a light node asks whom: by gossip, when a peer connects, and every `pollMs`. */
export interface LightSync {
  start(): void
  stop(): void
  /** Every connected peer, so that tips are compared. Throws the last failure if none could be followed, `not_ready` without peers. */
  sync(): Promise<void>
  /** Lets a task go on by itself; that it failed is told while the node runs. */
  background(task: Promise<void>): void
}

/** How often a header that no known key has sealed makes this node ask its sender, at most. */
const UNSEALED_ASK_MS = 5_000

export function createLightSync(parts: LightSyncParts): LightSync {
  const { follower, evidence, gossip, requests, clock, logger } = parts
  let cancelPoll = (): void => undefined
  let removeListeners = (): void => undefined
  let stopped = false
  let askAgainAt = -Infinity

  async function syncWith(peer: string): Promise<void> {
    let report: SyncReport
    try {
      report = await follower.syncWith(peer)
    } catch (error) {
      parts.onPeer({ peer, outcome: 'failed', error })
      throw error
    }
    parts.onPeer({ peer, outcome: 'synced', mode: report.mode })
    await parts.onSynced(peer, report.isNewest)
  }

  async function sync(): Promise<void> {
    const { given, failures } = await collectAnswers(clock, requests.peers().map(syncWith))
    if (given.length > 0) return
    throw failures.at(-1) ?? ledgerError('not_ready', { reason: 'no peer is connected' })
  }

  function background(task: Promise<void>): void {
    task.catch((error: unknown) => {
      if (!stopped) logger.debug({ error }, 'could not sync')
    })
  }

  function poll(): void {
    cancelPoll = clock.after(parts.pollMs, () => {
      if (requests.peers().length > 0) background(sync())
      poll()
    })
  }

  /** Anybody can make up a header of a key that is not known here; that there is such a key is asked now and then. */
  function mayAskAgain(): boolean {
    const now = steadyNow(clock)
    if (now < askAgainAt) return false
    askAgainAt = now + UNSEALED_ASK_MS
    return true
  }

  async function onHeader(payload: Uint8Array, from: string): Promise<GossipVerdict> {
    const sealed = sealedHeaderShape(parseCanonicalBytes(payload), 'header')
    const offer = await follower.offer(sealed)
    if (typeof offer === 'object' && offer.refused === 'from_the_future') {
      const error = ledgerError('peer_refused', {
        peer: from,
        request: 'headers',
        code: offer.refused,
        reason: offer.reason,
      })
      parts.onPeer({ peer: from, outcome: 'failed', error })
    }
    // Under vote policies the peer may prove that its branch is the final one.
    if (offer === 'fork') background(follower.compareWith(from).then(() => syncWith(from)))
    const isNews = offer === 'gap' ? follower.hasKnownSeal(sealed) || mayAskAgain() : typeof offer === 'string'
    if (isNews && (offer === 'gap' || follower.needsProof))
      background(follower.syncWith(from).then(() => undefined, sync))
    return verdictOf(offer)
  }

  return {
    start() {
      gossip.subscribe('headers', (payload, from) =>
        judge(
          () => onHeader(payload, from),
          (error) => logger.error({ error }, 'a gossiped header could not be handled'),
        ),
      )
      hearEvidence(gossip, evidence, logger)
      const stopSyncing = syncWithNewPeers(requests, clock, (peer) => background(syncWith(peer)))
      const stopAsking = keepAskingForEvidence(parts)
      removeListeners = () => {
        stopSyncing()
        stopAsking()
      }
      for (const peer of requests.peers()) background(syncWith(peer))
      poll()
    },
    stop() {
      stopped = true
      cancelPoll()
      removeListeners()
    },
    sync,
    background,
  }
}

function verdictOf(offer: Offer): GossipVerdict {
  if (offer === 'followed') return 'accept'
  return typeof offer === 'object' ? gossipVerdict(offer.refused) : 'ignore'
}
