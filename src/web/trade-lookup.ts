import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { verifyReceipt } from '../protocol/receipt-verify.ts'
import { hashTransaction, leafOf, type Transaction } from '../protocol/transaction.ts'
import type { ProofAnswer } from './answers.ts'
import type { Api, TransactionKey } from './api.ts'
import { refusal } from './body-loader.ts'
import type { Check, Outcome } from './checks.ts'
import type { Claim } from './claims.ts'
import { refusalOf } from './errors.ts'
import { subjectOf, type Pasted, type PastedTrade } from './pasted.ts'
import { checkPastedReceipt, factsOf } from './receipt-check.ts'
import { checkContent, checkName, checkPasted, checkPath, checkPlace } from './trade-checks.ts'
import { nothing, worst, type TradeAnswer, type TradeFacts, type TradeReport } from './trade-report.ts'

/** A block that this page holds, and what it found about it. */
export interface HeldBlock {
  readonly header: Header
  readonly hash: Hash
  readonly outcome: Outcome
}

export interface LookupParts {
  readonly api: Pick<Api, 'transactionProof' | 'blockStatus' | 'block' | 'receipt' | 'historyInclusion'>
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly token: () => string | undefined
  /** The newest block that passed every check; else the newest. `undefined` on an empty chain. */
  readonly anchor: () => HeldBlock | undefined
  readonly held: (hash: Hash) => HeldBlock | undefined
}

/**
 * Finds a transaction on the chain, whatever is known of it and however old it is, and checks where the node says that it is.
 * Says apart what is not there, what may not be seen, what was removed, and that nobody answered. Never throws for what a node
 * or a person can do.
 */
export async function lookUp(pasted: Pasted, parts: LookupParts): Promise<TradeAnswer> {
  const subject = subjectOf(pasted)
  try {
    if (pasted.kind === 'receipt') return { subject, ...(await checkPastedReceipt(pasted.value, parts)) }
    return { subject, ...(await find(pasted, parts)) }
  } catch (error) {
    return { subject, ...failure(error) }
  }
}

function failure(error: unknown): TradeReport {
  const refused = refusalOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (refused === undefined) {
    const detail = `Nobody could be asked, so this says nothing about the trade. Try again when the page is live. (${reason})`
    return nothing('open', 'The node does not answer', detail)
  }
  return nothing('open', 'The node could not say', `${refused.detail} (${refused.status}). Try again in a moment.`)
}

async function find(pasted: Exclude<Pasted, { kind: 'receipt' }>, parts: LookupParts): Promise<TradeReport> {
  switch (pasted.kind) {
    case 'trade':
      return await findPasted(pasted, parts)
    case 'hash': {
      const byHash = await proofOf({ tx_hash: pasted.hash }, parts)
      if (byHash !== undefined) return await report(byHash, parts, {})
      // An id is asked for as it was typed: in other letters it is another one.
      const byId = await proofOf({ tx_id: pasted.id }, parts)
      return byId === undefined
        ? await blockOrNothing(pasted.hash, parts)
        : await report(byId, parts, { id: pasted.id })
    }
    case 'id': {
      const proof = await proofOf({ tx_id: pasted.id }, parts)
      if (proof === undefined) return missing(`a trade with the id ${pasted.id}`)
      return await report(proof, parts, { id: pasted.id })
    }
  }
}

/** By its content first, which leaves nothing to the node's word. */
async function findPasted({ id, txHash, claims, whole }: PastedTrade, parts: LookupParts): Promise<TradeReport> {
  const own = whole === undefined ? undefined : await proofOf({ tx_hash: hashTransaction(whole) }, parts)
  if (own !== undefined) return await report(own, parts, { claims, whole })
  const byId = id === undefined ? undefined : await proofOf({ tx_id: id }, parts)
  if (byId !== undefined) return await report(byId, parts, { claims, whole, id })
  const byHash = txHash === undefined ? undefined : await proofOf({ tx_hash: txHash }, parts)
  if (byHash !== undefined) return await report(byHash, parts, { claims, whole })
  const content = whole === undefined ? '' : 'this content or '
  return missing(`a trade with ${content}${id === undefined ? `the hash ${txHash ?? ''}` : `the id ${id}`}`)
}

/** `undefined` if the node knows no such transaction. */
async function proofOf(by: TransactionKey, { api, anchor }: LookupParts): Promise<ProofAnswer | undefined> {
  const ask = async (atHeight: number | null) => {
    try {
      return await api.transactionProof(by, atHeight)
    } catch (error) {
      if (refusalOf(error)?.code === 'unknown_transaction') return undefined
      throw error
    }
  }
  try {
    return await ask(anchor()?.header.height ?? null)
  } catch (error) {
    // Sealed above what this page holds: the block's own seal will have to do.
    if (refusalOf(error)?.code !== 'out_of_range') throw error
    return await ask(null)
  }
}

const missing = (what: string): TradeReport =>
  nothing(
    'open',
    'The node knows no such trade',
    `It has sealed none: ${what}. A new trade is there once its interval is sealed, one of another community never. ` +
      'One whose content was removed before this node came is found by its hash alone.',
  )

async function blockOrNothing(hash: Hash, { api, chainId }: LookupParts): Promise<TradeReport> {
  if (hash === chainId) return nothing('open', 'This is no trade', 'It is the chain id of this ledger.')
  try {
    const { height } = await api.blockStatus(hash)
    const detail = `It is the hash of block ${height}, which is a group of trades.`
    return { ...nothing('open', 'This is a block, not a trade', detail), block: { height, hash } }
  } catch (error) {
    if (refusalOf(error)?.code !== 'unknown_block') throw error
    return missing('a trade with this hash or id')
  }
}

