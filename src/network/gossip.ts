import { TopicValidatorResult, type GossipSub } from '@chainsafe/libp2p-gossipsub'
import type { Hash } from '../protocol/bytes.ts'
import { protocolError } from '../protocol/errors.ts'
import { MAX_GOSSIP_BYTES } from '../protocol/limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { Gossip, GossipHandler, GossipTopic, GossipVerdict } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import type { Cost } from './budget.ts'
import { IGNORED_COST, INBOUND_MS_PER_BYTE, REJECTED_COST } from './costs.ts'
import type { PeerGuard } from './guard.ts'
import { topicName } from './names.ts'
import { createTurns } from './turns.ts'

/**
 * Messages of a topic that are looked at before everything else has its turn, and at one time: a tick waits in the stores behind those
 * in hand, some milliseconds each time, and not behind all that somebody has sent.
 */
const MESSAGES = { ofTurn: 64, inHand: 16 }

const results: Readonly<Record<GossipVerdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

export interface GossipOverLibp2p extends Gossip {
  /** Announces what was subscribed to so far; later subscriptions announce themselves. */
  start(): void
  stop(): void
  /** Peers that listen to a topic. */
  listeners(topic: GossipTopic): number
}

export interface GossipParts {
  readonly logger: Logger
  readonly clock: Clock
  readonly guard: Pick<PeerGuard, 'charge' | 'isCutOff' | 'laneOf'>
}

/**
 * Gossip of one chain. A payload that is published or received is remembered for two minutes by its hash: the same bytes
 * again within that time are not sent (`publish` says 0) and not handed to the handler, also if it ignored them.
 */
export function createGossip(
  service: GossipSub,
  chainId: Hash,
  { logger, guard, clock }: GossipParts,
): GossipOverLibp2p {
  const subscribed = new Set<GossipTopic>()
  let started = false

  const listeners = (topic: GossipTopic) => service.getSubscribers(topicName(chainId, topic)).length

  return {
    subscribe: (topic, handler) => {
      const name = topicName(chainId, topic)
      // For each topic by itself: a header may wait for a peer, and holds up no vote.
      const turns = createTurns(clock, MESSAGES)
      service.topicValidators.set(name, async (peer, { data }) => {
        const from = peer.toString()
        // Before it is looked at: a thousand messages may be looked at side by side.
        guard.charge(from, IGNORED_COST)
        const verdict = await turns.take(guard.laneOf(from), async () => {
          if (guard.isCutOff(from)) return 'ignore'
          return data.byteLength <= MAX_GOSSIP_BYTES ? await verdictOf(handler, data, from, topic, logger) : 'reject'
        })
        if (verdict === 'accept') guard.charge(from, refundOf(data.byteLength))
        if (verdict === 'reject') guard.charge(from, REJECTED_COST)
        return results[verdict]
      })
      subscribed.add(topic)
      if (started) service.subscribe(name)
    },
    publish: async (topic, payload) => {
      if (payload.byteLength > MAX_GOSSIP_BYTES) {
        const expected = `at most ${MAX_GOSSIP_BYTES} bytes`
        throw protocolError('malformed', { path: `gossip ${topic}`, expected, got: `${payload.byteLength}` })
      }
      // Published to nobody, the payload would count as sent, and be kept back when somebody listens.
      if (!started || listeners(topic) === 0) return 0
      try {
        return (await service.publish(topicName(chainId, topic), payload)).recipients.length
      } catch (error) {
        logger.warn({ topic, err: error }, 'a message could not be published')
        return 0
      }
    },
    listeners: (topic) => (started ? listeners(topic) : 0),
    start: () => {
      started = true
      for (const topic of subscribed) service.subscribe(topicName(chainId, topic))
    },
    stop: () => {
      started = false
    },
  }
}

/** What is new and true is welcome: what was charged for it is given back. */
const refundOf = (bytes: number): Cost => ({ ms: -IGNORED_COST.ms - bytes * INBOUND_MS_PER_BYTE, bytes: -bytes })

/** A handler that fails says nothing about the sender. */
async function verdictOf(
  handler: GossipHandler,
  payload: Uint8Array,
  from: string,
  topic: GossipTopic,
  logger: Logger,
): Promise<GossipVerdict> {
  try {
    const verdict = await handler(payload, from)
    if (verdict === 'reject') logger.warn({ topic, peer: from }, 'a message was rejected')
    return verdict
  } catch (error) {
    logger.error({ topic, peer: from, err: error }, 'a gossip handler failed')
    return 'ignore'
  }
}
