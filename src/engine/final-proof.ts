import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { invalid, isSolarError, VALID, type Verdict } from '../protocol/errors.ts'
import { hashHeader, type Header, type SealedHeader } from '../protocol/header.ts'
import { inclusionProofShape } from '../protocol/history.ts'
import { trustGenesis, verifyAdvance, type TrustedState } from '../protocol/light-verify.ts'
import { anchorAnswer } from '../protocol/messages.ts'
import { verifyInHistory } from '../protocol/proven-entry.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'

export interface FinalProofParts {
  readonly chain: Chain
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly requests: PeerRequests
  readonly clock: Pick<Clock, 'now'>
}

/** Whether a header is final by votes that were verified here, or why that is not known. Throws `peer_unreachable`. */
export type ProvesFinal = (sealed: SealedHeader) => Promise<Verdict>

/**
 * Asks one peer to prove that blocks are final, as it has to prove it to a light node: what leads from the last final block here
 * to its own with its quorum (`anchor`), asked for once, and the block in the history of that one. That a peer says so proves nothing.
 */
export function provesFinalBy(peer: string, parts: FinalProofParts): ProvesFinal {
  let proven: Promise<Header> | undefined
  return async (sealed) => {
    try {
      proven ??= provenHeader(peer, parts)
      return await verifyBelow(peer, parts.requests, sealed, await proven)
    } catch (error) {
      if (isSolarError(error, 'peer_refused') || isSolarError(error, 'malformed'))
        return invalid(error.code, error.message)
      throw error
    }
  }
}

/** Answers of `anchor` that are asked for; what they lead to is final in any case. */
const MAX_PAGES = 256

/** The newest header that the peer proves to be final. */
async function provenHeader(peer: string, parts: FinalProofParts): Promise<Header> {
  const { chain, finalizer, requests, clock } = parts
  let trusted = await trustedState(chain, finalizer.finalHeight)
  for (let pages = 1; ; pages++) {
    const from_height = trusted.anchor?.header.height ?? null
    const answer = anchorAnswer(await requests.request(peer, 'anchor', { from_height }), 'anchor')
    const context = { genesis: chain.genesis, chainId: chain.chainId, now: clock.now() }
    const advance = verifyAdvance(trusted, answer, context)
    if (!advance.ok)
      throw ledgerError('peer_refused', { peer, request: 'anchor', code: advance.code, reason: advance.reason })
    if (answer.more !== true || pages === MAX_PAGES) return answer.header
    trusted = advance.state
  }
}

/** What this node trusts without asking anybody: its last final block. */
async function trustedState(chain: Chain, finalHeight: number): Promise<TrustedState> {
  const [anchor] = finalHeight < 0 ? [] : await chain.headers(finalHeight, 1)
  if (anchor === undefined) return trustGenesis(chain.genesis, chain.chainId)
  const { header, signature, hash } = anchor
  const registry = await chain.registryBefore(finalHeight + 1)
  return {
    anchor: { header, signature },
    anchor_hash: hash,
    frontier: await chain.frontier(finalHeight),
    registry_root: registry.root,
    policy: registry.policy,
    sealers: registry.activeOf('authority'),
  }
}

async function verifyBelow(
  peer: string,
  requests: PeerRequests,
  { header }: SealedHeader,
  final: Header,
): Promise<Verdict> {
  const hash = hashHeader(header)
  if (hash === hashHeader(final)) return VALID
  const { height } = header
  if (height >= final.height)
    return invalid('no_quorum', `block ${final.height} is the newest that it proves to be final`)
  const asked = { type: 'inclusion', height, size: final.height }
  const proof = inclusionProofShape(await requests.request(peer, 'history', asked), 'history')
  return verifyInHistory(hash, height, proof, final)
}
