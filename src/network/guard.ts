import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { MAX_RESPONSE_BYTES } from '../protocol/limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import { addressOf } from './address.ts'
import { createBudget, type Cost, type Party } from './budget.ts'
import { HANDSHAKE_COST, INBOUND_MS_PER_BYTE } from './costs.ts'
import type { Meter } from './meter.ts'
import { createPlaces, type Place } from './places.ts'
import { createStandings } from './standings.ts'

/** What peers may cost this node, and who has a place at it: asked by connections, requests and gossip alike. */
export interface PeerGuard {
  /** Decides about inbound connections, for libp2p. */
  readonly gater: ConnectionGater
  /** Takes from the budget of a peer, or gives back what is negative. */
  charge(peer: string, cost: Partial<Cost>): void
  /** Takes from it as a penalty, which costs nobody else anything. */
  penalize(peer: string, cost: Partial<Cost>): void
  /** True while the peer is cut off; what it has sent before may still arrive. */
  isCutOff(peer: string): boolean
  /** Milliseconds until the peer may cause more work, 0 for now. */
  waitMs(peer: string): number
  /** Begins work for a peer; what is given back ends it, and charges what it has cost. */
  begin(peer: string): () => void
  /** A question was put to the peer: its answer is not charged. What is given back says that it is over. */
  expectAnswer(peer: string): () => void
  /** The peer has signed with a registered key: a device's, or a member's (an authority's or a validator's). */
  vouch(peer: string, key: string, standing: 'device' | 'member'): void
  /** The peer was dialled: it is named in the settings. */
  trust(peer: string): void
}

export interface GuardOptions {
  /** Inbound connections at one time. */
  readonly places: number
  readonly clock: Clock
  readonly logger: Logger
  /** Shared by all nodes of the process: only together can they say what each request costs. */
  readonly meter: Meter
  /** Hears of each connection that has shown whose it is and has got a place. */
  readonly onMet?: ((from: Multiaddr) => void) | undefined
}

/** How much a peer may send before it is charged for it: small, and no work for each chunk. */
const CHARGE_EVERY_BYTES = 4 * 1024

export function createPeerGuard({ places: total, clock, logger, meter, onMet }: GuardOptions): PeerGuard {
  const standings = createStandings()
  const places = createPlaces(total, (peer) => standings.of(peer))
  const budget = createBudget({ clock, onCutOff: cutOff })
  /** Questions to a peer, and how many bytes of answers may come for them. */
  const expected = new Map<string, { questions: number; bytes: number }>()

  const partyOf = (peer: string): Party => ({
    peer,
    address: places.of(peer)[0]?.address ?? '',
    standing: standings.of(peer),
  })

  function charge(peer: string, { ms = 0, bytes = 0 }: Partial<Cost>): void {
    budget.charge(partyOf(peer), { ms, bytes })
  }

  function cutOff(whose: 'peer' | 'address', { peer, address }: Party, forMs: number): void {
    const until = `for ${Math.round(forMs / 1_000)} s`
    if (whose === 'peer') logger.warn({ peer, address }, `a peer that costs too much is cut off ${until}`)
    else logger.warn({ address }, `unknown peers of an address that costs too much are cut off ${until}`)
    const gone = whose === 'peer' ? places.of(peer ?? '') : places.ofStrangersAt(address)
    for (const place of gone) place.close('it costs too much')
  }

  function meet(peerId: PeerId, connection: MultiaddrConnection): boolean {
    const party = { peer: peerId.toString(), address: addressOf(connection.remoteAddr) }
    if (connection.status !== 'open' || budget.isCutOff({ ...party, standing: standings.of(party.peer) })) return true
    const place: Place = { ...party, close: (reason) => connection.abort(new Error(reason)) }
    const refusal = places.take(place)
    if (refusal !== undefined) {
      logger.debug(party, `a connection is refused: ${refusal}`)
      return true
    }
    connection.addEventListener('close', () => places.leave(place))
    onMet?.(connection.remoteAddr)
    return false
  }

  /** All that comes over the connection costs, whatever it is: pings, streams, gossip that was there before. */
  function countBytes(peerId: PeerId, connection: MultiaddrConnection): boolean {
    const peer = peerId.toString()
    let bytes = 0
    connection.addEventListener('message', ({ data }) => {
      bytes += data.byteLength
      if (bytes < CHARGE_EVERY_BYTES) return
      const answer = expected.get(peer)
      const free = Math.min(answer?.bytes ?? 0, bytes)
      if (answer !== undefined) answer.bytes -= free
      const charged = bytes - free
      bytes = 0
      if (charged > 0) charge(peer, { ms: charged * INBOUND_MS_PER_BYTE, bytes: charged })
    })
    return false
  }

  return {
    gater: {
      denyInboundConnection({ remoteAddr }) {
        const nobody: Party = { peer: undefined, address: addressOf(remoteAddr), standing: 'stranger' }
        // Who is known there shows who it is; for everybody else a handshake is work for nothing.
        if (budget.isCutOff(nobody)) return !standings.isHome(nobody.address)
        budget.charge(nobody, HANDSHAKE_COST)
        return false
      },
      denyInboundEncryptedConnection: meet,
      denyInboundUpgradedConnection: countBytes,
    },
    charge,
    penalize: (peer, { ms = 0, bytes = 0 }) => budget.penalize(partyOf(peer), { ms, bytes }),
    isCutOff: (peer) => budget.isCutOff(partyOf(peer)),
    waitMs: (peer) => budget.waitMs(partyOf(peer)),
    begin(peer) {
      const end = meter.begin()
      return () => charge(peer, { ms: end() })
    },
    expectAnswer(peer) {
      const answer = expected.get(peer) ?? { questions: 0, bytes: 0 }
      expected.set(peer, answer)
      answer.questions++
      answer.bytes += MAX_RESPONSE_BYTES
      return () => {
        answer.questions--
        if (answer.questions === 0) expected.delete(peer)
      }
    },
    vouch: (peer, key, standing) => standings.vouch(peer, key, standing, places.of(peer)[0]?.address),
    trust: (peer) => standings.trust(peer),
  }
}
