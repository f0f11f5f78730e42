import { StrictNoSign, type GossipsubOpts } from '@chainsafe/libp2p-gossipsub'
import { defaultTopicScoreParams, type TopicScoreParams } from '@chainsafe/libp2p-gossipsub/score'
import type { Hash } from '../protocol/bytes.ts'
import { sha256 } from '../protocol/hash.ts'
import { MAX_GOSSIP_BYTES } from '../protocol/limits.ts'
import { GOSSIP_TOPICS, topicName } from './names.ts'

const MESSAGE_ID_BYTES = 20
/** Invalid messages are forgotten by half in five minutes. */
const REJECT_DECAY_PER_SECOND = 0.5 ** (1 / 300)

/**
 * Only Reject counts, and its penalty is the square of the number of rejected messages: three (a peer with an old
 * version, a bit flipped) change nothing, nine within minutes and nothing of that peer is read any more. Nothing earns
 * merit, so that a long good conduct buys no room for misconduct.
 */
const topicScore: TopicScoreParams = {
  ...defaultTopicScoreParams,
  topicWeight: 1,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 0,
  // A quiet chain (a block in five minutes) would punish everybody for not delivering.
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -1,
  invalidMessageDeliveriesDecay: REJECT_DECAY_PER_SECOND,
}

/**
 * A hub speaks to its light nodes directly: with the default degree of 6 it reached them over one another, lost 16 % of
 * the messages and took seconds (measured). Light nodes keep the defaults.
 */
const hubDegrees = { D: 64, Dlo: 48, Dhi: 128, Dout: 0 }

/** Settings of gossipsub for one chain (docs/protocol.md 8). */
export function gossipSettings(chainId: Hash, hub: boolean): Partial<GossipsubOpts> {
  const topics = GOSSIP_TOPICS.map((topic) => topicName(chainId, topic))
  return {
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: ({ data }) => sha256(data).subarray(0, MESSAGE_ID_BYTES),
    fallbackToFloodsub: false,
    // A peer may announce any number of topics, and each would be remembered for as long as it is connected.
    allowedTopics: topics,
    decodeRpcLimits: {
      maxSubscriptions: 64,
      maxMessages: 2_000,
      maxIhaveMessageIDs: 5_000,
      maxIwantMessageIDs: 5_000,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 64,
      maxPeerInfos: 16,
    },
    // A note to each peer of the mesh for each message, so that it need not send it: dearer than these small messages.
    idontwantMinDataSize: MAX_GOSSIP_BYTES + 1,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    scoreParams: {
      topics: Object.fromEntries(topics.map((topic) => [topic, topicScore])),
      // Households of a village share an address (carrier NAT), as do all nodes of a test.
      IPColocationFactorWeight: 0,
      // A hub that restarts breaks promises of its former life without meaning to.
      behaviourPenaltyThreshold: 6,
    },
    scoreThresholds: { gossipThreshold: -10, publishThreshold: -50, graylistThreshold: -80 },
    ...(hub ? hubDegrees : {}),
  }
}
