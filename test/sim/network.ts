import { ledgerError } from '../../src/ports/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Gossip, GossipHandler, GossipTopic, GossipVerdict } from '../../src/ports/gossip.ts'
import type { PeerRequests, RequestHandler, RequestName } from '../../src/ports/peer-requests.ts'
import { canonicalBytes, parseCanonicalBytes } from '../../src/protocol/canonical-json.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { Loop } from './loop.ts'
import type { Random } from './random.ts'

/** How a link between two nodes is. `silent`: both believe to be connected and nothing comes through. */
export type LinkState = 'up' | 'silent' | 'down'

interface Link {
  state: LinkState
  /** Probability that one message is lost. */
  loss: number
  /** The longest delay of one message. */
  delayMs: number
  /** Since when it is connected; gossip takes a heartbeat longer to know. */
  connectedAt: number
  /** Counts connections: what was sent on an earlier one does not arrive. */
  connection: number
}

/** What the network saw, for whoever watches. */
export interface NetworkWatch {
  /** A node's gossip handler rejected what a peer passed on. */
  onReject(topic: GossipTopic, by: string, from: string, payload: Uint8Array): void
  /** A handler threw what is no `SolarError`: a fault of the node. */
  onFault(node: string, what: string, error: unknown): void
}

/** One life of a node on the network: a restart makes a new one, and nothing of the old one is heard again. */
export interface Port {
  readonly id: string
  readonly gossip: Gossip
  readonly requests: PeerRequests
  readonly clock: Clock
  /** Connects to whoever it has links with. */
  start(): void
  /** Everything in flight is lost. */
  kill(): void
}

export interface SimNetwork {
  /** @param skewMs what this node's clock is ahead, at any time */
  join(id: string, skewMs: () => number): Port
  /** Whom two nodes know of each other; links begin up. */
  link(a: string, b: string): void
  setLink(a: string, b: string, change: Partial<Pick<Link, 'state' | 'loss' | 'delayMs'>>): void
  readonly links: readonly (readonly [string, string])[]
  /** True if both are running, and nothing is lost between them. */
  isCalm(a: string, b: string): boolean
  /** Sends a gossip message to one node only. */
  whisper(from: string, to: string, topic: GossipTopic, payload: Uint8Array): void
}

/** As in src/network/limits.ts and the gossip of src/network/gossip.ts. */
const REQUEST_LIMIT_MS = 10_000
const SEEN_MS = 120_000
const HEARTBEAT_MS = 1_000
const USUAL_DELAY_MS = 60

interface Pending {
  readonly peer: string
  fail(reason: string): void
}

/** What a port is to the network. */
class Life {
  readonly id: string
  isAlive = true
  isStarted = false
  readonly topics = new Map<GossipTopic, GossipHandler>()
  readonly served = new Map<RequestName, RequestHandler>()
  readonly listeners = new Set<(peer: string) => void>()
  readonly seen = new Map<string, number>()
  readonly pending = new Set<Pending>()

  constructor(id: string) {
    this.id = id
  }

  get isHere(): boolean {
    return this.isAlive && this.isStarted
  }
}

