import { steadyNow, type Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { NamedPeers } from '../ports/named-peers.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { settledWithin } from './answers.ts'
import { CLOCK_TOLERANCE_MS, judgeClocks, readPeerClocks, startReading, type ClockReading } from './peer-clocks.ts'

export interface SealClockParts {
  readonly clock: Clock
  readonly requests: PeerRequests
  /** Those that the operator has named; without them any peer is as good as another. */
  readonly namedPeers?: Pick<NamedPeers, 'reached'> | undefined
  /** Unix milliseconds of the database server; `undefined` where the database has no clock of its own. */
  readonly databaseTime: () => Promise<number | undefined>
  /** Whether validators are registered: where there are, one of them can confirm a time. */
  readonly hasValidators: () => boolean
  /** Unix milliseconds by this clock at which the last block came before this start; null if none did. */
  readonly lastSealedAt: number | null
  readonly logger: Logger
}

/**
 * Whether this node's clock may be believed when it seals. A block from the future stops every light node and validator until
 * that time has come, and none can be taken back; so while the clock is ahead of what others say nothing is sealed.
 *
 * The clock of the database server decides where there is one. Else the peers' decide, and they are asked only when there is a
 * sign of trouble: at a start, and when the clock has moved ahead of the one that nobody sets. So who connects and lies about
 * the time holds up nothing that runs, nor a start at which a peer is there that the operator has named.
 */
export interface SealClock {
  /** For people: why this clock is not believed; `undefined` if it is. */
  reason(): string | undefined
  /** Compares now, in bounded time. Never rejects. */
  compare(): Promise<void>
  /** Goes on comparing while there is a sign of trouble; `onAgreed` when it is over. */
  start(onAgreed: () => void): void
  stop(): void
}

const LOOK_MS = 1_000
/** A start that is later than this after the last block is later than a clock may be believed to say that nobody has confirmed. */
const MAX_UNCONFIRMED_MS = 15 * 60_000
const COMPARE_LIMIT_MS = 3_000

export function createSealClock(parts: SealClockParts): SealClock {
  const { clock, requests, logger } = parts
  const monotonic = (): number => steadyNow(clock)
  /** What this clock was ahead of the monotonic one when it was last believed. */
  let believed = clock.now() - monotonic()
  let isBelieved = false
  let fault: string | undefined
  /** What this clock would be ahead of the monotonic one by the word of who contradicted it. */
  let contradicted: number | undefined
  let said: string | undefined
  let cancel = (): void => undefined
  let stopped = false

  const aheadNow = (): number => clock.now() - monotonic() - believed
  const hasMoved = (): boolean => aheadNow() > CLOCK_TOLERANCE_MS

  function reason(): string | undefined {
    if (fault !== undefined || !hasMoved()) return fault
    return `this node's clock has moved ${seconds(aheadNow())} ahead at once, to ${shown(clock.now())}: nobody has confirmed it yet`
  }

  function believe(): void {
    isBelieved = true
    believed = clock.now() - monotonic()
    fault = undefined
    contradicted = undefined
  }

  /** Who contradicted it may be gone by the time that somebody sets it. */
  const isSetSince = (): boolean =>
    contradicted !== undefined && clock.now() - monotonic() - contradicted <= CLOCK_TOLERANCE_MS

  function disbelieve(whose: string, aheadMs: number): void {
    const now = clock.now()
    contradicted = now + aheadMs - monotonic()
    fault =
      `this node's clock is ${seconds(-aheadMs)} ahead: it says ${shown(now)}, ${whose} ${shown(now + aheadMs)}; ` +
      'a block from the future would stop everybody until then: set the clock, for instance by NTP'
  }

  /** A clock that was set wrong before the start has jumped for nobody who watches it: only the last block shows it. */
  function faultOfStart(): string | undefined {
    const last = parts.lastSealedAt
    if (last === null || clock.now() - last <= MAX_UNCONFIRMED_MS) return undefined
    return (
      `this node's clock says ${shown(clock.now())}, the last block came at ${shown(last)}, and no peer is there that ` +
      'confirms the time: start a node with --mode=validator, registered or not, or set the clock'
    )
  }

  async function readDatabase(): Promise<ClockReading | undefined> {
    const answered = startReading(clock)
    const time = await parts.databaseTime()
    return time === undefined ? undefined : { peer: 'the database server', aheadMs: answered(time)() }
  }

  /** Where one answers that the operator has named, whoever else connects has no say. */
  function heard(readings: readonly ClockReading[]): readonly ClockReading[] {
    const named = new Set(parts.namedPeers?.reached().values())
    const theirs = readings.filter(({ peer }) => named.has(peer))
    return theirs.length > 0 ? theirs : readings
  }

  async function judge(): Promise<void> {
    // Until somebody has answered: who is silent is no reason to seal meanwhile.
    if (!isBelieved && contradicted === undefined && parts.hasValidators()) fault = faultOfStart()
    const database = await readDatabase()
    if (database !== undefined) {
      if (database.aheadMs < -CLOCK_TOLERANCE_MS) disbelieve(`${database.peer} says`, database.aheadMs)
      else believe()
      return
    }
    const verdict = judgeClocks(heard(await readPeerClocks(requests, clock)))
    if ((verdict.kind === 'own' || verdict.kind === 'apart') && verdict.aheadMs < 0) {
      const several = verdict.kind === 'own' && verdict.agreeing > 1
      disbelieve(several ? `${verdict.agreeing} peers say` : `its peer ${verdict.peer} says`, verdict.aheadMs)
      return
    }
    // Nobody is there to ask: with validators one will come.
    if (verdict.kind === 'unknown' && parts.hasValidators() && !isSetSince() && reason() !== undefined) return
    believe()
  }

  async function compare(): Promise<void> {
    const judged = judge().catch((error: unknown) => logger.debug({ error }, 'the clocks could not be compared'))
    await settledWithin(clock, COMPARE_LIMIT_MS, judged)
    const found = reason()
    if (found !== undefined && found !== said) logger.error({ reason: found }, `NOT SEALING: ${found}`)
    if (found === undefined && said !== undefined) logger.info({}, "this node's clock agrees with others again")
    said = found
  }

  function schedule(onAgreed: () => void): void {
    cancel = clock.after(LOOK_MS, () => {
      void look(onAgreed).then(() => {
        if (!stopped) schedule(onAgreed)
      })
    })
  }

  async function look(onAgreed: () => void): Promise<void> {
    if (reason() === undefined) return
    await compare()
    if (reason() === undefined && !stopped) onAgreed()
  }

  return {
    reason,
    compare,
    start: schedule,
    stop() {
      stopped = true
      cancel()
    },
  }
}

const seconds = (ms: number): string => `${Math.round(ms / 1_000)} s`
const shown = (ms: number): string => new Date(ms).toISOString()
