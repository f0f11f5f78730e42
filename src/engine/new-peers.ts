import type { Clock } from '../ports/clock.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'

/** By then gossip knows of a new connection. */
const SETTLE_MS = 1_500

/**
 * Calls `sync` when a peer connects and once more a little later: a block sealed while this node's subscription was on its way
 * is not gossiped to it. Gives back how to end it.
 */
export function syncWithNewPeers(
  requests: Pick<PeerRequests, 'onConnect'>,
  clock: Clock,
  sync: (peer: string) => void,
): () => void {
  const settling = new Map<string, () => void>()
  const stopListening = requests.onConnect((peer) => {
    sync(peer)
    settling.get(peer)?.()
    const cancel = clock.after(SETTLE_MS, () => {
      settling.delete(peer)
      sync(peer)
    })
    settling.set(peer, cancel)
  })
  return () => {
    stopListening()
    for (const cancel of settling.values()) cancel()
  }
}
