import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { count } from '../protocol/count-words.ts'
import { hashHeader, verifySeal, type SealedHeader } from '../protocol/header.ts'
import { stateRoot, verifyAdvance, type LightContext, type TrustedState } from '../protocol/light-verify.ts'
import { anchorAnswer, headersAnswer, type StatusAnswer } from '../protocol/messages.ts'
import { refusePeer, type OnAlarm } from './light-conflicts.ts'
import { heightOf, type LightPlace } from './light-place.ts'

export interface LightProofsParts {
  readonly requests: PeerRequests
  readonly logger: Logger
  readonly windowSize: number
  readonly onAlarm: OnAlarm
  readonly context: () => LightContext
}

/** What a step took and whether the peer has more proofs to show. */
export interface Moved {
  /** Size of the answers, canonical bytes. */
  readonly bytes: number
  readonly hasMore: boolean
}

export const NOT_MOVED: Moved = { bytes: 0, hasMore: false }

/**
 * One answer of `anchor`, if the peer has newer final headers; `hasMore`: it has led to a header on the way, and the next goes
 * on from there. Throws `peer_refused`, `peer_unreachable`.
 */
export async function moveByProof(
  place: LightPlace,
  parts: LightProofsParts,
  peer: string,
  { final_height }: Pick<StatusAnswer, 'final_height'>,
): Promise<Moved> {
  const { requests, logger, onAlarm } = parts
  const { trusted, window } = place
  if ((final_height ?? -1) <= heightOf(trusted)) return NOT_MOVED
  const from_height = trusted.anchor === null ? null : heightOf(trusted)
  const answer = anchorAnswer(await requests.request(peer, 'anchor', { from_height }), 'anchor')
  const result = verifyAdvance(trusted, answer, parts.context())
  if (!result.ok) return refusePeer(onAlarm, peer, result.code, result.reason)
  const hasMore = answer.more === true
  const { state } = result
  let bytes = canonicalText(answer).length
  if (place.holds(state.anchor_hash)) {
    await place.keep({ trusted: state, head: headWith(place.head, state), window })
    return { bytes, hasMore }
  }
  const tip: SealedHeader = { header: answer.header, signature: answer.signature }
  if (hasMore) {
    await place.keep({ trusted: state, head: state, window: [tip] })
    return { bytes, hasMore }
  }
  const behind = await headersBehind(parts, peer, tip, state.sealers)
  await place.move({ trusted: state, head: state, window: [...behind, tip] }, 'proved')
  bytes += behind.length === 0 ? 0 : canonicalText({ headers: behind }).length
  const skipped = answer.header.height - (from_height ?? -1)
  logger.info(
    { peer, from_height, to_height: place.height, bytes },
    `caught up ${count(skipped, 'block')} by proofs, ${bytes} bytes`,
  )
  return { bytes, hasMore }
}

/** A head on the chain that is trusted now stays, with what is known of registry and policy since. */
function headWith(head: TrustedState, state: TrustedState): TrustedState {
  if (state.anchor_hash === head.anchor_hash) return state
  const { registry_root, policy, sealers } = state
  return stateRoot(head) === registry_root ? { ...head, registry_root, policy, sealers } : head
}

/**
 * The headers that fill the window behind a trusted tip; their links lead back from it, so no other header fits. One
 * whose seal cannot be checked, because another key sealed then, is not kept: this node could not vouch for it to others.
 */
async function headersBehind(
  { requests, windowSize, onAlarm }: LightProofsParts,
  peer: string,
  tip: SealedHeader,
  sealers: TrustedState['sealers'],
): Promise<readonly SealedHeader[]> {
  const wanted = Math.min(windowSize - 1, tip.header.height)
  if (wanted === 0) return []
  const asked = { from_height: tip.header.height - wanted, count: wanted }
  const { headers } = headersAnswer(await requests.request(peer, 'headers', asked), 'headers')
  if (headers.length !== wanted) {
    return refusePeer(onAlarm, peer, 'wrong_height', `${headers.length} headers instead of ${wanted}`)
  }
  const kept: SealedHeader[] = []
  let expected = tip.header.prev_hash
  for (const sealed of headers.toReversed()) {
    if (hashHeader(sealed.header) !== expected) {
      const reason = `header ${sealed.header.height} is not the parent of the next`
      return refusePeer(onAlarm, peer, 'wrong_parent', reason)
    }
    const sealer = sealers.find((entry) => entry.id === sealed.header.miner_id)
    if (sealer === undefined || !verifySeal(sealed, sealer.public_key).ok) break
    kept.unshift(sealed)
    expected = sealed.header.prev_hash
  }
  return kept
}
