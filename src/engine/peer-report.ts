import { isSolarError } from '../protocol/errors.ts'
import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { chainIdOf, decodeGenesis } from '../protocol/genesis.ts'
import { genesisAnswer, type StatusAnswer } from '../protocol/messages.ts'

/** How a peer turned out when it was asked, for who tells people of it. */
export type PeerReport = { readonly peer: string } & (
  | { readonly outcome: 'synced'; readonly mode: StatusAnswer['mode'] }
  | { readonly outcome: 'failed'; readonly error: unknown }
)
export type OnPeer = (report: PeerReport) => void

/**
 * Why a connected peer does not answer: `wrong_chain` if it has another one, whose requests have other names. Any other failure
 * is given back as it is. Never rejects.
 */
export async function explainFailure(
  requests: PeerRequests,
  peer: string,
  chainId: Hash,
  failure: unknown,
): Promise<unknown> {
  if (!isSolarError(failure, 'peer_unreachable') || !requests.peers().includes(peer)) return failure
  try {
    const chain_id = chainIdOf(decodeGenesis(genesisAnswer(await requests.request(peer, 'genesis', {}))))
    return chain_id === chainId ? failure : ledgerError('wrong_chain', { chain_id, expected: chainId })
  } catch {
    return failure
  }
}
