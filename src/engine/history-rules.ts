import type { ChainStore } from '../ports/chain-store.ts'
import { tickIdOf, type ShownBlock } from '../protocol/block.ts'
import { afterCorrection, refusalOfSum, sumOfTrade, type CorrectedSum } from '../protocol/corrected-sum.ts'
import { invalid, VALID, type Verdict } from '../protocol/errors.ts'
import type { Correction, ShownTransaction, Transaction } from '../protocol/transaction.ts'

/** What the transactions of a new block are checked against: all earlier ones of its chain. */
export interface TransactionHistory {
  /** True for each of these ids that an earlier transaction has, in the order asked for. */
  known(ids: readonly string[]): Promise<readonly boolean[]>
  hasTick(tickId: string): Promise<boolean>
  /** An earlier transaction by its id. */
  find(id: string): Promise<Transaction | undefined>
  /** Earlier corrections of a trade. */
  correctionsOf(tradeId: string): Promise<readonly Correction[]>
}

export type HistoryCode = 'duplicate_transaction' | 'tick_sealed_twice' | 'bad_correction'

/**
 * Checks what needs the transactions of earlier blocks (docs/protocol.md 3); of redacted ones nothing can be checked. It guarantees
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
  const sums = new Map<string, CorrectedSum>()
  for (const correction of transactions) {
    if (correction.kind !== 'correction') continue
    const { id, corrects } = correction
    const before = sums.get(corrects) ?? (await runningSum(corrects, history))
    if (before === undefined)
      return invalid('bad_correction', `${id} corrects ${corrects}, no trade of an earlier block`)
    const sum = afterCorrection(before, correction)
    sums.set(corrects, sum)
    const reason = refusalOfSum(sum, corrects)
    if (reason !== undefined) return invalid('bad_correction', `${id}: ${reason}`)
  }
  return VALID
}

/** What is left of a trade after its corrections so far; `undefined` if there is no such trade. */
async function runningSum(tradeId: string, history: TransactionHistory): Promise<CorrectedSum | undefined> {
  const trade = await history.find(tradeId)
  if (trade?.kind !== 'trade') return undefined
  return (await history.correctionsOf(tradeId)).reduce(afterCorrection, sumOfTrade(trade))
}

/**
 * The transactions of a branch: those of the chain below `size` blocks, then those of `blocks`. With `size` that of the
 * chain and no blocks, it is the chain itself.
 */
export function historyOf(store: ChainStore, size: number, blocks: readonly ShownBlock[]): TransactionHistory {
  const branch = blocks.flatMap(({ transactions }) => transactions.filter((tx) => tx.kind !== 'redacted'))
  const ids = new Set(branch.map(({ id }) => id))

  async function at(place: { readonly height: number; readonly index: number } | undefined) {
    if (place === undefined || place.height >= size) return undefined
    const found = (await store.block(place.height))?.transactions[place.index]
    return found?.kind === 'redacted' ? undefined : found
  }

  return {
    async known(asked) {
      const places = await store.places(asked)
      return asked.map((id, index) => ids.has(id) || (places[index] !== undefined && places[index].height < size))
    },
    async hasTick(tickId) {
      if (branch.some(({ tick_id }) => tick_id === tickId)) return true
      const height = await store.heightOfTick(tickId)
      return height !== undefined && height < size
    },
    async find(id) {
      return branch.find((tx) => tx.id === id) ?? (await at(await store.locate({ tx_id: id })))
    },
    async correctionsOf(tradeId) {
      const earlier = await Promise.all((await store.correctionsOf(tradeId)).map(at))
      return [...earlier, ...branch].filter((tx) => tx?.kind === 'correction').filter((tx) => tx.corrects === tradeId)
    },
  }
}
