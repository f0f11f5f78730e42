import type { Hash } from '../protocol/bytes.ts'
import type { Verdict } from '../protocol/errors.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { verifyMerkleProof } from '../protocol/merkle.ts'
import { hash32 } from '../protocol/shape.ts'
import { checkTransaction, hashTransaction, transactionShape, type Transaction } from '../protocol/transaction.ts'
import type { BlockProofAnswer } from './answers.ts'
import { attempt, toCheck, type Check, type Outcome } from './checks.ts'
import type { BlockRecord } from './state.ts'

/** What somebody pasted: a transaction hash, or the transaction itself, from which the hash is computed here. */
export interface PastedTransaction {
  readonly txHash: Hash
  readonly transaction: Transaction | null
}

/** Reads a pasted hash or transaction (JSON). Throws an Error whose message is for people. */
export function readPasted(text: string, genesis: Pick<Genesis, 'amount_decimals'>): PastedTransaction {
  const trimmed = text.trim()
  if (!trimmed.startsWith('{')) return { txHash: readHash(trimmed, 'transaction hash'), transaction: null }
  let value: unknown
  try {
    value = JSON.parse(trimmed)
  } catch (cause) {
    throw new Error('This looks like a transaction, but it is not valid JSON.', { cause })
  }
  const transaction = transactionShape(value, 'transaction')
  checkTransaction(transaction, genesis.amount_decimals)
  return { txHash: hashTransaction(transaction), transaction }
}

/** Reads a pasted hash. Throws an Error whose message is for people. */
export function readHash(text: string, what: string): Hash {
  try {
    return hash32(text.trim().toLowerCase(), what)
  } catch (cause) {
    throw new Error(`The ${what} has 64 characters of 0-9 and a-f.`, { cause })
  }
}

/**
 * Checks that a transaction is in a block, from the proof that the node sent. It answers for a) the transaction's own
 * hash, if the transaction itself was pasted, b) the Merkle path up to the root, c) the block that has this root.
 *
 * @param block the block as this page holds it, `undefined` if it is older
 * @param blockOutcome what this page found about that block
 */
export function checkInclusion(
  pasted: PastedTransaction,
  proof: BlockProofAnswer,
  block: BlockRecord | undefined,
  blockOutcome: Outcome,
): readonly Check[] {
  const leaf = pasted.transaction === null ? [] : [checkLeaf(pasted)]
  return [...leaf, checkPath(pasted, proof, block), checkBlock(block, blockOutcome)]
}

function checkLeaf({ txHash }: PastedTransaction): Check {
  const values = [{ label: 'Computed here', value: txHash }]
  const detail = 'SHA-256 of the pasted transaction is the leaf that is looked for; its amounts add up.'
  return { id: 'transaction', title: 'Transaction', outcome: 'pass', detail, values }
}

function checkPath(pasted: PastedTransaction, proof: BlockProofAnswer, block: BlockRecord | undefined): Check {
  const { index, tx_count, path } = proof
  const header = block?.header ?? proof
  const values = [
    ...path.map((value, step) => ({ label: `Step ${step + 1}, hashed with`, value })),
    {
      label: block === undefined ? 'Merkle root, told by the node' : 'Merkle root in the header',
      value: header.merkle_root,
    },
  ]
  const verdict = attempt((): Verdict => verifyMerkleProof(pasted.txHash, { index, tx_count, path }, header))
  const steps = `${path.length} ${path.length === 1 ? 'step' : 'steps'}`
  return toCheck(
    { id: 'path', title: 'Merkle path', values },
    verdict,
    `Transaction ${index + 1} of ${tx_count}: ${steps} of SHA-256, done here, end at the Merkle root.`,
  )
}

function checkBlock(block: BlockRecord | undefined, outcome: Outcome): Check {
  if (block === undefined) {
    const detail = 'This page holds the newest 100 headers only. For an older block use a light node or a receipt.'
    return { id: 'block', title: 'Block', outcome: 'open', detail, values: [] }
  }
  const { height } = block.header
  const details: Readonly<Record<Outcome, string>> = {
    pass: `The root stands in block ${height}, whose hash, link and seal this page has checked.`,
    open: `The root stands in block ${height}, which this page could not check in full.`,
    fail: `The root stands in block ${height}, and that block failed its checks.`,
  }
  const values = [{ label: 'Block hash', value: block.hash }]
  return { id: 'block', title: 'Block', outcome, detail: details[outcome], values }
}
