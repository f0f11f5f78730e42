import type { Hash, Hex } from './bytes.ts'
import { invalid, VALID, type Verdict } from './errors.ts'
import type { Finality, Role } from './genesis.ts'
import type { Registry } from './registry.ts'
import type { RegistryTransaction } from './registry-transaction.ts'

/**
 * When a block is final, and what a validator may ack (docs/protocol.md 5). Pure: the same chain and the same acks give
 * the same answer on every node, and more acks never make less final.
 */

/** One chain as a node sees it, from its genesis to one tip. Branches are views of their own. */
export interface ChainView {
  /** Height of the last final block; -1 if there is none. */
  readonly finalHeight: number
  /** Height of the last block; -1 if there is none. */
  readonly tipHeight: number
  /** The registry after height - 1: the policy in force at `height`, and who votes on it. The same object while unchanged. */
  registryBefore(height: number): Registry
  /** True if the block changes the policy, an authority or a validator: `changesGuard` of its transactions. */
  isGuarded(height: number): boolean
  /**
   * Greatest height of a header of THIS chain that was acked with each key, by public key. Acks for which
   * `verifyVote` holds, which makes sure that the key was its voter's active one before that height. A key is
   * registered once, ever, so what was acked with it counts where it was in force, and nowhere else: that is
   * what a proof can show. An ack of a header of another branch may count as one of the header where that
   * branch leaves this chain.
   */
  readonly ackHeights: AckHeights
}

/** Greatest acked height by public key. */
export type AckHeights = ReadonlyMap<Hex, number>

/** Notes an ack of `voterId` at `height`, with the key that it had by the registry before that height. */
export function noteAck(heights: Map<Hex, number>, voterId: string, height: number, registryBefore: Registry): void {
  const key = registryBefore.active(voterId)?.public_key
  if (key !== undefined) heights.set(key, Math.max(heights.get(key) ?? -1, height))
}

/**
 * Active holders of `role` in this registry that have acked, each with the greatest height that it acked with the key that it
 * has there. Takes O(log n) for each key that has acked, however many are registered.
 */
export function ackersOf(
  registry: Registry,
  role: Role,
  ackHeights: AckHeights,
): readonly { readonly id: string; readonly acked: number }[] {
  return [...ackHeights].flatMap(([key, acked]) => {
    const holder = registry.holder(key)
    return holder?.status === 'active' && holder.role === role ? [{ id: holder.id, acked }] : []
  })
}

/** The role whose acks a policy counts; `undefined` under `authority`, where votes decide nothing. */
export function countedRole(finality: Finality): Role | undefined {
  switch (finality.policy) {
    case 'authority':
      return undefined
    case 'votes':
      return 'voter'
    case 'validators':
      return 'validator'
  }
}

/** Acks that a block needs under this policy; 0 under `authority`. */
export const requiredVotes = (finality: Finality): number => (finality.policy === 'authority' ? 0 : finality.threshold)

/**
 * Number of distinct voters that count for the block at `height`: active before it in the role that the
 * policy in force at it counts, with an ack of it or of a descendant by the key that they had there. 0 under
 * policy `authority`.
 */
export const weightAt = (view: ChainView, height: number): number =>
  ackCounter(view.ackHeights)(height, view.registryBefore(height))

/**
 * Height up to which the chain is final now; never below `view.finalHeight`. "Quorum at h, by the policy and registry in
 * force at h, finalizes h and all its ancestors; but a block that changes the policy, an authority or a validator must
 * first reach the quorum in force at it (acks on descendants count), else nothing above it becomes final."
 *
 * Takes O(acked blocks that are not final + voters), and once more the voters for each change of the registry between.
 */
export function newFinalHeight(view: ChainView): number {
  const count = createFinalityCount(view)
  for (let height = view.finalHeight + 1; height <= view.tipHeight; height++) {
    if (!count.take(height, view.registryBefore(height), view.isGuarded(height))) break
  }
  return count.finalHeight
}

/** `newFinalHeight`, a block at a time, for who has to read who votes on each. */
export interface FinalityCount {
  /** As far as the blocks that were taken say. */
  readonly finalHeight: number
  /** Takes the next block, from that after `finalHeight` on. False: nothing above it can be final. */
  take(height: number, registryBefore: Registry, isGuarded: boolean): boolean
}

export function createFinalityCount(view: Pick<ChainView, 'finalHeight' | 'ackHeights'>): FinalityCount {
  const weight = ackCounter(view.ackHeights)
  let highestAck = -1
  for (const acked of view.ackHeights.values()) highestAck = Math.max(highestAck, acked)
  let { finalHeight } = view
  return {
    get finalHeight() {
      return finalHeight
    },
    take(height, before, isGuarded) {
      const isQuorate = weight(height, before) >= requiredVotes(before.finality)
      if (isQuorate) finalHeight = height
      // Where no ack reaches, nothing above is quorate either: back to `authority` leads only a guarded block, unacked too.
      return isQuorate || !(height > highestAck || isGuarded)
    },
  }
}

