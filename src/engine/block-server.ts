import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { ChainLedger, Ledger } from '../ports/ledger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { REQUEST_VALIDITY_MS } from '../protocol/limits.ts'
import type { Membership } from '../protocol/membership.ts'
import type { MerkleProof } from '../protocol/merkle.ts'
import {
  blockParams,
  blockPath,
  membershipParams,
  MEMBERSHIP_PATH,
  MIN_TRADES_OF_PAGE,
  MIN_TRANSACTIONS_OF_PAGE,
  receiptParams,
  receiptPath,
  tradesParams,
  tradesPath,
} from '../protocol/messages.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import { ITEMS_OF_PIECE } from '../protocol/pieces.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { verifyCredential, type PeerCredential } from '../protocol/request.ts'
import {
  canonicalTransaction,
  hashTransaction,
  leafOf,
  type ShownTransaction,
  type Transaction,
} from '../protocol/transaction.ts'
import { askersOf, type BlockAccessParts } from './block-access.ts'
import type { Chain } from './chain.ts'
import { ownOf } from './parties.ts'
import { createRequestMemory } from './request-memory.ts'

export interface BlockServerParts extends BlockAccessParts {
  readonly ledger: Pick<ChainLedger, 'receipt' | 'activeEntry' | 'userOf'>
  readonly requests: PeerRequests
  readonly clock: Clock
  /** The role of a bearer token of this node; `undefined` for any other text. */
  readonly roleOfToken: (token: string) => Promise<string | undefined>
}

/**
 * A page ends after this many bytes: who makes or reads it is soon free for others. It has as many
 * transactions as a page must have (MIN_TRADES_OF_PAGE, MIN_TRANSACTIONS_OF_PAGE) all the same: with the
 * largest payloads, and proofs, below 2 MiB.
 */
const PAGE_BYTES = 512 * 1024
/** `{"kind":"redacted","tx_hash":"..."}` */
const REDACTED_BYTES = 101

/**
 * Answers `block`, `trades` and `receipt` (docs/protocol.md 8): to who shows a credential, and no more than it may see. Each
 * page is judged by itself, by the registries of that moment (block-access).
 */
export function serveBlocks(parts: BlockServerParts): void {
  const { chain, ledger, requests } = parts
  const check = credentialCheck(parts)
  /** An authority and a validator are nobody's devices: no trade is theirs, and whole blocks are shown to them. */
  const userBehind = async ({ id, role }: RegistryEntry, membership: Membership | undefined) =>
    role === 'voter' ? await ledger.userOf(id, membership) : undefined

  requests.serve('block', async (params, from) => {
    const asked = blockParams(params, 'block')
    const { block_hash, from_index, credential, membership } = asked
    if (credential === undefined) {
      await checkToken(asked.token, parts)
      return await pageOf(block_hash, from_index, chain, undefined)
    }
    const askers = await askersOf(credential.voter_id, block_hash, parts)
    const proven = check(credential, blockPath(block_hash, from_index), { from, to: requests.id }, askers.entries)
    await askers.admit(proven.entry)
    const user = await userBehind(proven.entry, membership)
    await chain.sealedAnywhere(block_hash)
    proven.useUp()
    return await pageOf(block_hash, from_index, chain, user)
  })

  requests.serve('trades', async (params, from) => {
    const { height, from_index = 0, credential, membership } = tradesParams(params, 'trades')
    const askers = await askersOf(credential.voter_id, height, parts)
    const ends = { from, to: requests.id }
    const proven = check(credential, tradesPath(height, from_index), ends, askers.entries)
    await askers.admit(proven.entry)
    const user = await userBehind(proven.entry, membership)
    const { header } = await chain.sealedAt(height)
    proven.useUp()
    return user === undefined ? { trades: [] } : await ownPageOf(header, from_index, chain, user)
  })

  requests.serve('receipt', async (params, from) => {
    const { tx_id, credential, membership, token } = receiptParams(params, 'receipt')
    if (credential === undefined) {
      if (RECEIPT_ROLES.includes(await parts.roleOfToken(token ?? ''))) return await ledger.receipt(tx_id)
      throw ledgerError('forbidden', { reason: 'a receipt goes to the parties of its trade, platform and auditor' })
    }
    const proven = check(credential, receiptPath(tx_id), { from, to: requests.id })
    const user = await ledger.userOf(credential.voter_id, membership)
    proven.useUp()
    return await ledger.receipt(tx_id, user)
  })
}

