import type { Hash } from '../protocol/bytes.ts'
import { normalizeDelta } from '../protocol/decimal.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { verifyMerkleProof } from '../protocol/merkle.ts'
import { verifyReceipt } from '../protocol/receipt-verify.ts'
import { checkTransaction, leafOf, type Transaction } from '../protocol/transaction.ts'
import type { ProofAnswer } from './answers.ts'
import type { Api, TransactionKey } from './api.ts'
import { refusal } from './body-loader.ts'
import { attempt, checkHistory, toCheck, type Check, type Outcome } from './checks.ts'
import { refusalOf } from './errors.ts'
import type { Pasted } from './pasted.ts'
import { nothing, worst, type TradeFacts, type TradeReport } from './trade-report.ts'
import { checkPastedReceipt, factsOf } from './receipt-check.ts'

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
export async function lookUp(pasted: Pasted, parts: LookupParts): Promise<TradeReport> {
  try {
    if (pasted.kind === 'receipt') return await checkPastedReceipt(pasted.value, parts)
    return await find(pasted, parts)
  } catch (error) {
    return failure(error)
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
    case 'transaction': {
      const proof = await proofOf({ tx_hash: pasted.txHash }, parts)
      if (proof !== undefined) return await report(proof, parts, { transaction: pasted.transaction })
      const other = await proofOf({ tx_id: pasted.transaction.id }, parts)
      return other === undefined
        ? missing(`a trade with this content or the id ${pasted.transaction.id}`)
        : changed(other)
    }
    case 'hash': {
      const proof = (await proofOf({ tx_hash: pasted.hash }, parts)) ?? (await proofOf({ tx_id: pasted.hash }, parts))
      return proof === undefined ? await blockOrNothing(pasted.hash, parts) : await report(proof, parts, {})
    }
    case 'id':
    case 'row': {
      const proof = await proofOf({ tx_id: pasted.id }, parts)
      if (proof === undefined) return missing(`a trade with the id ${pasted.id}`)
      const row = pasted.kind === 'row' ? pasted.row : undefined
      return await report(proof, parts, { id: pasted.id, ...(row !== undefined && { row }) })
    }
  }
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

const changed = ({ header, merkle_proof }: ProofAnswer): TradeReport => ({
  ...nothing(
    'fail',
    'This is not what the ledger has',
    `The ledger has a trade with this id, in block ${header.height} (number ${merkle_proof.index + 1}), but with other content: ` +
      'what you pasted was changed, or that trade was.',
  ),
  block: { height: header.height, hash: hashHeader(header) },
})

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
  readonly id?: string
  readonly transaction?: Transaction
  readonly row?: Readonly<Record<string, unknown>>
}

async function report(proof: ProofAnswer, parts: LookupParts, known: Known): Promise<TradeReport> {
  const hash = hashHeader(proof.header)
  const seen = await seenWithToken(proof, hash, known, parts)
  const transaction = known.transaction ?? seen.facts?.transaction
  const proven = [checkPath(proof), checkPlace(proof, hash, parts)]
  const body = transaction === undefined ? [] : [checkContent(transaction, proof.tx_hash, parts.genesis)]
  const named = known.id === undefined ? [] : [checkName(known.id, transaction)]
  const row = known.row === undefined || transaction === undefined ? [] : [checkRow(known.row, transaction)]
  const checks = [...body, ...named, ...row, ...proven]
  // Which trade a hash stands for only its content can show: that alone is no doubt about the proof.
  const outcome = worst(checks.filter(({ id, outcome: one }) => id !== 'name' || one === 'fail'))
  return {
    outcome,
    title: titleOf(outcome, proof),
    detail: [...detailOf(outcome, proof), seen.note].filter((sentence) => sentence !== '').join(' '),
    facts: transaction === undefined ? null : (seen.facts ?? { transaction, corrections: [], net: null }),
    checks,
    block: { height: proof.header.height, hash },
    linkName: proof.tx_hash,
  }
}

function titleOf(outcome: Outcome, { redacted }: ProofAnswer): string {
  if (outcome === 'fail') return 'This proof does not hold'
  if (outcome === 'open') return 'The proof holds as far as this page can tell'
  return redacted ? 'This trade is in the ledger; its content was removed' : 'This trade is in the ledger'
}

function detailOf(outcome: Outcome, { header, status, redacted }: ProofAnswer): readonly string[] {
  if (outcome === 'fail') return ['Do not rely on it, and ask who runs the node.']
  const place = `It is in block ${header.height}, ${status === 'final' ? 'which is final' : 'which is not final yet'}.`
  return redacted
    ? [place, 'The operator removed its content from view; the hash still proves that it was there.']
    : [place]
}

function checkPath({ tx_hash, merkle_proof, header }: ProofAnswer): Check {
  const { index, tx_count, path } = merkle_proof
  const values = [
    { label: 'Hash of the trade', value: tx_hash },
    ...path.map((value, step) => ({ label: `Step ${step + 1}, hashed with`, value })),
    { label: 'Merkle root in the header', value: header.merkle_root },
  ]
  const steps = `${path.length} ${path.length === 1 ? 'step' : 'steps'}`
  return toCheck(
    { id: 'path', title: 'Merkle path', values },
    attempt(() => verifyMerkleProof(tx_hash, merkle_proof, header)),
    `Trade ${index + 1} of ${tx_count} in its block: ${steps} of SHA-256, done here, end at the root in the header.`,
  )
}

