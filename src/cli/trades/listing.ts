import type { OwnTradesSource, SourcedTransaction, TimeRange } from '../../node/own-trades-source.ts'
import { addCorrection, netOf, type CorrectionSum, type Side, type TradeNet } from '../../node/trade-words.ts'
import { formatMicro, parseDelta } from '../../protocol/decimal.ts'
import type { Trade } from '../../protocol/transaction.ts'
import { UsageError } from '../output.ts'

/** One of a user's trades, with what its corrections so far left of it. */
export interface ListedTrade {
  readonly trade: Trade
  readonly side: Side
  readonly net: TradeNet
  readonly corrections: number
  readonly tx_hash: string
  readonly height: number | null
}

/** After corrections: energy in kWh, money in the currency of the chain. */
export interface TradeSums {
  readonly trades: number
  readonly corrected: number
  readonly kwh_sold: string
  readonly kwh_bought: string
  readonly earned: string
  readonly paid: string
  /** Earned less paid. */
  readonly balance: string
}

/** What is known of a source once it was read from its beginning to its end. */
export interface Survey {
  /** By the id of the corrected trade; of all times, as a correction counts for its trade whenever it was made. */
  readonly corrections: ReadonlyMap<string, CorrectionSum>
  readonly trades: number
  /** Who is a party of each single trade: a household, and with it a neighbour who has all its trades. */
  readonly common: readonly string[]
  /** How many trades the user that was asked for is a party of. */
  readonly ofAsked: number
}

const ALL_TIMES: TimeRange = { from: 0, to: Number.MAX_SAFE_INTEGER }

/** Reads a source once; of its trades it holds nothing. */
export async function surveyOf(source: OwnTradesSource, asked: string | undefined): Promise<Survey> {
  const corrections = new Map<string, CorrectionSum>()
  let [trades, ofAsked] = [0, 0]
  let common: readonly string[] = []
  for await (const page of source.pages(ALL_TIMES)) {
    for (const { transaction: tx } of page) {
      if (tx.kind === 'correction') corrections.set(tx.corrects, addCorrection(corrections.get(tx.corrects), tx))
      if (tx.kind !== 'trade') continue
      const parties = [tx.from_user_id, tx.to_user_id]
      common = trades === 0 ? parties : common.filter((party) => parties.includes(party))
      trades += 1
      if (asked !== undefined && parties.includes(asked)) ofAsked += 1
    }
  }
  return { corrections, trades, common, ofAsked }
}

/**
 * Whose trades are listed: the user that was asked for, else the one whom all trades have in common; null where there is no trade at all.
 * Throws UsageError where that tells nobody, or where there are trades, and none of the user.
 */
export function userOf({ trades, common, ofAsked }: Survey, asked: string | undefined): string | null {
  const names = common.join(' and ')
  if (asked !== undefined) {
    if (trades === 0 || ofAsked > 0) return asked
    const whose = names === '' ? '' : `, they are of ${names}`
    throw new UsageError(`user: ${asked} is a party of none of the trades here${whose}`)
  }
  if (trades === 0) return null
  const [one] = common
  if (one !== undefined && common.length === 1) return one
  const why = names === '' ? 'the trades here are of several users' : `all trades here are between ${names}`
  throw new UsageError(`user: ${why}: name the one whose sums you want`)
}

/** A user's trades of a range by time; gives their sums back. Holds one page. */
export async function* listTrades(
  source: OwnTradesSource,
  range: TimeRange,
  user: string,
  corrections: Survey['corrections'],
): AsyncGenerator<ListedTrade, TradeSums> {
  const micro = { sold: 0n, bought: 0n, earned: 0n, paid: 0n }
  let [trades, corrected] = [0, 0]
  for await (const page of source.pages(range)) {
    for (const one of page) {
      const listed = listOne(one, corrections, user)
      if (listed === undefined) continue
      yield listed
      trades += 1
      if (listed.corrections > 0) corrected += 1
      const kwh = parseDelta(listed.net.kwh)
      const amount = parseDelta(listed.net.total_amount)
      if (listed.side === 'sold') {
        micro.sold += kwh
        micro.earned += amount
      } else {
        micro.bought += kwh
        micro.paid += amount
      }
    }
  }
  return {
    trades,
    corrected,
    kwh_sold: formatMicro(micro.sold),
    kwh_bought: formatMicro(micro.bought),
    earned: formatMicro(micro.earned),
    paid: formatMicro(micro.paid),
    balance: formatMicro(micro.earned - micro.paid),
  }
}

/** `undefined` for what is no trade of the user: a redacted one is nobody's any more, its parties went with its body. */
function listOne(
  { transaction: tx, tx_hash, height }: SourcedTransaction,
  corrections: Survey['corrections'],
  user: string,
): ListedTrade | undefined {
  if (tx.kind !== 'trade' || (tx.from_user_id !== user && tx.to_user_id !== user)) return undefined
  const sum = corrections.get(tx.id)
  const side = tx.from_user_id === user ? 'sold' : 'bought'
  return { trade: tx, side, net: netOf(tx, sum), corrections: sum?.count ?? 0, tx_hash, height }
}
