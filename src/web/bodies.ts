import { parseDelta, parseQuantity } from '../protocol/decimal.ts'
import { merkleRoot } from '../protocol/merkle.ts'
import { leafOf, type ShownTransaction } from '../protocol/transaction.ts'
import { count, formatMicro } from './format.ts'
import type { BlockRecord } from './state.ts'

/** What was traded in a block, its corrections of earlier trades counted with it. Millionths of kWh and of the currency. */
export interface BlockBody {
  readonly transactions: readonly ShownTransaction[]
  /** True if these transactions lead to the Merkle root in the header: computed here. */
  readonly matches: boolean
  readonly kwhMicro: bigint
  readonly amountMicro: bigint
  readonly trades: number
  readonly corrections: number
  /** Their content was removed: no sum has them. */
  readonly redacted: number
}

/**
 * "2 trades, 1 correction": what is in a block. Its header counts them all as one; which of them are trades is known where the
 * content is shown.
 */
export function contentWords({
  changesRegistry,
  header,
  body,
}: Pick<BlockRecord, 'changesRegistry' | 'header' | 'body'>): string {
  if (changesRegistry) return 'registry change'
  if (body === null) return count(header.tx_count, 'transaction')
  const { trades, corrections, redacted } = body
  return [
    ...(trades > 0 ? [count(trades, 'trade')] : []),
    ...(corrections > 0 ? [count(corrections, 'correction')] : []),
    ...(redacted > 0 ? [`${redacted.toLocaleString()} removed`] : []),
  ].join(', ')
}

/** ", -0.75 kWh": for who may see it. */
export const energyWords = ({ changesRegistry, body }: Pick<BlockRecord, 'changesRegistry' | 'body'>): string =>
  body === null || changesRegistry ? '' : `, ${formatMicro(body.kwhMicro)} kWh`

/** Adds a block's transactions up, and checks that they are those of its header. */
export function bodyOf({ header }: Pick<BlockRecord, 'header'>, transactions: readonly ShownTransaction[]): BlockBody {
  let kwhMicro = 0n
  let amountMicro = 0n
  const counts = { trade: 0, correction: 0, redacted: 0, registry: 0 }
  for (const tx of transactions) {
    counts[tx.kind] += 1
    if (tx.kind === 'trade') {
      kwhMicro += parseQuantity(tx.kwh)
      amountMicro += parseQuantity(tx.total_amount)
    } else if (tx.kind === 'correction') {
      kwhMicro += parseDelta(tx.kwh_delta)
      amountMicro += parseDelta(tx.amount_delta)
    }
  }
  const { trade: trades, correction: corrections, redacted } = counts
  const matches = transactions.length === header.tx_count && merkleRoot(transactions.map(leafOf)) === header.merkle_root
  return { transactions, matches, kwhMicro, amountMicro, trades, corrections, redacted }
}
