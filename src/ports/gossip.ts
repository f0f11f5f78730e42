/** What is spread to everybody: payloads are canonical JSON and carry their own signature (docs/protocol.md 8). */
export type GossipTopic = 'headers' | 'votes' | 'evidence'

/** Reject: no honest node sends it, the sender is scored down. Ignore: not passed on, no harm. */
export type GossipVerdict = 'accept' | 'ignore' | 'reject'

export type GossipHandler = (payload: Uint8Array, from: string) => Promise<GossipVerdict>

export interface Gossip {
  /** Validates what arrives on a topic and decides whether it is passed on. One handler a topic. */
  subscribe(topic: GossipTopic, handler: GossipHandler): void
  /**
   * Publishes to the peers of a topic, also without subscribing to it. Never throws because nobody listens; throws
   * `malformed` for a payload beyond MAX_GOSSIP_BYTES. Gives back to how many peers it was sent.
   */
  publish(topic: GossipTopic, payload: Uint8Array): Promise<number>
}
