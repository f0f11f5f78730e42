import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { verifyMerkleProof } from '../protocol/merkle.ts'
import { checkTransaction, hashTransaction, leafOf, type Transaction } from '../protocol/transaction.ts'
import type { ProofAnswer } from './answers.ts'
import { attempt, checkHistory, toCheck, type Check } from './checks.ts'
import { compareClaims, type Claim } from './claims.ts'
import { nameList } from './format.ts'
import type { LookupParts } from './trade-lookup.ts'

/** The Merkle path of a proof leads to the root in its header. */
export function checkPath({ tx_hash, merkle_proof, header }: ProofAnswer): Check {
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
export function checkPlace({ header, history_proof }: ProofAnswer, hash: Hash, { anchor, held }: LookupParts): Check {
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

/** The content is the one that the hash was made of, and its amounts add up. */
export function checkContent(transaction: Transaction, txHash: Hash, { amount_decimals }: Genesis): Check {
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

/** Which trade an id stands for is the node's word, until the content is known. */
export function checkName(id: string, transaction: Transaction | undefined): Check {
  const part = { id: 'name', title: 'Name', values: [] } as const
  if (transaction === undefined) {
    const detail = `That ${id} is the trade with this hash is the node's word: only its content, or a receipt, can show it.`
    return { ...part, outcome: 'open', detail }
  }
  return transaction.id === id
    ? { ...part, outcome: 'pass', detail: `The content names itself ${id}.` }
    : { ...part, outcome: 'fail', detail: `The content names itself ${transaction.id}, not ${id}.` }
}

/** Differing fields that are shown with both values, and names in one sentence. */
const SHOWN_FIELDS = 8

/** What was pasted of a transaction, and what is known of it here. */
export interface ComparedParts {
  readonly claims: readonly Claim[]
  /** The transaction that the claims make, if they are all there. */
  readonly whole: Transaction | undefined
  /** The sealed content; undefined if it is not shown here. */
  readonly content: Transaction | undefined
  readonly proof: ProofAnswer
  readonly blockHash: Hash
}

/**
 * Compares what somebody pasted with the sealed transaction: by its hash, if it is whole, and field by field. `open` if a field
 * cannot be compared.
 */
export function checkPasted({ claims, whole, content, proof, blockHash }: ComparedParts): Check {
  const { tx_hash, header } = proof
  const place = { tx_hash, block_hash: blockHash, height: header.height }
  const { same, different, undecided, unknown } = compareClaims(claims, content ?? null, place)
  const lacking = unknown.length === 0 ? '' : ` The ledger has no ${listed(unknown)}, so that was not compared.`
  const isWhole = whole !== undefined && hashTransaction(whole) === tx_hash
  const hashes = whole === undefined || isWhole ? [] : hashesOf(whole, tx_hash)
  const sealed = new Map<string, unknown>(Object.entries({ ...content, ...place }))
  const values = different.slice(0, SHOWN_FIELDS).flatMap((name) => [
    { label: `${name}, pasted`, value: shown(claims.find((claim) => claim.name === name)?.value) },
    { label: `${name}, sealed`, value: shown(sealed.get(name)) },
  ])
  const part = { id: 'body', title: 'What you pasted', values: [...values, ...hashes] } as const
  if (different.length > 0) {
    return { ...part, outcome: 'fail', detail: `It differs from the sealed trade in ${listed(different)}.${lacking}` }
  }
  if (hashes.length > 0) {
    return { ...part, outcome: 'fail', detail: `It hashes to another value than the sealed trade.${lacking}` }
  }
  if (undecided.length > 0) {
    const detail =
      content === undefined
        ? `Not compared: ${listed(undecided)}. The content is not shown here: give a token or a receipt.`
        : `Not compared, as it cannot be read: ${listed(undecided)}.${lacking}`
    return { ...part, outcome: 'open', detail }
  }
  if (lacking === '') return { ...part, outcome: 'pass', detail: 'It says the same as the sealed trade.' }
  return isWhole || same.some((name) => name !== 'id' && name !== 'kind')
    ? { ...part, outcome: 'pass', detail: `All that the ledger has says the same.${lacking}` }
    : { ...part, outcome: 'open', detail: lacking.trim() }
}

const hashesOf = (whole: Transaction, txHash: Hash) => [
  { label: 'Hash of what you pasted', value: hashTransaction(whole) },
  { label: 'Hash of the sealed trade', value: txHash },
]

const listed = (names: readonly string[]): string => nameList(names, SHOWN_FIELDS)

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 300)
