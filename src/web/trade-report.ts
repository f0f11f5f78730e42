import type { Hash } from '../protocol/bytes.ts'
import type { NetTrade } from '../protocol/receipt-checks.ts'
import type { Correction, Transaction } from '../protocol/transaction.ts'
import type { Check, Outcome } from './checks.ts'

/** What a trade says, for who may see it. */
export interface TradeFacts {
  readonly transaction: Transaction
  /** Those that are known here; a receipt has all up to its last final block. */
  readonly corrections: readonly Correction[]
  /** What is left after them; null where it is not known. */
  readonly net: NetTrade | null
}

/** What "Check a trade" has to say. */
export interface TradeReport {
  readonly outcome: Outcome
  readonly title: string
  /** A sentence or two for people: what it means, and what to do. */
  readonly detail: string
  readonly facts: TradeFacts | null
  readonly checks: readonly Check[]
  readonly block: { readonly height: number; readonly hash: Hash } | null
  /** What a link to this trade names; null where there is nothing to link to. */
  readonly linkName: string | null
}

/** A report, and what it is about. */
export interface TradeAnswer extends TradeReport {
  /** "trade 42": the form may hold another text by now. */
  readonly subject: string
}

/** A report without a trade. */
export const nothing = (outcome: Outcome, title: string, detail: string): TradeReport => ({
  outcome,
  title,
  detail,
  facts: null,
  checks: [],
  block: null,
  linkName: null,
})

/** The worst of some checks. */
export function worst(checks: readonly Pick<Check, 'outcome'>[]): Outcome {
  const outcomes = checks.map(({ outcome }) => outcome)
  return outcomes.includes('fail') ? 'fail' : outcomes.includes('open') ? 'open' : 'pass'
}
