import { judgeClocks, readPeerClocks, type ClockVerdict } from '../engine/peer-clocks.ts'
import type { LightClient, LightEvent, LightStatus } from '../engine/light-client.ts'
import { explainFailure, type PeerReport } from '../engine/peer-report.ts'
import type { Clock } from '../ports/clock.ts'
import type { DialEvent } from '../ports/dial.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { clockWords } from './clock-words.ts'
import { createPeerBoard } from './peer-board.ts'
import { createRegistrationWatch, registrationWords, type Registration } from './registration-watch.ts'

/** How a light node is doing, with what keeps it from its work. */
export interface LightOutlookStatus extends LightStatus {
  /** One line for people; null if nothing does. */
  readonly reason: string | null
  readonly voter: Registration
}

/** A light client and what it is asked through. */
export interface WatchedClient {
  readonly client: Pick<LightClient, 'status' | 'entryOf'>
  readonly requests: PeerRequests
  readonly chainId: Hash
}

/**
 * Knows why a light node is as it is, from all that it hears: dials, answers of peers, their clocks, the registry. Says each
 * change in one line, and answers for it at any time.
 */
export interface LightOutlook {
  onDial(event: DialEvent): void
  onPeer(report: PeerReport): void
  onEvent(event: LightEvent): void
  /** From now on there is a client to look at. */
  joined(watched: WatchedClient): void
  status(): LightOutlookStatus
  /** No address that was given leads to a node of this chain; what is wrong with each, else `undefined`. */
  hopeless(): string | undefined
  /** What is wrong with the clocks, if anything is known to be. */
  clockFault(): string | undefined
  /** Reads the peers' clocks now. Never rejects. */
  lookAtClocks(): Promise<void>
  start(): void
  stop(): void
}

export interface LightOutlookParts {
  readonly addresses: readonly string[]
  readonly publicKey: string
  readonly votes: boolean
  readonly clock: Clock
  readonly logger: Logger
}

const LOOK_MS = 1_000
/** Clocks drift slowly, and are looked at anyway when a peer connects or one shows a time that has not come. */
const CLOCKS_EVERY_LOOKS = 60
/** Who has just set a clock right wants to see it. */
const WRONG_CLOCKS_EVERY_LOOKS = 5
export const NOT_JOINED: LightStatus = {
  state: 'syncing',
  tip: null,
  headers: [],
  votes_sent: 0,
  peers: 0,
  trusted_height: null,
}