/** What is known of the transaction beside the proof. */
interface Known {
  /** The id that the proof was asked for by. */
  readonly id?: string | undefined
  readonly claims?: readonly Claim[]
  readonly whole?: Transaction | undefined
}

async function report(proof: ProofAnswer, parts: LookupParts, known: Known): Promise<TradeReport> {
  const blockHash = hashHeader(proof.header)
  const { claims = [], whole, id } = known
  const own = whole !== undefined && hashTransaction(whole) === proof.tx_hash ? whole : undefined
  const seen = await seenWithToken(proof, blockHash, own, parts)
  const content = own ?? seen.facts?.transaction
  // Its hash has compared what the transaction has; and for the id that was asked for there is a check of its own.
  const rest = claims.filter(
    ({ name }) => !(own !== undefined && Object.hasOwn(own, name)) && !(name === 'id' && id !== undefined),
  )
  const pasted =
    rest.length === 0 && (whole === undefined || own !== undefined)
      ? []
      : [checkPasted({ claims: rest, whole, content, proof, blockHash })]
  const proven = [
    ...(content === undefined ? [] : [checkContent(content, proof.tx_hash, parts.genesis)]),
    ...(id === undefined ? [] : [checkName(id, content)]),
    checkPath(proof),
    checkPlace(proof, blockHash, parts),
  ]
  // Which trade an id stands for only its content can show: that alone is no doubt about the proof.
  const proofOutcome = worst(proven.filter(({ id: check, outcome }) => check !== 'name' || outcome === 'fail'))
  const { outcome, title, detail } = wordsOf(proofOutcome, pasted[0], proof, id === undefined ? 'hash' : 'id')
  return {
    outcome,
    title,
    detail: [...detail, seen.note].filter((sentence) => sentence !== '').join(' '),
    facts: content === undefined ? null : (seen.facts ?? { transaction: content, corrections: [], net: null }),
    checks: [...pasted, ...proven],
    block: { height: proof.header.height, hash: blockHash },
    linkName: proof.tx_hash,
  }
}

interface Words {
  readonly outcome: Outcome
  readonly title: string
  readonly detail: readonly string[]
}

/**
 * @param pasted undefined if nothing was pasted but the id, the hash or the whole content
 * @param by what the trade was found by
 */
function wordsOf(
  proofOutcome: Outcome,
  pasted: Check | undefined,
  { header, merkle_proof, status, redacted }: ProofAnswer,
  by: 'id' | 'hash',
): Words {
  if (proofOutcome === 'fail') {
    return {
      outcome: 'fail',
      title: 'This proof does not hold',
      detail: ['Do not rely on it, and ask who runs the node.'],
    }
  }
  const place = `block ${header.height}, ${status === 'final' ? 'which is final' : 'which is not final yet'}`
  const removed = redacted
    ? ['The operator removed its content from view; the hash still proves that it was there.']
    : []
  if (pasted?.outcome === 'fail') {
    const found = `The ledger has this trade in block ${header.height} (number ${merkle_proof.index + 1}), but with other content`
    const detail = [`${found}: what you pasted was changed, or that trade was.`, pasted.detail]
    return { outcome: 'fail', title: 'This is not what the ledger has', detail }
  }
  if (pasted?.outcome === 'open') {
    const found = `A trade with this ${by} is ${proofOutcome === 'open' ? 'said to be ' : ''}in the ledger, in ${place}.`
    const title = 'Not decided: what you pasted was not compared'
    return { outcome: 'open', title, detail: [found, pasted.detail, ...removed] }
  }
  if (proofOutcome === 'open') {
    const title = 'The proof holds as far as this page can tell'
    return { outcome: 'open', title, detail: [`It is in ${place}.`, ...removed] }
  }
  const title = redacted ? 'This trade is in the ledger; its content was removed' : 'This trade is in the ledger'
  return { outcome: 'pass', title, detail: [`It is in ${place}.`, ...removed, pasted?.detail ?? ''] }
}

/** The content and its corrections, where a token shows them; `note` says why it does not. */
async function seenWithToken(
  proof: ProofAnswer,
  blockHash: Hash,
  own: Transaction | undefined,
  { api, token, chainId }: LookupParts,
): Promise<{ readonly facts: TradeFacts | undefined; readonly note: string }> {
  const credential = token()
  if (credential === undefined || proof.redacted) return { facts: undefined, note: '' }
  try {
    const { transactions } = await api.block(blockHash, credential)
    const transaction = own ?? transactions.find((shown) => leafOf(shown) === proof.tx_hash)
    if (transaction === undefined || transaction.kind === 'redacted') return { facts: undefined, note: '' }
    const corrected = transaction.kind === 'trade' ? await receiptOf(transaction.id, credential) : undefined
    return { facts: corrected ?? { transaction, corrections: [], net: null }, note: '' }
  } catch (error) {
    return { facts: undefined, note: refusal(error) ?? 'Its content could not be fetched.' }
  }

  /** With its corrections: not every role may have a receipt. */
  async function receiptOf(id: string, by: string): Promise<TradeFacts | undefined> {
    const value = await api.receipt(id, by).catch(() => undefined)
    const verdict = value === undefined ? undefined : verifyReceipt(value, chainId)
    // Of the very transaction that is proven: an id alone is the node's word.
    return verdict?.ok === true && leafOf(verdict.receipt.transaction) === proof.tx_hash ? factsOf(verdict) : undefined
  }
}