/** Answers `membership`, where the users of the platform are known. */
export function serveMembership(
  parts: CredentialCheckParts & { readonly ledger: Pick<Ledger, 'activeEntry' | 'membership'> },
): void {
  const { requests } = parts
  const check = credentialCheck(parts)
  requests.serve('membership', async (params, from) => {
    const { credential, membership } = membershipParams(params, 'membership')
    // Who is connected to a node without users alone asks that one, and it passes the request on.
    const isPassedOn = credential.to === from
    const ends = isPassedOn ? { from: credential.from, to: from } : { from, to: requests.id }
    check(credential, MEMBERSHIP_PATH, ends).useUp()
    return { membership: await parts.ledger.membership(credential.voter_id, membership) }
  })
}

/** The transactions of one user from an index of the block on, each with its proof. */
async function ownPageOf(header: Header, from: number, chain: Chain, user: string) {
  checkIndex(from, header)
  const indexes = (await chain.partyIndex(header)).get(user)?.filter((index) => index >= from) ?? []
  const { leaves, tree } = await chain.treeOf(header)
  const trades: { readonly transaction: Transaction; readonly merkle_proof: MerkleProof }[] = []
  let bytes = 0
  for (let start = 0; start < indexes.length; start += ITEMS_OF_PIECE) {
    const places = indexes.slice(start, start + ITEMS_OF_PIECE)
    const part = (await chain.transactionsAt(header.height, places)).map((tx) => tx ?? GONE)
    // Asked anew: what was removed since is nobody's any more.
    const own = await ownOf(chain, part, user)
    for (const [at, index] of places.entries()) {
      const transaction = part[at] ?? GONE
      if (own[at] !== true || transaction.kind === 'redacted') continue
      // Another block may have come in the place of this one.
      if (hashTransaction(transaction) !== leaves[index])
        throw ledgerError('unknown_block', { block_hash: hashHeader(header) })
      const merkle_proof = tree.proof(index)
      bytes += canonicalTransaction(transaction).length + canonicalText(merkle_proof).length
      if (trades.length >= MIN_TRADES_OF_PAGE && bytes > PAGE_BYTES) return { trades, next_index: index }
      trades.push({ transaction, merkle_proof })
    }
  }
  return { trades }
}

const GONE: ShownTransaction = { kind: 'redacted', tx_hash: '' }

function checkIndex(from: number, { tx_count }: Header): void {
  if (from <= tx_count) return
  throw ledgerError('out_of_range', { what: 'from_index', value: from, limit: tx_count })
}

/** As over HTTP. */
const RECEIPT_ROLES: readonly (string | undefined)[] = ['platform', 'auditor']
const BLOCK_ROLES: readonly (string | undefined)[] = ['auditor', 'validator', 'platform', 'operator']

/** Throws `forbidden`. */
async function checkToken(
  token: string | undefined,
  { roleOfToken }: Pick<BlockServerParts, 'roleOfToken'>,
): Promise<void> {
  if (token !== undefined && BLOCK_ROLES.includes(await roleOfToken(token))) return
  const reason = token === undefined ? 'a block needs a credential or a token' : 'the token may not read blocks'
  throw ledgerError('forbidden', { reason })
}

