import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { REQUEST_VALIDITY_MS } from '../protocol/limits.ts'
import type { MerkleProof } from '../protocol/merkle.ts'
import {
  blockParams,
  blockPath,
  receiptParams,
  receiptPath,
  tradesParams,
  tradesPath,
  type BlockParams,
} from '../protocol/messages.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import { verifyCredential, type Credential } from '../protocol/request.ts'
import { canonicalTransaction, leafOf, type ShownTransaction, type Transaction } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import { ownOf } from './parties.ts'

export interface BlockServerParts {
  readonly chain: Chain
  readonly ledger: Pick<ChainLedger, 'block' | 'receipt' | 'activeEntry' | 'userOf' | 'rememberRequest'>
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly requests: PeerRequests
  readonly clock: Clock
  /** The role of a bearer token of this node; `undefined` for any other text. */
  readonly roleOfToken: (token: string) => string | undefined
}

/** A peer that has shown that it may read whole blocks need not show it with each page. */
const REMEMBER_PEER_MS = 10 * 60_000
/** A page holds at least one transaction and ends after this many bytes: half of what an answer may have. */
const PAGE_BYTES = 2 * 1024 * 1024
/** `{"kind":"redacted","tx_hash":"..."}` */
const REDACTED_BYTES = 101
/** No page holds more: what is looked at for one page does not grow with the rest of the block. */
const MAX_OF_PAGE = Math.ceil(PAGE_BYTES / REDACTED_BYTES) + 1

/** Answers `block` and `trades` (docs/protocol.md 8): to who shows a credential, and no more than it may see. */
export function serveBlocks(parts: BlockServerParts): void {
  const { chain, ledger, requests, clock } = parts
  const readers = new Map<string, number>()

  /** The voter that asks and sees its own transactions alone; `undefined` for who may see all of them. */
  async function readerOf(asked: BlockParams, from: string): Promise<RegistryEntry | undefined> {
    const now = clock.now()
    if ((readers.get(from) ?? 0) > now) return undefined
    const entry = await provenReader(asked, parts, now)
    if (entry?.role === 'voter') return entry
    // A key that was taken away is shown this block, no other.
    if (entry !== undefined && ledger.activeEntry(entry.id)?.public_key !== entry.public_key) return undefined
    for (const [peer, until] of readers) if (until <= now) readers.delete(peer)
    readers.set(from, now + REMEMBER_PEER_MS)
    return undefined
  }

  requests.serve('block', async (params, from) => {
    const asked = blockParams(params, 'block')
    const voter = await readerOf(asked, from)
    const block = await ledger.block(asked.block_hash)
    return await pageOf(block, asked.from_index, chain, voter && ledger.userOf(voter.id))
  })

  requests.serve('trades', async (params) => {
    const { height, from_index = 0, credential } = tradesParams(params, 'trades')
    const asker = await askerOf(credential, height, parts)
    await checkCredential(credential, tradesPath(height, from_index), parts, clock.now(), asker)
    return await ownPageOf(await chain.blockAt(height), from_index, chain, ledger.userOf(credential.voter_id))
  })
}

/** The transactions of one user from an index of the block on, each with its proof. */
async function ownPageOf(block: ShownBlock, from: number, chain: Chain, user: string) {
  checkIndex(from, block)
  const { tree } = chain.treeOf(block)
  const trades: { readonly transaction: Transaction; readonly merkle_proof: MerkleProof }[] = []
  let bytes = 0
  for (let start = from; start < block.transactions.length; start += MAX_OF_PAGE) {
    const part = block.transactions.slice(start, start + MAX_OF_PAGE)
    const own = await ownOf(chain, part, user)
    for (const [at, transaction] of part.entries()) {
      if (own[at] !== true || transaction.kind === 'redacted') continue
      const merkle_proof = tree.proof(start + at)
      bytes += canonicalTransaction(transaction).length + canonicalText(merkle_proof).length
      if (trades.length > 0 && bytes > PAGE_BYTES) return { trades, next_index: start + at }
      trades.push({ transaction, merkle_proof })
    }
  }
  return { trades }
}

function checkIndex(from: number, { transactions }: ShownBlock): void {
  if (from <= transactions.length) return
  throw ledgerError('out_of_range', { what: 'from_index', value: from, limit: transactions.length })
}

/** As over HTTP. */
const RECEIPT_ROLES: readonly (string | undefined)[] = ['platform', 'auditor']

