import type { ClockVerdict } from '../engine/peer-clocks.ts'
import { count } from '../protocol/count-words.ts'

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const

/** `10 minutes`: in the greatest unit of which there are at least two, rounded. */
export function spanWords(ms: number): string {
  const size = Math.abs(ms)
  const [name, unit] = UNITS.find(([, length]) => size >= 2 * length) ?? (['second', 1_000] as const)
  return count(Math.round(size / unit), name)
}

const HOW_TO_SET = 'set it, for instance by NTP (timedatectl set-ntp true)'
const shown = (ms: number): string => new Date(ms).toISOString().replace(/\.[0-9]+Z$/, 'Z')

/**
 * What is wrong with which clock, with both times and as far as there is evidence; `undefined` if nothing is known to be.
 *
 * @param now what this device's clock says
 */
export function clockWords(verdict: ClockVerdict, now: number): string | undefined {
  if (verdict.kind === 'agree' || verdict.kind === 'unknown') return undefined
  const { aheadMs, peer } = verdict
  const here = shown(now)
  const there = shown(now + aheadMs)
  const span = spanWords(aheadMs)
  const [ownWay, peerWay] = aheadMs > 0 ? (['behind', 'ahead'] as const) : (['ahead', 'behind'] as const)
  switch (verdict.kind) {
    case 'own':
      return (
        `this device's clock is ${span} ${ownWay}: it says ${here}, ${verdict.agreeing} of its peers say ${there}; ` +
        HOW_TO_SET
      )
    case 'peer':
      return (
        `the clock of ${peer} is ${span} ${peerWay}: it says ${there}, this device's clock and ` +
        `${verdict.agreeing === 1 ? 'another peer say' : `${verdict.agreeing} other peers say`} ${here}; its operator has to set it`
      )
    case 'apart':
      return (
        `this device's clock says ${here}, that of its peer ${peer} says ${there}: they are ${span} apart, one of the two is ` +
        `wrong; compare with a clock that you trust, and if it is this device's, ${HOW_TO_SET}`
      )
  }
}
