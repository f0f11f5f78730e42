import { ledgerError } from '../../src/ports/errors.ts'
import type { Gossip, GossipHandler, GossipTopic, GossipVerdict } from '../../src/ports/gossip.ts'
import type { PeerRequests, RequestHandler, RequestName } from '../../src/ports/peer-requests.ts'
import { canonicalText, parseCanonicalText } from '../../src/protocol/canonical-json.ts'
import { isSolarError } from '../../src/protocol/errors.ts'

interface Asked {
  readonly asker: string
  readonly peer: string
  readonly name: RequestName
  readonly params: object
}

/**
 * Peers of one process without a network between them: what is asked and answered goes through canonical bytes, refusals
 * come as `peer_refused`, and a test decides who is connected, who is silent and who lies.
 */
export interface Peers {
  /** What the peer of this name serves and asks with. */
  of(name: string): PeerRequests
  connect(one: string, other: string): void
  disconnect(one: string, other: string): void
  /** Everything that was asked, oldest first. */
  readonly asked: readonly Asked[]
}

export function createPeers(): Peers {
  const handlers = new Map<string, Map<RequestName, RequestHandler>>()
  const links = new Map<string, Set<string>>()
  const listeners = new Map<string, Set<(peer: string) => void>>()
  const asked: Asked[] = []
  const linksOf = (name: string) => links.get(name) ?? links.set(name, new Set()).get(name)!

  async function ask(asker: string, peer: string, name: RequestName, params: object): Promise<unknown> {
    asked.push({ asker, peer, name, params })
    const handler = handlers.get(peer)?.get(name)
    if (!linksOf(asker).has(peer) || handler === undefined) {
      throw ledgerError('peer_unreachable', { peer, reason: handler === undefined ? `no ${name}` : 'not connected' })
    }
    try {
      return parseCanonicalText(canonicalText(await handler(parseCanonicalText(canonicalText(params)), asker)))
    } catch (error) {
      if (!isSolarError(error)) throw error
      throw ledgerError('peer_refused', { peer, request: name, code: error.code, reason: error.message })
    }
  }

  return {
    asked,
    of: (own) => ({
      id: own,
      serve(name, handler) {
        const served = handlers.get(own) ?? handlers.set(own, new Map()).get(own)!
        served.set(name, handler)
      },
      vouch: () => undefined,
      peers: () => [...linksOf(own)],
      onConnect(listener) {
        const heard = listeners.get(own) ?? listeners.set(own, new Set()).get(own)!
        heard.add(listener)
        return () => heard.delete(listener)
      },
      request: (peer, name, params) => ask(own, peer, name, params),
    }),
    connect(one, other) {
      linksOf(one).add(other)
      linksOf(other).add(one)
      for (const listener of listeners.get(one) ?? []) listener(other)
      for (const listener of listeners.get(other) ?? []) listener(one)
    },
    disconnect(one, other) {
      linksOf(one).delete(other)
      linksOf(other).delete(one)
    },
  }
}

/** Gossip that a test hears and speaks for. */
export interface TestGossip extends Gossip {
  readonly published: readonly { readonly topic: GossipTopic; readonly payload: Uint8Array }[]
  /** How many peers hear what is published from now on. */
  listeners: number
  /** What this node does with a payload that arrives. */
  deliver(topic: GossipTopic, payload: Uint8Array, from?: string): Promise<GossipVerdict>
}

export function createTestGossip(): TestGossip {
  const handlers = new Map<GossipTopic, GossipHandler>()
  const published: TestGossip['published'][number][] = []
  return {
    published,
    listeners: 1,
    subscribe: (topic, handler) => void handlers.set(topic, handler),
    publish(topic, payload) {
      published.push({ topic, payload })
      return Promise.resolve(this.listeners)
    },
    async deliver(topic, payload, from = 'a peer') {
      return (await handlers.get(topic)?.(payload, from)) ?? 'ignore'
    },
  }
}
