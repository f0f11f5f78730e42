import type { Hash } from './bytes.ts'
import { firstFailure, invalid, type Failure, type Verdict } from './errors.ts'
import { verifyHandover, verifyOwnHandover, type ChainContext } from './handover.ts'
import { verifySeal, type Header } from './header.ts'
import { requiredVotes } from './finality.ts'
import type { AnchorAnswer, Handover } from './messages.ts'
import { verifyHolder, verifyRegisteredAs, type HandoverCode } from './proven-entry.ts'
import { countAcks, rootsAt, verifyPolicy } from './quorum.ts'

/**
 * How trust reaches a later header (docs/protocol.md 4 and 7), alike for light clients and for receipts: the handovers up
 * to it in order, its seal under the last root, and the acks that make it final.
 */
export type Target = Pick<
  AnchorAnswer,
  | 'header'
  | 'signature'
  | 'parent_header'
  | 'handovers'
  | 'entry'
  | 'registry_proof'
  | 'policy'
  | 'policy_proof'
  | 'parent_policy_proof'
  | 'votes'
>

/** The registry root that is trusted, and the height of the handover that it comes from; null for the genesis. */
export interface TrustedRoot {
  readonly root: Hash
  readonly height: number | null
}

/** The handovers below a target, in order: the root to trust there. */
export function followHandovers(
  from: TrustedRoot,
  handovers: readonly Handover[],
  target: Header,
  context: ChainContext,
): ({ readonly ok: true } & TrustedRoot) | Failure<HandoverCode> {
  let { root } = from
  let height = from.height ?? -1
  for (const handover of handovers.filter((c) => c.header.height < target.height)) {
    if (handover.header.height <= height) return { ok: false, code: 'wrong_height', reason: 'handovers out of order' }
    const verdict = verifyHandover(handover, root, target, context)
    if (!verdict.ok) return { ...verdict, reason: `handover at ${handover.header.height}: ${verdict.reason}` }
    root = handover.header.registry_root
    height = handover.header.height
  }
  return { ok: true, root, height: height < 0 ? null : height }
}

/** The handover that a target itself is; `undefined` if it changes no authority, validator or policy. */
export const ownHandover = ({ handovers, header }: Pick<Target, 'handovers' | 'header'>): Handover | undefined =>
  handovers.find((c) => c.header.height >= header.height)

/** Checks the seal of a target under the root trusted before it: as a handover, where it is one. */
export function verifyTargetSeal(target: Target, root: Hash, context: ChainContext): Verdict<HandoverCode> {
  const { header, signature, entry, registry_proof } = target
  const own = ownHandover(target)
  if (own === undefined) {
    return firstFailure<HandoverCode>(
      () => verifyHolder(entry, registry_proof, root, header.miner_id, 'authority'),
      () => verifySeal(target, entry.public_key),
    )
  }
  // It is sealed by the handover's rules; what stands beside it must say the same.
  if (own.signature !== signature || target.handovers.at(-1) !== own) {
    return invalid('bad_seal', `the handover at ${own.header.height} is not the seal of block ${header.height}`)
  }
  return firstFailure<HandoverCode>(
    () => verifyRegisteredAs(entry, registry_proof, root, header.miner_id),
    () => verifyOwnHandover(own, root, header, context),
  )
}

/** Distinct acks of a target, and how many the policy in force asks for (0 under `authority`). */
export interface TargetAcks {
  readonly ok: true
  readonly acks: number
  readonly required: number
}

/** Checks the policy in force at a target and each vote that came along, under `root` and the header before. */
export function countTargetAcks(target: Target, root: Hash, chainId: Hash): TargetAcks | Failure<HandoverCode> {
  const { header, parent_header, policy, votes } = target
  const roots = rootsAt(root, parent_header)
  const proven = verifyPolicy(target, roots)
  if (!proven.ok) return proven
  const { finality } = policy
  if (finality.policy === 'authority') return { ok: true, acks: 0, required: 0 }
  const counted = countAcks(finality, header, votes, roots, chainId)
  return counted.ok ? { ok: true, acks: counted.acks, required: requiredVotes(finality) } : counted
}