/** @param user whose transactions are shown, `undefined` for all; a change of the registry is nobody's secret */
async function pageOf(hash: Hash, from: number, chain: Chain, user: string | undefined) {
  const { header, signature } = await chain.sealedAnywhere(hash)
  checkIndex(from, header)
  const shown: ShownTransaction[] = []
  let bytes = 0
  for (let isFull = false; !isFull && from + shown.length < header.tx_count;) {
    const part = await chain.transactionsOf(hash, from + shown.length, ITEMS_OF_PIECE)
    if (part.length === 0) throw ledgerError('unknown_block', { block_hash: hash })
    const own = user === undefined ? undefined : await ownOf(chain, part, user)
    for (const [at, tx] of part.entries()) {
      const isShown = own === undefined || tx.kind === 'registry' || own[at] === true
      const next: ShownTransaction = isShown ? tx : { kind: 'redacted', tx_hash: leafOf(tx) }
      bytes += next.kind === 'redacted' ? REDACTED_BYTES : canonicalTransaction(next).length
      isFull = shown.length >= MIN_TRANSACTIONS_OF_PAGE && bytes > PAGE_BYTES
      if (isFull) break
      shown.push(next)
    }
  }
  const next_index = from + shown.length < header.tx_count ? from + shown.length : null
  return { header, signature, transactions: shown, next_index, ...(user !== undefined && { shown: 'own' }) }
}

/** A credential that holds. */
interface Proven {
  /** Of the key that has signed it. */
  readonly entry: RegistryEntry
  /** Takes its id, which counts once. Throws `forbidden` for one that was used before. */
  useUp(): void
}

export type CredentialCheckParts = Pick<BlockServerParts, 'chain' | 'requests' | 'clock'> & {
  readonly ledger: Pick<ChainLedger, 'activeEntry'>
}

/** The peer id that asks, and the one that is asked. */
interface Ends {
  readonly from: string
  readonly to: string
}

/**
 * Checks credentials: from one peer, for another and this path, fresh, by the key of one of the entries (of its voter as of
 * the tip, where none are given). Throws `forbidden`, `unknown_voter`.
 */
export function credentialCheck({ chain, ledger, requests, clock }: CredentialCheckParts) {
  // Each is of one peer, for one peer: it can be used again by who used it, in a later life of this node, and for nothing new.
  const isFirst = createRequestMemory()
  const present = (voterId: string): readonly RegistryEntry[] => {
    const entry = ledger.activeEntry(voterId)
    return entry === undefined ? [] : [entry]
  }

  return (
    credential: PeerCredential,
    path: string,
    { from, to }: Ends,
    entries = present(credential.voter_id),
  ): Proven => {
    const { voter_id, id, timestamp } = credential
    const received = { method: 'P2P', path, from, to: [to] } as const
    let failure: Error = ledgerError('unknown_voter', { voter_id, reason: 'not registered as active' })
    const useUp = (): void => {
      if (isFirst(id, timestamp + 2 * REQUEST_VALIDITY_MS)) return
      throw ledgerError('forbidden', { reason: `the request ${id} was used before` })
    }
    for (const entry of entries) {
      const verdict = verifyCredential(credential, received, chain.chainId, entry.public_key, clock.now())
      const isPresent = entry.public_key === ledger.activeEntry(voter_id)?.public_key
      if (verdict.ok) {
        // Not what was passed on: it says nothing of who passed it on.
        if (isPresent && to === requests.id) requests.vouch(from, entry.public_key, () => standingOf(entry, ledger))
        return { entry, useUp }
      }
      if (isPresent) failure = ledgerError('forbidden', { reason: verdict.reason })
    }
    throw failure
  }
}

/** Of who has shown the key of this entry: nothing more once the key is revoked, or another one. */
function standingOf(
  { id, public_key }: RegistryEntry,
  ledger: Pick<ChainLedger, 'activeEntry'>,
): 'device' | 'member' | undefined {
  const now = ledger.activeEntry(id)
  if (now?.public_key !== public_key) return undefined
  return now.role === 'voter' ? 'device' : 'member'
}
