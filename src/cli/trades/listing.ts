import type { OwnTradesSource, SourcedTransaction, TimeRange } from '../../node/own-trades-source.ts'
import { addCorrection, netOf, sideOf, type CorrectionSum, type Side, type TradeNet } from '../../node/trade-words.ts'
import { formatMicro, parseDelta } from '../../protocol/decimal.ts'
import type { Trade } from '../../protocol/transaction.ts'

/** One of a household's trades, with what its corrections so far left of it. */
export interface ListedTrade {
  readonly trade: Trade
  /** `undefined` where the ids do not tell which party the household is. */
  readonly side: Side | undefined
  readonly net: TradeNet
  readonly corrections: number
  readonly tx_hash: string
  readonly height: number | null
}

export type Listed = ListedTrade | { readonly redacted: string; readonly height: number | null }

/** After corrections: energy in kWh, money in the currency of the chain. */
export interface TradeSums {
  readonly trades: number
  readonly corrected: number
  readonly redacted: number
  readonly kwh_sold: string
  readonly kwh_bought: string
  readonly earned: string
  readonly paid: string
  /** Earned less paid. */
  readonly balance: string
}

/**
 * Trades of a range by time. A correction counts for its trade whenever it was made, so corrections are read first, of all
 * times; of them the sums by trade are held, and of trades one page.
 */
export async function* listTrades(
  source: OwnTradesSource,
  range: TimeRange,
  user: string | undefined,
): AsyncGenerator<Listed, TradeSums> {
  const corrections = await sumCorrections(source)
  const micro = { sold: 0n, bought: 0n, earned: 0n, paid: 0n }
  const counts = { trades: 0, corrected: 0, redacted: 0 }
  for await (const page of source.pages(range)) {
    for (const one of page) {
      const listed = listOne(one, corrections, user)
      if (listed === undefined) continue
      yield listed
      if ('redacted' in listed) {
        counts.redacted += 1
        continue
      }
      counts.trades += 1
      if (listed.corrections > 0) counts.corrected += 1
      const kwh = parseDelta(listed.net.kwh)
      const amount = parseDelta(listed.net.total_amount)
      if (listed.side === 'sold') {
        micro.sold += kwh
        micro.earned += amount
      } else if (listed.side === 'bought') {
        micro.bought += kwh
        micro.paid += amount
      }
    }
  }
  return {
    ...counts,
    kwh_sold: formatMicro(micro.sold),
    kwh_bought: formatMicro(micro.bought),
    earned: formatMicro(micro.earned),
    paid: formatMicro(micro.paid),
    balance: formatMicro(micro.earned - micro.paid),
  }
}

const ALL_TIMES: TimeRange = { from: 0, to: Number.MAX_SAFE_INTEGER }

async function sumCorrections(source: OwnTradesSource): Promise<ReadonlyMap<string, CorrectionSum>> {
  const sums = new Map<string, CorrectionSum>()
  for await (const page of source.pages(ALL_TIMES)) {
    for (const { transaction: tx } of page) {
      if (tx.kind === 'correction') sums.set(tx.corrects, addCorrection(sums.get(tx.corrects), tx))
    }
  }
  return sums
}

function listOne(
  { transaction: tx, tx_hash, height }: SourcedTransaction,
  corrections: ReadonlyMap<string, CorrectionSum>,
  user: string | undefined,
): Listed | undefined {
  if (tx.kind === 'redacted') return { redacted: tx_hash, height }
  if (tx.kind !== 'trade') return undefined
  const sum = corrections.get(tx.id)
  return {
    trade: tx,
    side: sideOf(tx, user),
    net: netOf(tx, sum),
    corrections: sum?.count ?? 0,
    tx_hash,
    height,
  }
}

/**
 * The one party that all trades of a household have in common; `undefined` if there are none, or if two have it both.
 */
export async function commonParty(source: OwnTradesSource): Promise<string | undefined> {
  let common: readonly string[] | undefined
  for await (const page of source.pages(ALL_TIMES)) {
    for (const { transaction: tx } of page) {
      if (tx.kind !== 'trade') continue
      const parties = [tx.from_user_id, tx.to_user_id]
      common = common === undefined ? parties : common.filter((party) => parties.includes(party))
    }
  }
  return common?.length === 1 ? common[0] : undefined
}