/** The header of the proof is one that this page holds, or in the history of one. */
function checkPlace({ header, history_proof }: ProofAnswer, hash: Hash, { anchor, held }: LookupParts): Check {
  const { height } = header
  const part = { id: 'block', title: 'Block', values: [{ label: 'Block hash, computed here', value: hash }] } as const
  const own = held(hash)
  if (own !== undefined && own.outcome !== 'open') return { ...part, ...heldWords(own.outcome, height) }
  const trusted = anchor()
  if (trusted === undefined || history_proof === null || height >= trusted.header.height) {
    return { ...part, outcome: 'open', detail: `Block ${height} is too new to be checked here: try again in a moment.` }
  }
  const inHistory = checkHistory({ height, hash }, trusted.header, history_proof)
  if (inHistory.outcome !== 'pass') return { ...inHistory, id: 'block', title: 'Block' }
  const { outcome } = trusted
  const words = {
    pass: `The history that block ${trusted.header.height} commits to has block ${height} in it, and this page has checked that one.`,
    open: `Block ${trusted.header.height} has it in its history, but could not be checked in full.`,
    fail: `Block ${trusted.header.height} has it in its history, but failed its own checks.`,
  }
  return { ...part, values: [...part.values, ...inHistory.values], outcome, detail: words[outcome] }
}

const heldWords = (outcome: 'pass' | 'fail', height: number): Pick<Check, 'outcome' | 'detail'> => ({
  outcome,
  detail:
    outcome === 'pass'
      ? `The root stands in block ${height}, whose hash, links, registry and seal this page has checked.`
      : `The root stands in block ${height}, and that block failed its checks.`,
})

function checkContent(transaction: Transaction, txHash: Hash, { amount_decimals }: Genesis): Check {
  const values = [{ label: 'Computed here', value: leafOf(transaction) }]
  const part = { id: 'transaction', title: 'Content', values } as const
  const verdict = attempt(() => {
    checkTransaction(transaction, amount_decimals)
    return leafOf(transaction) === txHash
      ? { ok: true }
      : { ok: false, code: 'wrong_transaction', reason: 'The content hashes to another value than the proof is for.' }
  })
  return toCheck(part, verdict, 'SHA-256 of the content is the hash that is proven, and its amounts add up.')
}

function checkName(id: string, transaction: Transaction | undefined): Check {
  const part = { id: 'name', title: 'Name', values: [] } as const
  if (transaction === undefined) {
    const detail = `That ${id} is the trade with this hash is the node's word: only its content, or a receipt, can show it.`
    return { ...part, outcome: 'open', detail }
  }
  return transaction.id === id
    ? { ...part, outcome: 'pass', detail: `The content names itself ${id}.` }
    : { ...part, outcome: 'fail', detail: `The content names itself ${transaction.id}, not ${id}.` }
}

const DECIMALS: readonly string[] = ['kwh', 'price_per_kwh', 'total_amount', 'kwh_delta', 'amount_delta']

/** The one spelling of a value, whether a platform writes it as text or as a number; every digit of a decimal counts. */
function spelled(name: string, value: unknown): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  try {
    return DECIMALS.includes(name) ? normalizeDelta(String(value)) : String(value)
  } catch {
    return String(value)
  }
}

/** Compares what a platform's row says with the transaction; fields of its own are passed over. */
function checkRow(row: Readonly<Record<string, unknown>>, transaction: Transaction): Check {
  const sealed: Readonly<Record<string, unknown>> = { ...transaction }
  const isSame = (name: string): boolean => {
    const said = spelled(name, row[name])
    return said !== undefined && said === spelled(name, sealed[name])
  }
  const different = Object.keys(row).filter((name) => Object.hasOwn(sealed, name) && !isSame(name))
  const part = { id: 'body', title: 'Your row', values: [] } as const
  return different.length === 0
    ? { ...part, outcome: 'pass', detail: 'What you pasted says the same as the sealed trade.' }
    : { ...part, outcome: 'fail', detail: `The sealed trade differs in ${different.join(', ')}.` }
}

/** The content and its corrections, where a token shows them; `note` says why it does not. */
async function seenWithToken(
  proof: ProofAnswer,
  blockHash: Hash,
  known: Known,
  { api, token, chainId }: LookupParts,
): Promise<{ readonly facts: TradeFacts | undefined; readonly note: string }> {
  const credential = token()
  if (credential === undefined || proof.redacted) return { facts: undefined, note: '' }
  try {
    const { transactions } = await api.block(blockHash, credential)
    const transaction = known.transaction ?? transactions.find((shown) => leafOf(shown) === proof.tx_hash)
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
    return verdict?.ok === true ? factsOf(verdict) : undefined
  }
}
