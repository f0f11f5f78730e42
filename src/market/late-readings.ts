import { formatDelta, multiplyToAmount } from '../protocol/decimal.ts'
import { sha256Hex } from '../protocol/hash.ts'

/** A trade as its corrections so far have left it, in micro-units. */
export interface TradeState {
  readonly id: string
  readonly from_user_id: string
  readonly to_user_id: string
  readonly priceMicro: bigint
  readonly kwhMicro: bigint
  readonly amountMicro: bigint
  /** Corrections that there are. */
  readonly corrections: number
}

/** What a meter says now of a household in an interval that was traded: pv - load, micro-kWh. */
export interface LateReading {
  readonly household: string
  readonly netMicro: bigint
}

/** A correction as a platform posts it. */
export interface CorrectionRow {
  readonly kind: 'correction'
  readonly id: string
  readonly corrects: string
  readonly kwh_delta: string
  readonly amount_delta: string
  readonly reason: string
  /** Unix milliseconds. */
  readonly timestamp: number
}

/**
 * The corrections that late readings of one interval take (docs/operations.md). A household cannot have sold more than it had left, nor
 * bought more than it needed: what it traded beyond that is taken back, from its last trade on, at the price of each trade. A
 * reading that covers what was traded changes nothing; a trade is only ever lowered. All of it follows from the trades as
 * they are now, so applied again it gives nothing.
 *
 * @param trades of the interval, in the order of its block
 */
export function lateCorrections(
  trades: readonly TradeState[],
  readings: readonly LateReading[],
  { timestamp, amountDecimals }: { readonly timestamp: number; readonly amountDecimals: number },
): readonly CorrectionRow[] {
  const now = new Map(trades.map((trade) => [trade.id, trade]))
  const rows: CorrectionRow[] = []

  /** Takes back what the household traded on one side beyond `limit`. */
  function lower(household: string, side: 'from_user_id' | 'to_user_id', limit: bigint): void {
    const own = [...now.values()].filter((trade) => trade[side] === household)
    let excess = own.reduce((sum, { kwhMicro }) => sum + kwhMicro, 0n) - limit
    for (const trade of own.toReversed()) {
      if (excess <= 0n) return
      const taken = excess < trade.kwhMicro ? excess : trade.kwhMicro
      if (taken === 0n) continue
      excess -= taken
      const kwhMicro = trade.kwhMicro - taken
      // What other corrections did to the amount stays; nobody is owed less than nothing.
      const worth = (micro: bigint) => multiplyToAmount(micro, trade.priceMicro, amountDecimals)
      const lowered = trade.amountMicro + worth(kwhMicro) - worth(trade.kwhMicro)
      const amountMicro = lowered > 0n ? lowered : 0n
      const corrections = trade.corrections + 1
      now.set(trade.id, { ...trade, kwhMicro, amountMicro, corrections })
      rows.push({
        kind: 'correction',
        id: lateId(trade.id, corrections),
        corrects: trade.id,
        kwh_delta: formatDelta(-taken),
        amount_delta: formatDelta(amountMicro - trade.amountMicro),
        reason: `late meter reading of ${household}`,
        timestamp,
      })
    }
  }

  for (const { household, netMicro } of readings) {
    lower(household, 'from_user_id', netMicro > 0n ? netMicro : 0n)
    lower(household, 'to_user_id', netMicro < 0n ? -netMicro : 0n)
  }
  return rows
}

const MAX_IDENTIFIER_LENGTH = 64

/** Names the `count`th correction of a trade, or of the trades of a tick. */
export function lateId(id: string, count: number): string {
  const plain = `${id}.late-${count}`
  return plain.length <= MAX_IDENTIFIER_LENGTH ? plain : sha256Hex(plain)
}
