import type { ChainStore } from '../ports/chain-store.ts'
import { tickIdOf, type ShownBlock } from '../protocol/block.ts'
import { afterCorrection, refusalOfSum, sumOfTrade, type CorrectedSum } from '../protocol/corrected-sum.ts'
import { invalid, VALID, type Verdict } from '../protocol/errors.ts'
import type { Correction, ShownTransaction, Transaction } from '../protocol/transaction.ts'
import { transactionsAt, transactionsById, type TransactionPlace } from './transaction-reads.ts'

/** What the transactions of a new block are checked against: all earlier ones of its chain. */
export interface TransactionHistory {
  /** True for each of these ids that an earlier transaction has, also one redacted here, in the order asked for. */
  known(ids: readonly string[]): Promise<readonly boolean[]>
  hasTick(tickId: string): Promise<boolean>
  /** Earlier transactions by their ids; what is not there is left out. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, Transaction>>
  /** Earlier corrections of these trades. */
  correctionsOf(tradeIds: readonly string[]): Promise<readonly Correction[]>
}

export type HistoryCode = 'duplicate_transaction' | 'tick_sealed_twice' | 'bad_correction'

/**
 * Checks what needs the transactions of earlier blocks (docs/protocol.md 3); of redacted ones it knows the ids alone. It guarantees
 * a) that a tick is sealed once (`tick_sealed_twice`), b) that ids are unique on the chain (`duplicate_transaction`),
 * c) that a correction names a trade of an earlier block, whose running sums stay within what a receipt can show
 * (`bad_correction`).
 */
export async function verifyTransactions(
  { transactions }: Pick<ShownBlock, 'transactions'>,
  history: TransactionHistory,
): Promise<Verdict<HistoryCode>> {
  const tickId = tickIdOf(transactions)
  if (tickId !== undefined && (await history.hasTick(tickId))) {
    return invalid('tick_sealed_twice', `an earlier block has sealed the tick ${tickId}`)
  }
  const ids = transactions.flatMap((tx) => (tx.kind === 'redacted' ? [] : [tx.id]))
  const known = await history.known(ids)
  const seen = new Set<string>()
  const repeated = ids.find((id, index) => known[index] === true || seen.size === seen.add(id).size)
  if (repeated !== undefined) return invalid('duplicate_transaction', `the id ${repeated} is on the chain already`)
  return await verifyCorrections(transactions, history)
}

async function verifyCorrections(
  transactions: readonly ShownTransaction[],
  history: TransactionHistory,
): Promise<Verdict<HistoryCode>> {
  const corrections = transactions.filter((tx) => tx.kind === 'correction')
  const sums = await correctedSums([...new Set(corrections.map(({ corrects }) => corrects))], history)
  for (const correction of corrections) {
    const { id, corrects } = correction
    const before = sums.get(corrects)
    if (before === undefined)
      return invalid('bad_correction', `${id} corrects ${corrects}, no trade of an earlier block`)
    const sum = afterCorrection(before, correction)
    sums.set(corrects, sum)
    const reason = refusalOfSum(sum, corrects)
    if (reason !== undefined) return invalid('bad_correction', `${id}: ${reason}`)
  }
  return VALID
}

/** What is left of these trades after their corrections so far; without what is no trade. */
async function correctedSums(
  tradeIds: readonly string[],
  history: TransactionHistory,
): Promise<Map<string, CorrectedSum>> {
  const sums = new Map<string, CorrectedSum>()
  if (tradeIds.length === 0) return sums
  for (const [id, trade] of await history.find(tradeIds)) if (trade.kind === 'trade') sums.set(id, sumOfTrade(trade))
  for (const correction of await history.correctionsOf([...sums.keys()])) {
    const sum = sums.get(correction.corrects)
    if (sum !== undefined) sums.set(correction.corrects, afterCorrection(sum, correction))
  }
  return sums
}

/**
 * The transactions of a branch: those of the chain below `size` blocks, then those of `blocks`. With `size` that of the
 * chain and no blocks, it is the chain itself.
 */
export function historyOf(store: ChainStore, size: number, blocks: readonly ShownBlock[]): TransactionHistory {
  const branch = blocks.flatMap(({ transactions }) => transactions.filter((tx) => tx.kind !== 'redacted'))
  const ids = new Set(branch.map(({ id }) => id))

  return {
    async known(asked) {
      const heights = await store.heightsOfIds(asked)
      return asked.map((id, index) => ids.has(id) || (heights[index] ?? size) < size)
    },
    async hasTick(tickId) {
      if (branch.some(({ tick_id }) => tick_id === tickId)) return true
      const height = await store.heightOfTick(tickId)
      return height !== undefined && height < size
    },
    async find(asked) {
      const found = new Map(await transactionsById(store, asked, size))
      const wanted = new Set(asked)
      for (const tx of branch) if (wanted.has(tx.id)) found.set(tx.id, tx)
      return found
    },
    async correctionsOf(tradeIds) {
      const wanted = new Set(tradeIds)
      const places: TransactionPlace[] = []
      for (const id of wanted) {
        places.push(...(await store.correctionsOf(id)).filter(({ height }) => height < size))
      }
      return [...(await transactionsAt(store, places)), ...branch]
        .filter((tx) => tx?.kind === 'correction')
        .filter((tx) => wanted.has(tx.corrects))
    },
  }
}
