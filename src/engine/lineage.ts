import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import { verifyInHistory } from '../protocol/proven-entry.ts'
import { hashHeader } from '../protocol/header.ts'
import { inclusionProofShape } from '../protocol/history.ts'
import { headersAnswer } from '../protocol/messages.ts'
import type { LightFollower } from './light-follower.ts'
import type { AckView } from './voter.ts'

/**
 * What a light node knows of the chain of its head, on which a header that it follows is, and its last final one as well: the
 * headers of its window, and for what is older a proof from a peer that leads to the head. All of one moment: the head that it
 * has when it is asked, although it may move on while peers answer.
 */
export async function lightAckView(
  follower: Pick<LightFollower, 'head' | 'window' | 'trusted'>,
  requests: PeerRequests,
  header: BlockPoint,
  lastAck: BlockPoint | null,
): Promise<AckView> {
  const { head, window, trusted } = follower
  const { anchor, anchor_hash } = trusted
  const lastFinal = anchor === null ? null : { hash: anchor_hash, height: anchor.header.height }
  const onChain = new Map<number, Hash>()
  for (const point of [header, lastAck, lastFinal]) {
    if (point === null || onChain.has(point.height)) continue
    const hash = await hashOnChain(head, window, requests, point.height)
    if (hash !== undefined) onChain.set(point.height, hash)
  }
  return {
    lastFinal,
    // Handovers are proven by those who were trusted before; a household has no operator who allows them.
    unallowedChange: null,
    hashAt(point, height) {
      if (point.height === height) return point.hash
      return height < point.height && onChain.get(point.height) === point.hash ? onChain.get(height) : undefined
    },
  }
}

/** The hash of the header at a height of the head's chain; `undefined` above the head and where nobody proves it. */
async function hashOnChain(
  { anchor: head }: LightFollower['head'],
  window: LightFollower['window'],
  requests: PeerRequests,
  height: number,
): Promise<Hash | undefined> {
  const held = window.find((sealed) => sealed.header.height === height)
  if (held !== undefined) return hashHeader(held.header)
  if (head === null || height >= head.header.height) return undefined
  for (const peer of requests.peers()) {
    try {
      const { headers } = headersAnswer(await requests.request(peer, 'headers', { from_height: height, count: 1 }), '')
      const asked = { type: 'inclusion', height, size: head.header.height }
      const proof = inclusionProofShape(await requests.request(peer, 'history', asked), 'proof')
      const [found] = headers
      if (found?.header.height !== height) continue
      const hash = hashHeader(found.header)
      if (verifyInHistory(hash, height, proof, head.header).ok) return hash
    } catch {
      // The next peer may have it; without a proof it stays unknown, and the voter does not ack.
    }
  }
  return undefined
}
