import { ledgerError } from '../ports/errors.ts'
import type { Registry } from '../protocol/registry.ts'
import { inForceStill, makeStep, type MadeStep, type Step, type StepParts } from './proven-step.ts'

export interface PathParts extends StepParts {
  /** The newest header that light clients may trust: the last final one; -1 if there is none. */
  readonly anchorHeight: () => number
}

/**
 * The steps by which trust reaches the block of height `to` from the registry after the block of `from` (null: from that of
 * the genesis), the last one being `to` itself; each goes as far as can be proven. So a change of who decides that nobody
 * who checks has to know is left out: one handover is enough until too many have changed.
 */
export async function* walkTrust(parts: PathParts, from: number | null, to: number): AsyncGenerator<Step> {
  const { chain } = parts
  const guarded = await chain.guardedHeights(from ?? -1, to - 1)
  for (let at = from ?? -1; at < to;) {
    const trusted = await chain.registryBefore(at + 1)
    // A change that is not final is never passed over: what is above it is not final either.
    const unfinal = guarded.find((height) => height > Math.max(at, parts.anchorHeight())) ?? to
    const heights = [...guarded.filter((height) => height > at), to].filter((height) => height <= unfinal)
    const step = await farthestStep(parts, trusted, heights)
    yield step
    at = step.header.height
  }
}

/** The step to the last of these ascending heights that is tried and can be proven; to the first, if no other can. */
async function farthestStep(parts: StepParts, trusted: Registry, heights: readonly number[]): Promise<Step> {
  const { chain } = parts
  const isInForce = inForceStill(trusted)
  const passed = await chain.registryBefore(heights[0] ?? 0)
  const end = await lastWhere(heights.length, async (at) => isInForce(await chain.registryBefore(heights[at] ?? 0)))
  for (const at of downFrom(end)) {
    const height = heights[at] ?? 0
    const made: MadeStep | undefined = await makeStep(parts, { trusted, passed }, height)
    if (made !== undefined && (made.isProven || at === 0)) return made.step
  }
  const place = `chain store, block ${heights[0]}`
  throw ledgerError('corrupt', { place, expected: 'the seal of an authority of the registry before', found: 'another' })
}

/** The last index below `length` of which a test holds that holds for the first ones only; 0 if it never does. */
async function lastWhere(length: number, holds: (index: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [0, length - 1]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (await holds(middle)) low = middle
    else high = middle - 1
  }
  return low
}

/** `end`, then below it by gaps that double, and 0 at last: few tries, however many there are. */
function* downFrom(end: number): Generator<number> {
  for (let at = end, gap = 1; at > 0; at -= gap, gap *= 2) yield at
  yield 0
}
