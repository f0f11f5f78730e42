import type { ChainStore } from '../ports/chain-store.ts'
import { inTurns, nextTurn } from '../ports/turns.ts'
import { registryTransactionsOf, tickIdOf, type ShownBlock } from '../protocol/block.ts'
import type { Hex } from '../protocol/bytes.ts'
import { afterCorrection, refusalOfSum, sumOfTrade, type CorrectedSum } from '../protocol/corrected-sum.ts'
import { invalid, VALID, type Verdict } from '../protocol/errors.ts'
import { endsPiece, mapInPieces } from '../protocol/pieces.ts'
import { keysNamedBy } from '../protocol/registry.ts'
import { hashTransaction, type Correction, type ShownTransaction, type Transaction } from '../protocol/transaction.ts'
import { showsAny, transactionsAt, transactionsById, type TransactionPlace } from './transaction-reads.ts'

/** `removed`: it was there, and its body was removed here. */
export type Earlier = 'none' | 'shown' | 'removed'

/** What the transactions of a new block are checked against: all earlier ones of its chain. */
export interface TransactionHistory {
  /** For each of these ids, in the order asked for, what is here of an earlier transaction that has it. */
  known(ids: readonly string[]): Promise<readonly Earlier[]>
  /** What is here of an earlier block that has sealed this tick. */
  tick(tickId: string): Promise<Earlier>
  /** Earlier transactions by their ids; what is not there is left out. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, Transaction>>
  /**
   * True for each of these ids that an earlier transaction has, or may have, whose body was removed here, in
   * the order asked for.
   */
  mayHide(ids: readonly string[]): Promise<readonly boolean[]>
  /** True if an earlier transaction came without a body: it may be a correction of any trade. */
  hidesUnknown(): Promise<boolean>
  /**
   * Earlier corrections of each of these trades; `undefined` where the body of one was removed here and is
   * not shown.
   */
  correctionsOf(tradeIds: readonly string[]): Promise<ReadonlyMap<string, readonly Correction[] | undefined>>
  /** Those of these keys that an earlier registry transaction names. */
  registered(keys: readonly Hex[]): Promise<ReadonlySet<Hex>>
}

export type HistoryCode =
  'duplicate_transaction' | 'tick_sealed_twice' | 'repeats_redacted' | 'bad_correction' | 'corrects_redacted'

/** Which of the keys that the registry transactions of a new block name an earlier block has registered: see `Registry.after`. */
export async function earlierKeys(
  transactions: readonly ShownTransaction[],
  history: Pick<TransactionHistory, 'registered'>,
): Promise<ReadonlySet<Hex>> {
  const keys = keysNamedBy(registryTransactionsOf(transactions))
  return keys.length === 0 ? NO_KEYS : await history.registered(keys)
}

const NO_KEYS: ReadonlySet<Hex> = new Set()

/** What is known of a block beside what this node has. */
export interface BlockTestimony {
  /**
   * Bodies that were removed here and that others have shown; each counts for the hash that stands in its
   * place.
   */
  readonly shown: readonly Transaction[]
  /** It is proven that the block is final: a quorum has checked what nobody shows any more. */
  readonly isFinal: boolean
}

export const NO_TESTIMONY: BlockTestimony = { shown: [], isFinal: false }

/**
 * Checks what needs the transactions of earlier blocks (docs/protocol.md 3); of redacted ones it knows the ids alone. It guarantees
 * a) that a tick is sealed once (`tick_sealed_twice`), b) that ids are unique on the chain (`duplicate_transaction`;
 * both `repeats_redacted` where the earlier body was removed here),
 * c) that a correction names a trade of an earlier block, whose running sums stay within what a receipt can show
 * (`bad_correction`), d) that these sums are known (`corrects_redacted`), but in a block that is proven
 * final. A correction that came without a body may be what a sum lacks: then it is not known either. Who came after a
 * removal knows neither the id nor the tick of what was removed, and takes them again: who does know follows him in a block
 * that is proven final.
 */
export async function verifyTransactions(
  { transactions }: Pick<ShownBlock, 'transactions'>,
  history: TransactionHistory,
  isFinal = false,
): Promise<Verdict<HistoryCode>> {
  const tickId = tickIdOf(transactions)
  const earlierTick = tickId === undefined ? 'none' : await history.tick(tickId)
  if (earlierTick === 'shown')
    return invalid('tick_sealed_twice', `an earlier block has sealed the tick ${tickId ?? ''}`)
  const ids = transactions.flatMap((tx) => (tx.kind === 'redacted' ? [] : [tx.id]))
  const known = await history.known(ids)
  const seen = new Set<string>()
  const repeated = ids.find((id, index) => known[index] === 'shown' || seen.size === seen.add(id).size)
  if (repeated !== undefined) return invalid('duplicate_transaction', `the id ${repeated} is on the chain already`)
  const removed = earlierTick === 'removed' ? tickId : ids.find((_, index) => known[index] === 'removed')
  if (removed !== undefined && !isFinal) {
    return invalid(
      'repeats_redacted',
      `${removed} is on the chain already, in a block of which a body was removed here`,
    )
  }
  return await verifyCorrections(transactions, history, isFinal)
}

