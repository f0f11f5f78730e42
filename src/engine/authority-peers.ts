import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { parseCanonicalBytes } from '../protocol/canonical-json.ts'
import { hashHeader, sealedHeaderShape } from '../protocol/header.ts'
import { REQUEST_VALIDITY_MS } from '../protocol/limits.ts'
import { merkleProof } from '../protocol/merkle.ts'
import {
  anchorParams,
  registryParams,
  headersParams,
  historyParams,
  proofParams,
  receiptParams,
  receiptPath,
  tradesParams,
  tradesPath,
  votesParams,
  voteParams,
} from '../protocol/messages.ts'
import { verifyCredential, type Credential } from '../protocol/request.ts'
import { hashTransaction } from '../protocol/transaction.ts'
import { voteShape } from '../protocol/vote.ts'
import { buildAnchor, type AckSource } from './anchor-builder.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import { judge } from './gossip-rules.ts'
import { isParty } from './parties.ts'
import type { VoteCounter } from './vote-counter.ts'

export interface AuthorityPeersParts {
  readonly chain: Chain
  readonly ledger: Ledger
  readonly votes: VoteCounter
  readonly finalizer: Finalizer
  readonly acks: AckSource
  readonly gossip: Gossip
  readonly requests: PeerRequests
  /** The role of a bearer token; `undefined` for any other text. */
  readonly roleOfToken: (token: string) => string | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** Answers the libp2p requests of docs/protocol.md 8 and takes votes from gossip. */
export function serveAuthorityPeers(parts: AuthorityPeersParts): void {
  serveChain(parts)
  serveVotes(parts)
  serveTrades(parts)
  serveReceipts(parts)
}

function serveChain({ chain, finalizer, acks, requests }: AuthorityPeersParts): void {
  requests.serve('genesis', () => Promise.resolve({ genesis: chain.genesis }))
  requests.serve('status', () => {
    const { tip } = chain
    const at = tip === null ? null : { height: tip.header.height, header_hash: tip.hash }
    const final_height = finalizer.finalHeight < 0 ? null : finalizer.finalHeight
    return Promise.resolve({ mode: 'authority', chain_id: chain.chainId, tip: at, final_height })
  })
  requests.serve('headers', async (params) => {
    const { from_height, count } = headersParams(params, 'headers')
    const stored = await chain.headers(from_height, count)
    return { headers: stored.map(({ header, signature }) => ({ header, signature })) }
  })
  requests.serve('proof', async (params) => {
    const { at_height, ...by } = proofParams(params, 'proof')
    return await chain.transactionProof(by, at_height)
  })
  requests.serve('history', async (params) => {
    const asked = historyParams(params, 'history')
    return asked.type === 'inclusion'
      ? await chain.inclusion(asked.height, asked.size)
      : await chain.consistency(asked.from, asked.to)
  })
  const anchors = { chain, acks, anchorHeight: () => finalizer.finalHeight }
  requests.serve('anchor', async (params) => await buildAnchor(anchors, anchorParams(params, 'anchor')))
  requests.serve('registry', (params) => {
    const { at_height, ...by } = registryParams(params, 'registry')
    if (at_height !== null && at_height >= chain.size) {
      throw ledgerError('out_of_range', { what: 'at_height', value: at_height, limit: chain.size })
    }
    const height = at_height ?? chain.size - 1
    const registry = chain.registryBefore(height + 1)
    const entry =
      'id' in by ? registry.entry(by.id) : registry.entries.find((known) => known.public_key === by.public_key)
    const proven = entry === undefined ? null : { entry, registry_proof: registry.proof(entry) }
    return Promise.resolve({ height, entry: proven })
  })
}

function serveVotes({ chain, ledger, votes, gossip, requests, logger }: AuthorityPeersParts): void {
  requests.serve('votes', async (params) => ({ votes: await ledger.votes(votesParams(params, 'votes').header_hash) }))
  requests.serve('vote', async (params) => {
    const { header_hash, status } = await ledger.castVote(voteParams(params, 'vote').vote)
    return { header_hash, status }
  })
  const fault = (error: unknown) => logger.error({ error }, 'a gossiped message could not be handled')
  gossip.subscribe('votes', (payload) =>
    judge(async () => {
      const vote = voteShape(parseCanonicalBytes(payload), 'vote')
      const { outcome } = await votes.cast(vote)
      return outcome === 'stored' ? 'accept' : 'ignore'
    }, fault),
  )
  gossip.subscribe('headers', (payload) =>
    judge(() => {
      const sealed = sealedHeaderShape(parseCanonicalBytes(payload), 'header')
      if (sealed.header.chain_id !== chain.chainId) {
        throw ledgerError('wrong_chain', { chain_id: sealed.header.chain_id, expected: chain.chainId })
      }
      const known = chain.tip?.hash === hashHeader(sealed.header)
      if (!known && sealed.header.height >= chain.size) {
        const { height, miner_id } = sealed.header
        logger.warn({ height, miner_id }, `a header of height ${height} arrived that this authority has not sealed`)
      }
      return Promise.resolve(known ? 'accept' : 'ignore')
    }, fault),
  )
}

function serveTrades({ chain, ledger, requests, clock }: AuthorityPeersParts): void {
  requests.serve('trades', async (params) => {
    const { height, credential } = tradesParams(params, 'trades')
    await checkCredential(credential, tradesPath(height), chain.chainId, ledger, clock.now())
    const user = ledger.userOf(credential.voter_id)
    const { transactions } = await chain.blockAt(height)
    const hashes = transactions.map(hashTransaction)
    const own = await Promise.all(transactions.map((transaction) => isParty(chain, transaction, user)))
    const trades = transactions.flatMap((transaction, index) =>
      own[index] === true ? [{ transaction, merkle_proof: merkleProof(hashes, index) }] : [],
    )
    return { trades }
  })
}

function serveReceipts({ chain, ledger, requests, clock, roleOfToken }: AuthorityPeersParts): void {
  requests.serve('receipt', async (params) => {
    const { tx_id, credential, token } = receiptParams(params, 'receipt')
    if (credential === undefined) {
      if (RECEIPT_ROLES.includes(roleOfToken(token ?? ''))) return await ledger.receipt(tx_id)
      throw ledgerError('forbidden', { reason: 'a receipt goes to the parties of its trade, platform and auditor' })
    }
    await checkCredential(credential, receiptPath(tx_id), chain.chainId, ledger, clock.now())
    return await ledger.receipt(tx_id, ledger.userOf(credential.voter_id))
  })
}

/** As over HTTP. */
const RECEIPT_ROLES: readonly (string | undefined)[] = ['platform', 'auditor']

/** A signed request: the path that is asked for, a registered key, fresh, and never used before. */
async function checkCredential(
  credential: Credential,
  path: string,
  chainId: string,
  ledger: Ledger,
  now: number,
): Promise<void> {
  const { voter_id, id, timestamp } = credential
  if (credential.path !== path || credential.method !== 'P2P') {
    throw ledgerError('forbidden', {
      reason: `the credential is for ${credential.method} ${credential.path}, not for ${path}`,
    })
  }
  const entry = ledger.activeEntry(voter_id)
  if (entry === undefined) throw ledgerError('unknown_voter', { voter_id, reason: 'not registered as active' })
  const verdict = verifyCredential(credential, chainId, entry.public_key, now)
  if (!verdict.ok) throw ledgerError('forbidden', { reason: verdict.reason })
  if (!(await ledger.rememberRequest(id, timestamp + 2 * REQUEST_VALIDITY_MS))) {
    throw ledgerError('forbidden', { reason: `the request ${id} was used before` })
  }
}
