import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { CheckedTrade, LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError, VALID, type Verdict } from '../protocol/errors.ts'
import type { SealedHeader } from '../protocol/header.ts'
import { merkleTree, verifyMerkleProof, type MerkleProof } from '../protocol/merkle.ts'
import { MIN_TRADES_OF_PAGE, tradesAnswer, tradesPath } from '../protocol/messages.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { checkTransaction, hashTransaction, leafOf, type Transaction } from '../protocol/transaction.ts'
import { collectAnswers } from './answers.ts'
import { fetchShownBlock } from './block-fetcher.ts'
import type { CredentialSigner } from './credential-signer.ts'

/** A registered key holder, as a light node signs for it. */
export interface Identity {
  readonly id: string
  readonly key: SigningKey
  /** Of its registry entry: what it signs counts for no block below. Absent: it is not known. */
  readonly sinceHeight?: number
}

/** What signs for a household what its peers are asked for. */
export type SignAs = (identity: Identity) => CredentialSigner

export interface OwnTradesParts {
  /** The genesis' `amount_decimals`. */
  readonly amountDecimals: number
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly signAs: SignAs
  readonly store: Pick<LightStore, 'putTrades'>
  readonly logger: Logger
  readonly onVerified: (height: number, trades: readonly CheckedTrade[]) => void
  readonly onAlarm: (code: string, reason: string) => void
}

/** A transaction as a peer gives it to its party: nothing of it is checked yet. */
interface ClaimedTrade {
  readonly transaction: Transaction
  readonly merkle_proof: MerkleProof
}

type Checked = { readonly ok: true; readonly trades: readonly CheckedTrade[] } | (Verdict & { readonly ok: false })

/**
 * Checks a household's own transactions of a block and keeps them. Every peer is asked: what one leaves out another shows,
 * and a peer whose answer does not hold is no source. If none holds, the whole block is asked for (a dispute), in which the
 * transactions of others are redacted: a block that leads to the header's root settles it. Throws `not_ready` or the last
 * peer's error if nobody answers.
 */
export async function verifyOwnTrades(
  parts: OwnTradesParts,
  sealed: SealedHeader,
  identity: Identity,
): Promise<Verdict> {
  const { height } = sealed.header
  const { given, failures } = await collectAnswers(
    parts.clock,
    parts.requests.peers().map(async (peer) => ({ peer, claimed: await askForTrades(parts, peer, height, identity) })),
  )
  if (given.length === 0) throw failures.at(-1) ?? ledgerError('not_ready', { reason: 'no peer is connected' })
  const checked = given.map(({ peer, claimed }) => ({ peer, result: checkAll(claimed, sealed, parts.amountDecimals) }))
  const good = checked.flatMap(({ result }) => (result.ok ? [result.trades] : []))
  const [bad] = checked.flatMap(({ peer, result }) => (result.ok ? [] : [{ peer, result }]))
  const result: Checked =
    good.length > 0 || bad === undefined
      ? { ok: true, trades: withoutRepeats(good.flat()) }
      : await settleByBlock(parts, sealed, identity, bad.result)
  if (result.ok && bad !== undefined)
    parts.onAlarm(bad.result.code, `block ${height}: ${bad.peer} gave ${bad.result.reason}`)
  return await keep(parts, height, result)
}

/** Checks a household's own transactions of a block by the whole block, and keeps them. */
export async function verifyByBlock(parts: OwnTradesParts, sealed: SealedHeader, identity: Identity): Promise<Verdict> {
  const complaint = { ok: false, code: 'no_block', reason: 'no peer shows the whole block' } as const
  return await keep(parts, sealed.header.height, await settleByBlock(parts, sealed, identity, complaint))
}

async function keep(parts: OwnTradesParts, height: number, result: Checked): Promise<Verdict> {
  if (!result.ok) return result
  await parts.store.putTrades(result.trades)
  parts.onVerified(height, result.trades)
  return VALID
}