async function verifyCorrections(
  transactions: readonly ShownTransaction[],
  history: TransactionHistory,
  isFinal: boolean,
): Promise<Verdict<HistoryCode>> {
  const corrections = transactions.filter((tx) => tx.kind === 'correction')
  const sums = await correctedSums([...new Set(corrections.map(({ corrects }) => corrects))], history)
  for (const [index, correction] of corrections.entries()) {
    if (endsPiece(index)) await nextTurn()
    const { id, corrects } = correction
    const before = sums.get(corrects)
    if (before === undefined)
      return invalid('bad_correction', `${id} corrects ${corrects}, no trade of an earlier block`)
    if (before === 'hidden') {
      if (isFinal) continue
      return invalid('corrects_redacted', `${id} corrects ${corrects}, of which a body was removed here`)
    }
    const sum = afterCorrection(before, correction)
    sums.set(corrects, sum)
    const reason = refusalOfSum(sum, corrects)
    if (reason === undefined) continue
    if (!(await history.hidesUnknown())) return invalid('bad_correction', `${id}: ${reason}`)
    if (!isFinal) return invalid('corrects_redacted', `${id}: ${reason}, but for what came without a body`)
  }
  return VALID
}

/**
 * What is left of these trades after their corrections so far, `hidden` where nobody can say; without what is
 * no trade.
 */
async function correctedSums(
  tradeIds: readonly string[],
  history: TransactionHistory,
): Promise<Map<string, CorrectedSum | 'hidden'>> {
  const sums = new Map<string, CorrectedSum | 'hidden'>()
  if (tradeIds.length === 0) return sums
  const found = await history.find(tradeIds)
  const missing = tradeIds.filter((id) => !found.has(id))
  const hidden = await history.mayHide(missing)
  for (const [at, id] of missing.entries()) if (hidden[at] === true) sums.set(id, 'hidden')
  const trades = [...found.values()].filter((tx) => tx.kind === 'trade')
  const corrections = await history.correctionsOf(trades.map(({ id }) => id))
  for (const [index, trade] of trades.entries()) {
    if (endsPiece(index)) await nextTurn()
    const sum = corrections.get(trade.id)?.reduce(afterCorrection, sumOfTrade(trade))
    sums.set(trade.id, sum ?? 'hidden')
  }
  return sums
}

/**
 * The transactions of a branch: those of the chain below `size` blocks, then those of `blocks`. With `size` that of the
 * chain and no blocks, it is the chain itself.
 *
 * @param shown bodies that were removed here and that others have shown
 */
export function historyOf(
  store: ChainStore,
  size: number,
  blocks: readonly ShownBlock[],
  shown: readonly Transaction[] = [],
): TransactionHistory {
  const branch = blocks.flatMap(({ transactions }) => transactions.filter((tx) => tx.kind !== 'redacted'))
  const hasHoles = blocks.some(({ transactions }) => transactions.some(({ kind }) => kind === 'redacted'))
  const ids = new Set(branch.map(({ id }) => id))
  const shownByHash = new Map(shown.map((tx) => [hashTransaction(tx), tx]))
  const hidesUnknown = async (): Promise<boolean> => hasHoles || (await store.firstUnknownId(0, size)) !== undefined

  return {
    async known(asked) {
      const places = await store.places(asked)
      const heights = await store.heightsOfIds(asked)
      const earlier = (id: string, index: number): Earlier => {
        if (ids.has(id) || (places[index]?.height ?? size) < size) return 'shown'
        return (heights[index] ?? size) < size ? 'removed' : 'none'
      }
      return await inTurns(mapInPieces(asked, earlier))
    },
    async tick(tickId) {
      if (branch.some(({ tick_id }) => tick_id === tickId)) return 'shown'
      const height = await store.heightOfTick(tickId)
      if (height === undefined || height >= size) return 'none'
      return (await showsAny(store, height)) ? 'shown' : 'removed'
    },
    async find(asked) {
      const found = new Map(await transactionsById(store, asked, size))
      const wanted = new Set(asked)
      const places = await store.placesByHash([...shownByHash.keys()])
      for (const [at, tx] of [...shownByHash.values()].entries()) {
        if (wanted.has(tx.id) && (places[at]?.height ?? size) < size) found.set(tx.id, tx)
      }
      for (const tx of branch) if (wanted.has(tx.id)) found.set(tx.id, tx)
      return found
    },
    async mayHide(asked) {
      if (asked.length > 0 && (await hidesUnknown())) return asked.map(() => true)
      const heights = await store.heightsOfIds(asked)
      return heights.map((height) => height !== undefined && height < size)
    },
    hidesUnknown,
    async correctionsOf(tradeIds) {
      const corrections = new Map<string, Correction[] | undefined>(tradeIds.map((id) => [id, []]))
      const places: (TransactionPlace & { readonly of: string })[] = []
      for (const of of corrections.keys()) {
        for (const place of await store.correctionsOf(of)) if (place.height < size) places.push({ ...place, of })
      }
      const stored = await transactionsAt(store, places)
      for (const [at, { of }] of places.entries()) {
        const tx = stored[at]
        const body = tx?.kind === 'redacted' ? shownByHash.get(tx.tx_hash) : tx
        if (body?.kind === 'correction') corrections.get(of)?.push(body)
        else corrections.set(of, undefined)
      }
      for (const tx of branch) if (tx.kind === 'correction') corrections.get(tx.corrects)?.push(tx)
      return corrections
    },
    async registered(keys) {
      const onBranch = new Set(keysNamedBy(registryTransactionsOf(branch)))
      const onChain = await store.registrations(keys)
      return new Set(keys.filter((key, at) => onBranch.has(key) || (onChain[at]?.height ?? size) < size))
    },
  }
}
