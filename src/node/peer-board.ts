import type { PeerReport } from '../engine/peer-report.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { DialEvent } from '../ports/dial.ts'

/** What is known of the addresses that a light node keeps connected, for who tells people of it. */
export interface PeerBoard {
  onDial(event: DialEvent): void
  /** A failure is one that `explainFailure` has looked at. */
  onPeer(report: PeerReport): void
  /** One line for each address that cannot be used, or not yet. */
  faults(): readonly string[]
  /** Every address was tried, and none leads to a node that can be asked. */
  isHopeless(): boolean
}

type Place =
  | { readonly state: 'dialling' | 'lost' }
  | { readonly state: 'failed'; readonly reason: string }
  | { readonly state: 'connected'; readonly peer: string }

export function createPeerBoard(addresses: readonly string[]): PeerBoard {
  const places = new Map<string, Place>(addresses.map((address) => [address, { state: 'dialling' }]))
  /** By peer: why it cannot be followed. */
  const refused = new Map<string, { readonly reason: string; readonly isFinal: boolean }>()

  function faultOf(place: Place): string | undefined {
    switch (place.state) {
      case 'dialling':
        return 'not connected yet'
      case 'lost':
        return 'the connection was lost, dialling again'
      case 'failed':
        return place.reason
      case 'connected':
        return refused.get(place.peer)?.reason
    }
  }

  return {
    onDial(event) {
      const { address, type } = event
      if (type === 'failed') places.set(address, { state: 'failed', reason: event.reason })
      else places.set(address, type === 'lost' ? { state: 'lost' } : { state: 'connected', peer: event.peer })
      if (type !== 'failed') refused.delete(event.peer)
    },
    onPeer(report) {
      if (report.outcome === 'synced') refused.delete(report.peer)
      else refused.set(report.peer, { reason: peerFault(report.error), isFinal: isWrongChain(report.error) })
    },
    faults: () =>
      [...places].flatMap(([address, place]) => {
        const fault = faultOf(place)
        return fault === undefined ? [] : [`${address}: ${fault}`]
      }),
    isHopeless: () =>
      [...places.values()].every(
        (place) =>
          place.state === 'failed' || (place.state === 'connected' && refused.get(place.peer)?.isFinal === true),
      ),
  }
}

const isWrongChain = (error: unknown): boolean => isSolarError(error, 'wrong_chain')

/** Why a connected peer cannot be followed, in one line for people. */
function peerFault(error: unknown): string {
  if (isSolarError(error, 'wrong_chain')) {
    const { chain_id, expected } = error.fields as { readonly chain_id: Hash; readonly expected: Hash }
    return `it is on chain ${chain_id}, this node is pinned to ${expected}: check --chain and --peer`
  }
  if (isSolarError(error, 'peer_refused') || isSolarError(error, 'peer_unreachable')) {
    return (error.fields as { readonly reason: string }).reason
  }
  return error instanceof Error ? error.message : String(error)
}
