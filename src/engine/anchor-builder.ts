import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { requiredVotes } from '../protocol/finality.ts'
import { MAX_HANDOVERS_PER_ANSWER, MAX_RESPONSE_BYTES } from '../protocol/limits.ts'
import type { AnchorAnswer, Handover } from '../protocol/messages.ts'
import type { Target } from '../protocol/target.ts'
import type { Chain } from './chain.ts'
import { hasQuorum, type Step } from './proven-step.ts'
import { walkTrust, type PathParts } from './trust-path.ts'

interface AnchorQuestion {
  readonly from_height: number | null
}

/** Where a path ends, if it has not reached its end before: but the first step is always there. */
export interface PathLimits {
  readonly maxSteps: number
  /** Canonical bytes of the steps. */
  readonly maxBytes: number
  /** True once there is no time for another step. */
  readonly isLate?: () => boolean
}

export interface AnchorParts extends PathParts {
  readonly clock: Pick<Clock, 'now'>
}

/** An answer takes no more steps after this long: whoever asks waits 10 s, and goes on with the next page. */
const ANSWER_MS = 2_000

/** What an answer has besides the steps: a history path of up to 64 hashes for each of them, and three more paths. */
const REST_BYTES = (MAX_HANDOVERS_PER_ANSWER + 3) * 64 * 67
const ANSWER_LIMITS: PathLimits = {
  maxSteps: MAX_HANDOVERS_PER_ANSWER + 1,
  maxBytes: MAX_RESPONSE_BYTES - REST_BYTES,
}

/**
 * Builds what moves a light client from the header that it trusts towards the newest final one (docs/protocol.md 7); verified
 * by protocol/light-verify. Where one answer cannot have all the handovers it leads to a header on the way, and says `more`;
 * so it does where the votes that are here prove no more. What is given out verifies: nobody is to take this node for a liar
 * because votes were lost. Throws `not_ready` on a chain without a final block and where the votes prove nothing newer,
 * `out_of_range` if there is nothing newer.
 */
export async function buildAnchor(parts: AnchorParts, asked: AnchorQuestion): Promise<AnchorAnswer> {
  const { chain, clock } = parts
  const newest = parts.anchorHeight()
  if (newest < 0) throw ledgerError('not_ready', { reason: 'the chain has no final block yet' })
  const { from_height: from } = asked
  if (from !== null && from >= newest)
    throw ledgerError('out_of_range', { what: 'from_height', value: from, limit: newest })
  const end = clock.now() + ANSWER_MS
  const limits = { ...ANSWER_LIMITS, isLate: () => clock.now() >= end }
  const steps = await takeSteps(walkTrust(parts, from, newest), limits)
  return await anchorOver(chain, { from, newest }, provenSteps(steps))
}

/** The answer that these steps make, from a trusted height towards the newest final one. */
export async function anchorOver(
  chain: Chain,
  { from, newest }: { readonly from: number | null; readonly newest: number },
  steps: readonly Step[],
): Promise<AnchorAnswer> {
  const target = await targetOf(chain, steps)
  const { height } = target.header
  return {
    ...target,
    ...(height < newest && { more: true }),
    consistency: from === null || from === 0 ? null : await chain.consistency(from, height),
    inclusion: from === null ? null : await chain.inclusion(from, height),
    frontier: await chain.frontier(height),
  }
}

/** The first steps, up to one whose quorum the votes of this node do not show. Throws `not_ready` if that is the first one. */
function provenSteps(steps: readonly Step[]): readonly Step[] {
  const open = steps.find((step) => !hasQuorum(step))
  if (open === undefined) return steps
  if (open !== steps[0]) return steps.slice(0, steps.indexOf(open))
  const { header, votes, policy } = open
  const needed = requiredVotes(policy.finality)
  const reason = `this node can show ${votes.length} of the ${needed} acks that prove block ${header.height} final`
  throw ledgerError('not_ready', { reason })
}

/** The first steps of a path, as far as the limits allow. */
export async function takeSteps(
  path: AsyncIterable<Step>,
  { maxSteps, maxBytes, isLate = () => false }: PathLimits,
): Promise<readonly Step[]> {
  const steps: Step[] = []
  let bytes = 0
  for await (const step of path) {
    bytes += canonicalText(step).length
    if (steps.length > 0 && bytes > maxBytes) break
    steps.push(step)
    if (steps.length === maxSteps || isLate()) break
  }
  return steps
}

/** What leads to the last of these steps: the others are its handovers. Verified by protocol/target. */
export async function targetOf(chain: Chain, steps: readonly Step[]): Promise<Target> {
  const last = steps.at(-1)
  if (last === undefined) throw new Error('a path has at least one step')
  const { recovery, header, signature, parent_header, ...proof } = last
  const handovers = await Promise.all(
    steps.slice(0, -1).map(async (step) => handoverOf(step, await chain.inclusion(step.header.height, header.height))),
  )
  // Its key is proven by the recovery in it; its votes are those of the target.
  if (recovery !== undefined) handovers.push({ ...handoverOf(last, null), votes: [] })
  return { header, signature, parent_header, handovers, ...proof }
}

function handoverOf({ parent_header, ...step }: Step, history_proof: Handover['history_proof']): Handover {
  return { ...step, history_proof, ...(parent_header !== null && { parent_header }) }
}