/** `weightAt` for ascending heights: voters are looked up once for each registry, then they drop out as heights pass them. */
function ackCounter(ackHeights: AckHeights): (height: number, before: Registry) => number {
  let registry: Registry | undefined
  let counted = 0
  let next = 0
  let lastAcks = new Map<number, number>()

  function lookUp(height: number, before: Registry): void {
    registry = before
    counted = 0
    next = height
    lastAcks = new Map()
    const role = countedRole(before.finality)
    if (role === undefined) return
    for (const { acked } of ackersOf(before, role, ackHeights)) {
      if (acked < height) continue
      counted += 1
      lastAcks.set(acked, (lastAcks.get(acked) ?? 0) + 1)
    }
  }

  return (height, before) => {
    if (before !== registry) lookUp(height, before)
    for (; next < height; next++) counted -= lastAcks.get(next) ?? 0
    return counted
  }
}

/**
 * True if a block with these registry transactions is guarded: it changes the policy, an authority or a validator.
 *
 * @param registryBefore the registry before the block
 */
export function changesGuard(transactions: readonly RegistryTransaction[], registryBefore: Registry): boolean {
  return transactions.some((tx) => {
    if (tx.action === 'policy') return true
    // An id that the same block enrols is not there yet; its enrolment tells.
    const role = tx.action === 'enrol' ? tx.role : registryBefore.entry(tx.subject_id)?.role
    return role === 'authority' || role === 'validator'
  })
}

/** A block by its header hash and height. */
export interface BlockPoint {
  readonly hash: Hash
  readonly height: number
}

/** What a voter knows when it is asked to ack `header`. */
export interface AckFacts {
  readonly header: BlockPoint
  /** The header of its newest ack, read from durable storage; `null` only if it is known that there never was one. */
  readonly lastAck: BlockPoint | null
  /** The header that it acked at this height; `null` if none. */
  readonly ackedAtHeight: Hash | null
  /** The last final header; `null` if there is none. */
  readonly lastFinal: BlockPoint | null
  /**
   * The lowest guarded block, the header itself included, on the way from the genesis to the header that this
   * validator's operator has not allowed, final or not. `null` if there is none, and for voters of other roles.
   */
  readonly unallowedChange: BlockPoint | null
  /** Header hash at `height` on the chain that ends in `point`; `undefined` above it, and for what this node does not know. */
  readonly hashAt: (point: BlockPoint, height: number) => Hash | undefined
}

export type AckCode =
  'already_acked' | 'acked_another' | 'change_not_allowed' | 'conflicts_with_final' | 'does_not_extend'

/**
 * Whether a voter may sign an ack of a header whose seal, link and own trades it has checked. It guarantees
 * a) one ack a height (`already_acked`: the stored vote is sent again; `acked_another`),
 * b) no set change that the operator has not allowed, nor a descendant of one (`change_not_allowed`),
 * c) no header beside the chain of the last final one (`conflicts_with_final`),
 * d) that it extends the last ack, unless a header that conflicts with that ack is final (`does_not_extend`).
 *
 * Finality is safe because of b) and d); a) keeps an honest voter, when d) sets it free, from making evidence against
 * itself. What this node does not know never sets it free.
 */
export function mayAck(facts: AckFacts): Verdict<AckCode> {
  const { header, lastAck, ackedAtHeight, lastFinal, unallowedChange, hashAt } = facts
  const name = `header ${header.hash} at height ${header.height}`
  if (ackedAtHeight === header.hash) return invalid('already_acked', `${name} is acked already`)
  if (ackedAtHeight !== null) return invalid('acked_another', `${ackedAtHeight} is acked at height ${header.height}`)
  if (unallowedChange !== null) {
    const { hash, height } = unallowedChange
    return invalid('change_not_allowed', `the change of block ${hash} at height ${height} is not allowed`)
  }
  if (lastFinal !== null && !isOnOneChain(header, lastFinal, hashAt)) {
    return invalid('conflicts_with_final', `${name} is not on the chain of the final ${lastFinal.hash}`)
  }
  if (lastAck === null) return VALID
  const extendsAck = header.height > lastAck.height && hashAt(header, lastAck.height) === lastAck.hash
  if (extendsAck || (lastFinal !== null && isInConflict(lastAck, lastFinal, hashAt))) return VALID
  return invalid('does_not_extend', `${name} does not extend the last ack ${lastAck.hash} at height ${lastAck.height}`)
}

/** Hashes of two chains at the height of the lower tip. */
function hashesBelow(a: BlockPoint, b: BlockPoint, hashAt: AckFacts['hashAt']): readonly (Hash | undefined)[] {
  const height = Math.min(a.height, b.height)
  return [a, b].map((point) => (point.height === height ? point.hash : hashAt(point, height)))
}

/** True if it is known that one of the two is the other or its ancestor. */
function isOnOneChain(a: BlockPoint, b: BlockPoint, hashAt: AckFacts['hashAt']): boolean {
  const [left, right] = hashesBelow(a, b, hashAt)
  return left !== undefined && left === right
}

/** True if it is known that neither of the two is the other or its ancestor. */
function isInConflict(a: BlockPoint, b: BlockPoint, hashAt: AckFacts['hashAt']): boolean {
  const [left, right] = hashesBelow(a, b, hashAt)
  return left !== undefined && right !== undefined && left !== right
}
