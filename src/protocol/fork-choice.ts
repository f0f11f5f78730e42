import type { Hash } from './bytes.ts'
import { ackersOf, countedRole, type ChainView } from './finality.ts'
import type { Finality } from './genesis.ts'

/** A valid chain that a node could follow, by its tip. */
export interface Candidate {
  /** Header hash of the tip. */
  readonly hash: Hash
  readonly height: number
  /** True if the last final header that the node knows is on this chain. */
  readonly containsFinal: boolean
  /** `forkWeight` of the chain. */
  readonly weight: number
  /** Order of arrival on this node: the smaller one was seen first. */
  readonly seen: number
}

/**
 * Ack weight of a branch: the number of distinct voters with an ack on it above the last final block. Those
 * voters count who are active right after the last final block, in the role that the policy in force there
 * counts, with the key that they have there. That registry is one and the same for all candidates: a branch
 * cannot win by enrolling voters of its own.
 */
export function forkWeight(view: Pick<ChainView, 'finalHeight' | 'registryBefore' | 'ackHeights'>): number {
  const registry = view.registryBefore(view.finalHeight + 1)
  const role = countedRole(registry.finality)
  if (role === undefined) return 0
  return ackersOf(registry, role, view.ackHeights).filter(({ acked }) => acked > view.finalHeight).length
}

/**
 * Orders chains that contain the last final header, the one to follow first: "most distinct ack weight; then longest;
 * then lowest hash. Under `authority` the first seen stays" (docs/protocol.md 5). A total order for `Array.sort`.
 *
 * @param finality the policy in force right after the last final block
 */
export function compareCandidates(a: Candidate, b: Candidate, finality: Finality): number {
  if (finality.policy === 'authority') return a.seen - b.seen || compareHashes(a.hash, b.hash)
  return b.weight - a.weight || b.height - a.height || compareHashes(a.hash, b.hash)
}

/**
 * The chain to follow: "only chains containing the last final header", then `compareCandidates`. `undefined` if none
 * contains it: then the node stays on the chain that it has.
 */
export function chooseFork(candidates: readonly Candidate[], finality: Finality): Candidate | undefined {
  return candidates
    .filter((candidate) => candidate.containsFinal)
    .reduce<Candidate | undefined>(
      (best, next) => (best === undefined || compareCandidates(next, best, finality) < 0 ? next : best),
      undefined,
    )
}

const compareHashes = (a: Hash, b: Hash): number => (a === b ? 0 : a < b ? -1 : 1)
