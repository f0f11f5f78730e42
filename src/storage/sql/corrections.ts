import type { NotNull } from 'kysely'
import { ledgerError } from '../../ports/errors.ts'
import { afterCorrection, refusalOfSum, sumOfTrade, type CorrectedSum } from '../../protocol/corrected-sum.ts'
import type { Correction, ShownTransaction } from '../../protocol/transaction.ts'
import { corrupt } from '../decode.ts'
import { chunks, IN_LIST } from './chunks.ts'
import type { WriteTransaction } from './dialect.ts'

export interface Parties {
  readonly from_user_id: string
  readonly to_user_id: string
}

interface RunningSum extends Parties {
  sum: CorrectedSum
}

/**
 * Checks the corrections of a tick (docs/protocol.md 3): each corrects a trade that a block has sealed, and the trade's
 * running sums stay within what a receipt can show, in the order of the tick. Gives back the parties of the corrected trades, by trade id.
 * Throws `refused_row`.
 */
export async function correctedParties(
  trx: WriteTransaction,
  transactions: readonly ShownTransaction[],
): Promise<ReadonlyMap<string, Parties>> {
  const corrections = transactions.filter((tx) => tx.kind === 'correction')
  const sums = new Map<string, RunningSum>()
  for (const ids of chunks([...new Set(corrections.map(({ corrects }) => corrects))], IN_LIST)) {
    await loadSums(trx, ids, sums)
  }
  for (const correction of corrections) applyCorrection(sums, correction)
  return sums
}

/** Sums of those of `ids` that are sealed trades. */
async function loadSums(trx: WriteTransaction, ids: readonly string[], sums: Map<string, RunningSum>): Promise<void> {
  const trades = await trx
    .selectFrom('transactions as t')
    .innerJoin('blocks', 'blocks.tick_id', 't.tick_id')
    .select(['t.id', 't.kwh', 't.total_amount', 't.from_user_id', 't.to_user_id'])
    .where('t.id', 'in', ids)
    .where('t.kind', '=', 'trade')
    // The table itself refuses a trade without parties.
    .$narrowType<{ from_user_id: NotNull; to_user_id: NotNull }>()
    .execute()
  for (const { id, kwh, total_amount, from_user_id, to_user_id } of trades) {
    const sum = sumOfTrade({ kwh: kwh ?? '0', total_amount: total_amount ?? '0' })
    sums.set(id, { from_user_id, to_user_id, sum })
  }
  const earlier = await trx
    .selectFrom('transactions')
    .select(['corrects', 'kwh_delta', 'amount_delta'])
    .where('corrects', 'in', ids)
    .execute()
  for (const { corrects, kwh_delta, amount_delta } of earlier) {
    const trade = corrects === null ? undefined : sums.get(corrects)
    if (trade === undefined) throw corrupt('transactions corrects', 'the id of a trade', String(corrects))
    trade.sum = afterCorrection(trade.sum, { kwh_delta: kwh_delta ?? '0', amount_delta: amount_delta ?? '0' })
  }
}

function applyCorrection(sums: ReadonlyMap<string, RunningSum>, correction: Correction): void {
  const { id, corrects } = correction
  const trade = sums.get(corrects)
  if (trade === undefined) throw ledgerError('refused_row', { id, reason: `${corrects} is not a sealed trade` })
  trade.sum = afterCorrection(trade.sum, correction)
  const reason = refusalOfSum(trade.sum, corrects)
  if (reason !== undefined) throw ledgerError('refused_row', { id, reason })
}