/** The body of one of the identity's own transactions of a block, by its hash; from whoever has it. Throws `forbidden`. */
export async function fetchOwnTrade(
  parts: Pick<OwnTradesParts, 'requests' | 'signAs'>,
  identity: Identity,
  height: number,
  txHash: Hash,
): Promise<Transaction> {
  let failure: unknown = ledgerError('not_ready', { reason: 'no peer is connected' })
  for (const peer of parts.requests.peers()) {
    try {
      const claimed = await askForTrades(parts, peer, height, identity)
      const own = claimed.find(({ transaction }) => hashTransaction(transaction) === txHash)
      if (own !== undefined) return own.transaction
      failure = ledgerError('forbidden', { reason: `${identity.id} is no party of transaction ${txHash}` })
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** Page by page, each signed for this peer. Throws `peer_refused` (`malformed`) for pages that do not go on. */
async function askForTrades(
  parts: Pick<OwnTradesParts, 'requests' | 'signAs'>,
  peer: string,
  height: number,
  identity: Identity,
): Promise<readonly ClaimedTrade[]> {
  const sign = parts.signAs(identity)
  const claimed: ClaimedTrade[] = []
  for (let from = 0; ;) {
    const asked = { height, ...(await sign(peer, tradesPath(height, from))), ...(from > 0 && { from_index: from }) }
    const { trades, next_index } = tradesAnswer(await parts.requests.request(peer, 'trades', asked), 'trades')
    const isWhole = from === 0 && next_index === undefined
    if (!isWhole && !goesOn(trades, from, next_index)) {
      const reason = `block ${height}: a page of ${trades.length} trades from ${from} to ${next_index ?? 'the end'} does not go on`
      throw ledgerError('peer_refused', { peer, request: 'trades', code: 'malformed', reason })
    }
    claimed.push(...trades)
    if (next_index === undefined) return claimed
    from = next_index
  }
}

/**
 * One page of several: as many trades as a page has, each at a place of its own within it, ascending. So all pages together
 * have no more trades than a block. What a whole answer says of places is judged by its proofs.
 */
function goesOn(trades: readonly ClaimedTrade[], from: number, next: number | undefined): boolean {
  if (next !== undefined && trades.length < MIN_TRADES_OF_PAGE) return false
  let free = from
  for (const { merkle_proof } of trades) {
    if (merkle_proof.index < free || merkle_proof.index >= (next ?? Infinity)) return false
    free = merkle_proof.index + 1
  }
  return true
}

function checkAll(claimed: readonly ClaimedTrade[], sealed: SealedHeader, amountDecimals: number): Checked {
  const trades: CheckedTrade[] = []
  for (const { transaction, merkle_proof } of claimed) {
    const tx_hash = hashTransaction(transaction)
    const body = checkBody(transaction, amountDecimals)
    const verdict = body.ok ? verifyMerkleProof(tx_hash, merkle_proof, sealed.header) : body
    if (!verdict.ok) return { ...verdict, reason: `trade ${transaction.id}: ${verdict.reason}` }
    trades.push({ transaction, tx_hash, merkle_proof, sealed })
  }
  return { ok: true, trades }
}

function checkBody(transaction: Transaction, amountDecimals: number): Verdict {
  try {
    checkTransaction(transaction, amountDecimals)
    return VALID
  } catch (error) {
    if (isSolarError(error)) return { ok: false, code: error.code, reason: error.message }
    throw error
  }
}

/** A block with the header's root shows what the household's own transactions are; without one the complaint stands. */
async function settleByBlock(
  parts: OwnTradesParts,
  sealed: SealedHeader,
  identity: Identity,
  complaint: Verdict & { readonly ok: false },
): Promise<Checked> {
  const { height } = sealed.header
  for (const peer of parts.requests.peers()) {
    try {
      const { transactions } = await fetchShownBlock({ ...parts, sign: parts.signAs(identity) }, peer, sealed)
      const tree = merkleTree(transactions.map(leafOf))
      const own = transactions.flatMap((transaction, index) =>
        transaction.kind === 'redacted' ? [] : [{ transaction, merkle_proof: tree.proof(index) }],
      )
      return checkAll(own, sealed, parts.amountDecimals)
    } catch (error) {
      parts.logger.warn({ error, peer, height }, `${peer} does not settle the dispute about block ${height}`)
    }
  }
  return complaint
}

function withoutRepeats(trades: readonly CheckedTrade[]): readonly CheckedTrade[] {
  return [...new Map(trades.map((trade) => [trade.tx_hash, trade])).values()]
}
