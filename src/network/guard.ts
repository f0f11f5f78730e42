import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { MAX_RESPONSE_BYTES } from '../protocol/limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { addressOf } from './address.ts'
import { createBudget, laneOf, type Cost, type Party } from './budget.ts'
import { ACCEPT_COST, HANDSHAKE_COST, INBOUND_MS_PER_BYTE, QUESTION_COST } from './costs.ts'
import { createLine } from './line.ts'
import type { Meter } from './meter.ts'
import { createPlaces, type Place } from './places.ts'
import { createStandings } from './standings.ts'

/** What peers may cost this node, and who has a place at it: asked by connections, requests and gossip alike. */
export interface PeerGuard {
  /** Decides about inbound connections, for libp2p. */
  readonly gater: ConnectionGater
  /** Somebody begins a handshake over an inbound connection, which is charged; false if it gets none. */
  admitsHandshake(from: Multiaddr): boolean
  /** Takes from the budget of a peer and its address, as a cost or a penalty, or gives back what is negative. */
  charge(peer: string, cost: Partial<Cost>): void
  /** Takes from the budget of the peer alone, for what it does only since others at its address have used theirs. */
  chargePeer(peer: string, cost: Partial<Cost>): void
  /** Takes what the answer to a question took. */
  chargeQuestion(peer: string, cost: Partial<Cost>): void
  /** True while the peer is cut off; what it has sent before may still arrive. */
  isCutOff(peer: string): boolean
  /** With whom the peer takes turns: a stranger as its address does. */
  laneOf(peer: string): string
  /** Milliseconds until the peer may cause more work, 0 for now. */
  waitMs(peer: string): number
  /** Resolves when it is the peer's turn to ask: at once but for strangers. Rejects with the signal's reason if that comes first. */
  turn(peer: string, signal: AbortSignal): Promise<void>
  /** Begins work for a peer; what is given back ends it, and charges what it has cost. */
  begin(peer: string): () => void
  /** A question was put to the peer: its answer is not charged. What is given back says that it is over. */
  expectAnswer(peer: string): () => void
  /** The peer has signed with a registered key: see `PeerRequests`. */
  vouch: PeerRequests['vouch']
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

const nobodyAt = (from: Multiaddr): Party => ({ peer: undefined, address: addressOf(from), standing: 'stranger' })

/** How much a peer may send before it is charged for it: small, and no work for each chunk. */
const CHARGE_EVERY_BYTES = 4 * 1024

export function createPeerGuard({ places: total, clock, logger, meter, onMet }: GuardOptions): PeerGuard {
  const standings = createStandings()
  const places = createPlaces(total, (peer) => standings.of(peer))
  const budget = createBudget({ clock, onCutOff: cutOff })
  /** Questions to a peer, and how many bytes of answers may come for them. */
  const expected = new Map<string, { questions: number; bytes: number }>()

  const strangers = createLine(
    clock,
    () => budget.strangersWaitMs(),
    () => budget.takeOfStrangers(QUESTION_COST),
  )

  const partyAt = (peer: string, address: string): Party => ({
    ...{ peer, address, standing: standings.of(peer), key: standings.keyOf(peer) },
  })
  const partyOf = (peer: string): Party => partyAt(peer, places.of(peer)[0]?.address ?? '')

  function charge(peer: string, { ms = 0, bytes = 0 }: Partial<Cost>): void {
    budget.charge(partyOf(peer), { ms, bytes })
  }

  function cutOff(whose: 'peer' | 'address', { peer, address }: Party, forMs: number): void {
    const until = `for ${Math.round(forMs / 1_000)} s`
    if (whose === 'peer') logger.warn({ peer, address }, `a peer that costs too much is cut off ${until}`)
    else logger.warn({ address }, `unknown peers of an address that costs too much are cut off ${until}`)
    const ofKey = () => standings.sharing(peer ?? '').flatMap((each) => places.of(each))
    for (const place of whose === 'peer' ? ofKey() : places.ofStrangersAt(address)) place.close('it costs too much')
  }

  function meet(peerId: PeerId, connection: MultiaddrConnection): boolean {
    const party = { peer: peerId.toString(), address: addressOf(connection.remoteAddr) }
    if (connection.status !== 'open' || budget.isCutOff(partyAt(party.peer, party.address))) return true
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
        const nobody = nobodyAt(remoteAddr)
        // Who is known there shows who it is; for everybody else a handshake is work for nothing.
        if (budget.isCutOff(nobody)) return !standings.isHome(nobody.address)
        budget.charge(nobody, ACCEPT_COST)
        return false
      },
      denyInboundEncryptedConnection: meet,
      denyInboundUpgradedConnection: countBytes,
    },
    admitsHandshake(from) {
      const nobody = nobodyAt(from)
      if (budget.isCutOff(nobody)) return budget.takeHome(nobody.address, HANDSHAKE_COST)
      budget.charge(nobody, HANDSHAKE_COST)
      return true
    },
    charge,
    chargePeer: (peer, { ms = 0, bytes = 0 }) => budget.chargePeer(partyOf(peer), { ms, bytes }),
    chargeQuestion: (peer, { ms = 0, bytes = 0 }) => budget.chargeQuestion(partyOf(peer), { ms, bytes }),
    isCutOff: (peer) => budget.isCutOff(partyOf(peer)),
    laneOf: (peer) => laneOf(partyOf(peer)),
    waitMs: (peer) => budget.waitMs(partyOf(peer)),
    async turn(peer, signal) {
      const party = partyOf(peer)
      if (party.standing === 'stranger') await strangers.turn(laneOf(party), signal)
    },
    begin(peer) {
      const end = meter.begin()
      // Who hangs up meanwhile pays at the address from which it has asked.
      const { address } = partyOf(peer)
      return () => budget.chargeQuestion(partyAt(peer, address), { ms: end(), bytes: 0 })
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
    vouch(peer, key, standing) {
      standings.vouch(peer, key, standing, places.of(peer)[0]?.address)
      if (!budget.isCutOff(partyOf(peer))) return
      for (const place of places.of(peer)) place.close('its key costs too much')
    },
    trust: (peer) => standings.trust(peer),
  }
}
