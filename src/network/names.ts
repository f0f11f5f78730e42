import type { Hash } from '../protocol/bytes.ts'
import type { GossipTopic } from '../ports/gossip.ts'
import type { RequestName } from '../ports/peer-requests.ts'
import { ledgerError } from '../ports/errors.ts'

/** Names on the wire (docs/protocol.md 8). `<c>`, the first 16 hex characters of the chain id, keeps chains apart. */
const PREFIX = '/solar-node/1'
const CHAIN_PREFIX_LENGTH = 16

export const GOSSIP_TOPICS: readonly GossipTopic[] = ['headers', 'votes', 'evidence']

export const topicName = (chainId: Hash, topic: GossipTopic): string =>
  `${PREFIX}/${chainId.slice(0, CHAIN_PREFIX_LENGTH)}/${topic}`

/**
 * The libp2p protocol of a request. `genesis` has no chain in it: it is for who does not know the chain yet. Throws
 * `not_ready` for any other name without a chain.
 */
export function protocolName(chainId: Hash | undefined, name: RequestName): string {
  if (name === 'genesis') return `${PREFIX}/genesis`
  if (chainId === undefined)
    throw ledgerError('not_ready', { reason: `${name} needs a chain, only genesis goes without` })
  return `${PREFIX}/${chainId.slice(0, CHAIN_PREFIX_LENGTH)}/${name}`
}