/** Answers `receipt`: to a party of the trade, the platform and auditors. */
export function serveReceipts(parts: BlockServerParts): void {
  const { ledger, requests } = parts
  requests.serve('receipt', async (params) => {
    const { tx_id, credential, token } = receiptParams(params, 'receipt')
    if (credential === undefined) {
      if (RECEIPT_ROLES.includes(parts.roleOfToken(token ?? ''))) return await ledger.receipt(tx_id)
      throw ledgerError('forbidden', { reason: 'a receipt goes to the parties of its trade, platform and auditor' })
    }
    await checkCredential(credential, receiptPath(tx_id), parts)
    return await ledger.receipt(tx_id, ledger.userOf(credential.voter_id))
  })
}

/** Who asks for a block: the entry of its signature, or nobody in particular with a token. Throws `forbidden`. */
async function provenReader(
  { block_hash, from_index, credential, token }: BlockParams,
  parts: BlockServerParts,
  now: number,
): Promise<RegistryEntry | undefined> {
  if (credential !== undefined) {
    const asker = await askerOf(credential, await parts.chain.heightOf(block_hash), parts)
    return await checkCredential(credential, blockPath(block_hash, from_index), parts, now, asker)
  }
  if (token !== undefined && parts.roleOfToken(token) !== undefined) return undefined
  const reason = token === undefined ? 'a block needs a credential or a token' : 'the token may not read blocks'
  throw ledgerError('forbidden', { reason })
}

/**
 * The entry by which a request for a block of the chain, or what is in it, is judged: as of the tip. Whose key was taken away by
 * then acks with it the blocks up to the one that did so, and has to see them, as long as they are not final.
 */
async function askerOf(
  credential: Credential,
  height: number | undefined,
  { chain, ledger, finalizer, clock }: BlockServerParts,
): Promise<RegistryEntry | undefined> {
  const { voter_id } = credential
  const present = ledger.activeEntry(voter_id)
  if (height === undefined || height <= finalizer.finalHeight) return present
  const former = (await chain.registryBefore(height)).active(voter_id)
  const votes = former?.role === 'validator' || former?.role === 'voter'
  if (!votes || former.public_key === present?.public_key) return present
  return verifyCredential(credential, chain.chainId, former.public_key, clock.now()).ok ? former : present
}

/** @param user whose transactions are shown, `undefined` for all; a change of the registry is nobody's secret */
async function pageOf(block: ShownBlock, from: number, chain: Chain, user: string | undefined) {
  checkIndex(from, block)
  const { header, signature, transactions } = block
  const rest = transactions.slice(from, from + MAX_OF_PAGE)
  const own = user === undefined ? undefined : await ownOf(chain, rest, user)
  const shown: ShownTransaction[] = []
  let bytes = 0
  for (const [at, tx] of rest.entries()) {
    const isShown = own === undefined || tx.kind === 'registry' || own[at] === true
    const next: ShownTransaction = isShown ? tx : { kind: 'redacted', tx_hash: leafOf(tx) }
    bytes += next.kind === 'redacted' ? REDACTED_BYTES : canonicalTransaction(next).length
    if (shown.length > 0 && bytes > PAGE_BYTES) break
    shown.push(next)
  }
  const next_index = from + shown.length < transactions.length ? from + shown.length : null
  return { header, signature, transactions: shown, next_index, ...(user !== undefined && { shown: 'own' }) }
}

/** A signed request: the path that is asked for, a registered key, fresh, and never used before. Throws `forbidden`, `unknown_voter`. */
async function checkCredential(
  credential: Credential,
  path: string,
  { chain, ledger, clock }: Pick<BlockServerParts, 'chain' | 'ledger' | 'clock'>,
  now: number = clock.now(),
  entry: RegistryEntry | undefined = ledger.activeEntry(credential.voter_id),
): Promise<RegistryEntry> {
  const { voter_id, id, timestamp } = credential
  if (credential.path !== path || credential.method !== 'P2P') {
    throw ledgerError('forbidden', {
      reason: `the credential is for ${credential.method} ${credential.path}, not for ${path}`,
    })
  }
  if (entry === undefined) throw ledgerError('unknown_voter', { voter_id, reason: 'not registered as active' })
  const verdict = verifyCredential(credential, chain.chainId, entry.public_key, now)
  if (!verdict.ok) throw ledgerError('forbidden', { reason: verdict.reason })
  if (!(await ledger.rememberRequest(id, timestamp + 2 * REQUEST_VALIDITY_MS))) {
    throw ledgerError('forbidden', { reason: `the request ${id} was used before` })
  }
  return entry
}

/** The whole block of a hash, on the chain or kept beside it. Throws `unknown_block`. */
export async function blockAnywhere(
  chain: Chain,
  beside: (hash: Hash) => Promise<ShownBlock | undefined>,
  hash: Hash,
): Promise<ShownBlock> {
  const block = (await chain.heightOf(hash)) === undefined ? await beside(hash) : await chain.block(hash)
  if (block === undefined) throw ledgerError('unknown_block', { block_hash: hash })
  return block
}