export function createLightOutlook(parts: LightOutlookParts): LightOutlook {
  const { clock, logger } = parts
  const board = createPeerBoard(parts.addresses)
  const registration = createRegistrationWatch(parts.publicKey, parts.votes, logger)
  let watched: WatchedClient | undefined
  let clocks: ClockVerdict = { kind: 'unknown' }
  let alarm: string | undefined
  let looks = 0
  let isLooking = false
  let lookAgain = true
  let said = ''
  let saidClock = ''
  let saidFault = ''
  let cancel = (): void => undefined
  let stopped = false

  const clockFault = (): string | undefined => clockWords(clocks, clock.now())

  async function lookAtClocks(): Promise<void> {
    if (watched === undefined || watched.requests.peers().length === 0) return
    const verdict = judgeClocks(await readPeerClocks(watched.requests, clock))
    // Peers that do not tell their time take nothing back of what a block has shown.
    if (verdict.kind !== 'unknown') clocks = verdict
  }

  /** A block with a time that has not come here: one of two clocks is wrong, also where the peer does not tell its time. */
  function sawFuture(peer: string, error: unknown): void {
    if (!isSolarError(error, 'peer_refused')) return
    const { code, reason } = error.fields as { readonly code: string; readonly reason: string }
    if (code !== 'from_the_future') return
    lookAgain = true
    const aheadMs = Number(/ ([0-9]{1,15}) ms ahead/.exec(reason)?.[1] ?? 0)
    if (clocks.kind === 'unknown' && aheadMs > 0) clocks = { kind: 'apart', peer, aheadMs }
  }

  /** What keeps this node from its work: first what nothing else can be expected without. */
  function reasonOf(status: LightStatus): string | null {
    const faults = board.faults().join('; ')
    if (status.state === 'alarm') return alarm ?? 'there is evidence against an authority, see its log'
    if (watched === undefined) return faults === '' ? 'asking its peers which chain this is' : faults
    if (status.peers === 0) return faults === '' ? 'no peer is connected' : `no peer is connected: ${faults}`
    const clockWrong = clockFault()
    if (clockWrong !== undefined) return clockWrong
    if (status.state !== 'live' && faults !== '') return faults
    if (status.state === 'syncing') return 'asking its peers for the newest block'
    if (status.state === 'stale') return staleWords(status)
    const { now } = registration
    return now.state === 'unregistered' || now.state === 'revoked' ? registrationWords(now) : null
  }

  function statusNow(): LightOutlookStatus {
    const status = watched?.client.status() ?? NOT_JOINED
    return { ...status, reason: reasonOf(status), voter: registration.now }
  }

  /** One line where the state, or what it comes from, has changed. */
  function say(): void {
    const { state, reason, tip, peers } = statusNow()
    const fault = clockFault() ?? ''
    const kind = fault === '' ? '' : clocks.kind
    if (kind !== saidClock) {
      if (fault !== '') logger.warn({ clocks: clocks.kind }, fault)
      else logger.info({}, "this device's clock and those of its peers agree again")
      saidClock = kind
    }
    if (state === said) return
    said = state
    const height = tip === null ? 'no block yet' : `block ${tip.height} is the newest`
    const words = state === 'live' ? `${height}, ${peers} peer${peers === 1 ? '' : 's'}` : (reason ?? height)
    const level = state === 'live' || state === 'syncing' ? 'info' : 'warn'
    logger[level]({ state, tip: tip?.height ?? null, peers }, `${state}: ${words}`)
  }

  async function look(): Promise<void> {
    if (watched !== undefined) {
      const { client, requests } = watched
      looks += 1
      const every = clockFault() === undefined ? CLOCKS_EVERY_LOOKS : WRONG_CLOCKS_EVERY_LOOKS
      if (requests.peers().length > 0 && (lookAgain || looks % every === 0)) {
        lookAgain = false
        await lookAtClocks()
      }
      await registration.look(client)
    }
    if (!stopped) say()
  }

  function schedule(): void {
    cancel = clock.after(LOOK_MS, () => {
      schedule()
      if (isLooking) return
      isLooking = true
      look()
        .catch((error: unknown) => logger.error({ error }, 'could not look at how this node is doing'))
        .finally(() => (isLooking = false))
    })
  }

  return {
    onDial(event) {
      board.onDial(event)
      if (event.type === 'connected') lookAgain = true
    },
    onPeer(report) {
      board.onPeer(report)
      if (report.outcome === 'synced' || watched === undefined) return
      const { peer, error } = report
      sawFuture(peer, error)
      const { requests, chainId } = watched
      void explainFailure(requests, peer, chainId, error).then((explained) => {
        if (explained === error) return
        board.onPeer({ peer, outcome: 'failed', error: explained })
        const fault = board.faults().join('; ')
        if (fault !== saidFault) logger.error({ error: explained, peer }, fault)
        saidFault = fault
      })
    },
    onEvent(event) {
      if (event.type === 'alarm') alarm = event.reason
    },
    joined(client) {
      watched = client
    },
    status: statusNow,
    hopeless: () => (board.isHopeless() ? board.faults().join('; ') : undefined),
    clockFault,
    lookAtClocks,
    start: schedule,
    stop() {
      stopped = true
      cancel()
    },
  }
}

function staleWords({ tip, trusted_height, peers }: LightStatus): string {
  if (tip !== null && (trusted_height ?? -1) < tip.height) {
    return `block ${tip.height} waits for votes, final is ${trusted_height ?? 'none yet'}`
  }
  return peers === 0 ? 'no peer is connected' : 'no full node that is connected has told anything new for too long'
}
