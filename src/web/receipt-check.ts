import { hashHeader } from '../protocol/header.ts'
import type { ReceiptVerdict } from '../protocol/receipt-verify.ts'
import { verifyReceipt } from '../protocol/receipt-verify.ts'
import { chainIdOf, decodeGenesis } from '../protocol/genesis.ts'
import { hashTransaction } from '../protocol/transaction.ts'
import { isJsonObject } from '../protocol/shape.ts'
import { checkHistory, type Check } from './checks.ts'
import { refusalOf } from './errors.ts'
import { shortHash } from './format.ts'
import type { LookupParts } from './trade-lookup.ts'
import { nothing, worst, type TradeFacts, type TradeReport } from './trade-report.ts'

type Held = ReceiptVerdict & { readonly ok: true }

/** What a receipt that holds says. */
export const factsOf = ({ receipt, net }: Held): TradeFacts => ({
  transaction: receipt.transaction,
  corrections: (receipt.corrections ?? []).flatMap(({ transaction: tx }) => (tx.kind === 'correction' ? [tx] : [])),
  net,
})

const TITLES: Readonly<Record<string, string>> = {
  format: 'Format',
  genesis: 'Ledger',
  transaction: 'Content',
  inclusion: 'Place',
  handovers: 'Changes of the rules',
  seal: 'Seal',
  votes: 'Confirmations',
  corrections: 'Corrections',
  checkpoint: 'Checkpoint',
  trusted: 'History',
}

/** Checks a receipt by itself, without asking anybody, then whether the chain of this page has its block. */
export async function checkPastedReceipt(value: unknown, parts: LookupParts): Promise<TradeReport> {
  const { chainId } = parts
  const verdict = verifyReceipt(value, chainId)
  const passed = verdict.passed.map(({ check, detail }): Check => rowOf(check, 'pass', detail))
  if (!verdict.ok) {
    const other = verdict.code === 'wrong_chain' ? chainOf(value) : undefined
    if (other !== undefined && other !== chainId) return ofAnotherLedger(other, chainId)
    const checks = [...passed, rowOf(verdict.failed, 'fail', verdict.reason)]
    const detail = 'It was changed, cut off, or made up. Ask for a new one.'
    return { ...nothing('fail', 'This receipt does not hold', detail), checks }
  }
  const { receipt, status } = verdict
  const { header, transaction } = receipt
  const here = await checkHere(verdict, parts)
  const outcome = here.outcome === 'fail' ? 'fail' : worst(passed)
  const words =
    status === 'final'
      ? 'The block is final.'
      : 'An authority has sealed the block; the confirmations that make it final are not in this receipt.'
  return {
    outcome: here.outcome === 'fail' ? 'fail' : outcome,
    title: here.outcome === 'fail' ? 'The receipt is not of this chain' : 'This receipt holds',
    detail: here.outcome === 'fail' ? here.detail : `It is in block ${header.height}. ${words}`,
    facts: factsOf(verdict),
    checks: [...passed, here],
    block: { height: header.height, hash: hashHeader(header) },
    linkName: hashTransaction(transaction),
  }
}

const rowOf = (check: string, outcome: Check['outcome'], detail: string): Check => ({
  id: 'receipt',
  title: TITLES[check] ?? check,
  outcome,
  detail: `${detail.charAt(0).toUpperCase()}${detail.slice(1)}.`,
  values: [],
})

function chainOf(value: unknown): string | undefined {
  try {
    return isJsonObject(value) ? chainIdOf(decodeGenesis(value.genesis)) : undefined
  } catch {
    return undefined
  }
}

const ofAnotherLedger = (other: string, chainId: string): TradeReport =>
  nothing(
    'open',
    'This receipt is of another ledger',
    `It is of the chain ${shortHash(other)}; this page shows ${shortHash(chainId)}. Open the page of that community, or check ` +
      `it offline: solar-node verify RECEIPT.json --chain ${other}`,
  )

/** Whether the newest block that this page has checked has the block of the receipt in its history. */
async function checkHere({ receipt: { header } }: Held, { anchor, held, api }: LookupParts): Promise<Check> {
  const hash = hashHeader(header)
  const part = { id: 'history', title: 'Still in the chain', values: [] } as const
  if (held(hash)?.outcome === 'pass') {
    return { ...part, outcome: 'pass', detail: `Block ${header.height} is among those that this page has checked.` }
  }
  const trusted = anchor()
  if (trusted === undefined || trusted.header.height <= header.height) {
    const detail = 'The node has not shown this page a block as new as that; the receipt holds by itself.'
    return { ...part, outcome: 'open', detail }
  }
  try {
    const proof = await api.historyInclusion(header.height, trusted.header.height)
    return { ...checkHistory({ height: header.height, hash }, trusted.header, proof), title: part.title }
  } catch (error) {
    const what = refusalOf(error) === undefined ? 'The node does not answer' : 'The node could not say'
    return {
      ...part,
      outcome: 'open',
      detail: `${what}, so it was not compared with its chain; the receipt holds by itself.`,
    }
  }
}
