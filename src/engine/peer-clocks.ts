import { steadyNow, type Clock } from '../ports/clock.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { timeAnswer } from '../protocol/messages.ts'
import { collectAnswers } from './answers.ts'

/** A peer's clock against this device's. */
export interface ClockReading {
  readonly peer: string
  /** Milliseconds that the peer's clock is ahead; negative if it is behind. */
  readonly aheadMs: number
}

/**
 * What the clocks of the peers say. `own`: several peers agree with each other, and not with this device. `apart`: one peer
 * differs, and nothing tells which of the two is wrong. `peer`: that peer differs from this device and from others.
 */
export type ClockVerdict =
  | { readonly kind: 'agree' }
  | { readonly kind: 'unknown' }
  | ({ readonly kind: 'apart' } & ClockReading)
  | ({ readonly kind: 'own' | 'peer'; readonly agreeing: number } & ClockReading)

/** Less than a signed request (60 s) and a header (2 minutes) may be off: it is told before it does harm. */
export const CLOCK_TOLERANCE_MS = 45_000

/** A full node says what its clock says (docs/protocol.md 8). */
export function serveTime(requests: PeerRequests, clock: Clock): void {
  requests.serve('time', () => Promise.resolve({ now: clock.now() }))
}

/** Asks each connected peer what time it is. A peer that does not say is left out. */
export async function readPeerClocks(requests: PeerRequests, clock: Clock): Promise<readonly ClockReading[]> {
  const ask = async (peer: string) => {
    const answered = startReading(clock)
    const { now } = timeAnswer(await requests.request(peer, 'time', {}), 'time')
    return { peer, aheadMs: answered(now) }
  }
  const { given } = await collectAnswers(clock, requests.peers().map(ask))
  return given.map(({ peer, aheadMs }) => ({ peer, aheadMs: Math.round(aheadMs()) }))
}

/**
 * For who asks another clock now; its time is read somewhere on the way there and back. Somebody may set this node's clock
 * at any moment, so what is measured is held against the one that nobody sets.
 *
 * @returns what takes the answer, and gives what says how many milliseconds the other clock is ahead of this one, as this
 * one is set by then
 */
export function startReading(clock: Clock): (time: number) => () => number {
  const askedAt = steadyNow(clock)
  return (time) => {
    const ahead = time - (askedAt + steadyNow(clock)) / 2
    return () => ahead - (clock.now() - steadyNow(clock))
  }
}

/** Whose clock is wrong, as far as the readings are evidence for it: the greater number of clocks that agree is believed. */
export function judgeClocks(readings: readonly ClockReading[]): ClockVerdict {
  const isNear = (a: number, b: number): boolean => Math.abs(a - b) <= CLOCK_TOLERANCE_MS
  const off = readings.filter(({ aheadMs }) => !isNear(aheadMs, 0))
  const [first] = off
  if (first === undefined) return { kind: readings.length === 0 ? 'unknown' : 'agree' }
  const withThisDevice = readings.length - off.length
  const groups = off.map((reading) => ({
    reading,
    size: off.filter(({ aheadMs }) => isNear(aheadMs, reading.aheadMs)).length,
  }))
  const largest = groups.reduce((best, group) => (group.size > best.size ? group : best))
  if (largest.size > withThisDevice + 1) return { kind: 'own', agreeing: largest.size, ...largest.reading }
  if (withThisDevice >= largest.size) return { kind: 'peer', agreeing: withThisDevice, ...first }
  return { kind: 'apart', ...first }
}