export function createNetwork(loop: Loop, random: Random, watch: NetworkWatch): SimNetwork {
  const lives = new Map<string, Life>()
  const links = new Map<string, Link>()
  const neighbours = new Map<string, string[]>()
  const nameOf = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`)
  const linkOf = (a: string, b: string): Link | undefined => links.get(nameOf(a, b))

  function isConnected(a: string, b: string): boolean {
    const link = linkOf(a, b)
    return link !== undefined && link.state !== 'down' && lives.get(a)?.isHere === true && lives.get(b)?.isHere === true
  }

  const peersOf = (id: string): string[] => (neighbours.get(id) ?? []).filter((peer) => isConnected(id, peer))

  /** Whoever is connected and has subscribed, as far as gossip knows by now. */
  const listenersOf = (id: string, topic: GossipTopic): string[] =>
    peersOf(id).filter((peer) => {
      const link = linkOf(id, peer)
      return (
        lives.get(peer)?.topics.has(topic) === true && link !== undefined && loop.now - link.connectedAt >= HEARTBEAT_MS
      )
    })

  /** Delivers after a while, unless it is lost, or one of the two or the link between them is gone by then. */
  function send(from: Life, to: string, deliver: (receiver: Life) => void): void {
    const link = linkOf(from.id, to)
    const receiver = lives.get(to)
    if (link === undefined || receiver === undefined) return
    const { connection } = link
    const delayMs = random.between(1, link.delayMs)
    if (random.chance(link.loss)) return
    loop.schedule(delayMs, () => {
      const isSame = link.connection === connection && link.state === 'up'
      if (isSame && from.isAlive && receiver.isHere) deliver(receiver)
    })
  }

  function gossipTo(life: Life, to: string, topic: GossipTopic, payload: Uint8Array): void {
    send(life, to, (receiver) => void receive(receiver, life.id, topic, payload.slice()))
  }

  async function receive(life: Life, from: string, topic: GossipTopic, payload: Uint8Array): Promise<void> {
    const handler = life.topics.get(topic)
    if (handler === undefined || !markSeen(life, topic, payload)) return
    let verdict: GossipVerdict
    try {
      verdict = await handler(payload, from)
    } catch (error) {
      watch.onFault(life.id, `gossip ${topic}`, error)
      return
    }
    if (verdict === 'reject') watch.onReject(topic, life.id, from, payload)
    if (verdict !== 'accept' || !life.isHere) return
    for (const peer of listenersOf(life.id, topic)) if (peer !== from) gossipTo(life, peer, topic, payload)
  }

  function markSeen(life: Life, topic: GossipTopic, payload: Uint8Array): boolean {
    const name = `${topic} ${Buffer.from(payload).toString('latin1')}`
    const at = life.seen.get(name)
    if (at !== undefined && loop.now - at < SEEN_MS) return false
    life.seen.set(name, loop.now)
    return true
  }

  function publish(life: Life, topic: GossipTopic, payload: Uint8Array): number {
    if (!life.isHere) return 0
    const to = listenersOf(life.id, topic)
    if (to.length === 0 || !markSeen(life, topic, payload)) return 0
    for (const peer of to) gossipTo(life, peer, topic, payload)
    return to.length
  }

  function ask(life: Life, peer: string, name: RequestName, params: object): Promise<unknown> {
    const bytes = canonicalBytes(params)
    // A request of a dead process is waited for by nobody.
    if (!life.isAlive) return new Promise(() => undefined)
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        if (!life.pending.delete(pending)) return
        cancel()
        if (life.isAlive) finish()
      }
      const fail = (reason: string): void => end(() => reject(ledgerError('peer_unreachable', { peer, reason })))
      const pending: Pending = { peer, fail }
      const cancel = loop.schedule(REQUEST_LIMIT_MS, () => fail('no answer in time'))
      life.pending.add(pending)
      if (!isConnected(life.id, peer)) {
        loop.schedule(1, () => fail('not connected'))
        return
      }
      send(life, peer, (receiver) => {
        void answer(receiver, life.id, name, bytes).then((given) => {
          if (given === undefined) return
          send(receiver, life.id, () => end(() => settle(given, peer, name, resolve, reject)))
        })
      })
    })
  }

  async function answer(
    life: Life,
    from: string,
    name: RequestName,
    bytes: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const handler = life.served.get(name)
    const refusal = (code: string, message: string) =>
      canonicalBytes({ error: { code, message: message.slice(0, 500) } })
    if (handler === undefined) return refusal('unknown', `${name} is not served`)
    try {
      const given = canonicalBytes(await handler(parseCanonicalBytes(bytes), from))
      return life.isHere ? given : undefined
    } catch (error) {
      if (isSolarError(error)) return refusal(error.code, error.message)
      watch.onFault(life.id, `request ${name}`, error)
      return refusal('internal', 'this node failed to answer')
    }
  }

  function connectAll(life: Life): void {
    for (const peer of peersOf(life.id)) announce(life.id, peer)
  }

  function announce(a: string, b: string): void {
    const link = linkOf(a, b)
    if (link !== undefined) Object.assign(link, { connectedAt: loop.now, connection: link.connection + 1 })
    for (const [id, peer] of [[a, b] as const, [b, a] as const]) {
      const life = lives.get(id)
      loop.schedule(random.between(1, USUAL_DELAY_MS), () => {
        if (life?.isHere === true && isConnected(id, peer)) for (const listener of life.listeners) listener(peer)
      })
    }
  }

  function disconnect(a: string, b: string): void {
    for (const [id, peer] of [[a, b] as const, [b, a] as const]) {
      for (const pending of lives.get(id)?.pending ?? []) {
        if (pending.peer === peer) loop.schedule(1, () => pending.fail('the connection is gone'))
      }
    }
  }

  return {
    get links() {
      return [...links.keys()].map((name) => name.split(' ') as [string, string])
    },
    join(id, skewMs) {
      const life = new Life(id)
      lives.get(id)?.pending.clear()
      lives.set(id, life)
      return {
        id,
        gossip: {
          subscribe: (topic, handler) => life.topics.set(topic, handler),
          publish: (topic, payload) => Promise.resolve(publish(life, topic, payload)),
        },
        requests: {
          id,
          serve: (name, handler) => life.served.set(name, handler),
          vouch: () => undefined,
          peers: () => (life.isHere ? peersOf(id) : []),
          onConnect(listener) {
            life.listeners.add(listener)
            return () => life.listeners.delete(listener)
          },
          request: (peer, name, params) => ask(life, peer, name, params),
        },
        clock: {
          now: () => loop.now + skewMs(),
          monotonic: () => loop.now,
          after: (delayMs, task) =>
            loop.schedule(delayMs, () => {
              if (life.isAlive) task()
            }),
        },
        start() {
          life.isStarted = true
          connectAll(life)
        },
        kill() {
          for (const peer of peersOf(id)) disconnect(id, peer)
          life.isAlive = false
          life.pending.clear()
        },
      }
    },
    link(a, b) {
      if (links.has(nameOf(a, b))) return
      links.set(nameOf(a, b), { state: 'up', loss: 0, delayMs: USUAL_DELAY_MS, connectedAt: loop.now, connection: 0 })
      neighbours.set(a, [...(neighbours.get(a) ?? []), b])
      neighbours.set(b, [...(neighbours.get(b) ?? []), a])
    },
    setLink(a, b, change) {
      const link = linkOf(a, b)
      if (link === undefined) return
      const wasDown = link.state === 'down'
      Object.assign(link, change)
      if (wasDown && link.state !== 'down' && isConnected(a, b)) announce(a, b)
      if (!wasDown && link.state === 'down') disconnect(a, b)
    },
    isCalm(a, b) {
      const link = linkOf(a, b)
      return link?.state === 'up' && link.loss === 0 && isConnected(a, b) && loop.now - link.connectedAt >= HEARTBEAT_MS
    },
    whisper(from, to, topic, payload) {
      const life = lives.get(from)
      if (life !== undefined) gossipTo(life, to, topic, payload)
    },
  }
}

/** What came back: an answer, or a refusal with its code. */
function settle(
  bytes: Uint8Array,
  peer: string,
  request: RequestName,
  resolve: (answer: unknown) => void,
  reject: (error: unknown) => void,
): void {
  const given = parseCanonicalBytes(bytes) as { readonly error?: { readonly code: string; readonly message: string } }
  if (given.error === undefined) resolve(given)
  else reject(ledgerError('peer_refused', { peer, request, code: given.error.code, reason: given.error.message }))
}
