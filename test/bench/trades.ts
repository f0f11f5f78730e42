import { tradeId } from '../../src/market/trades.ts'
import type { PlatformTick } from '../../src/ports/ledger.ts'
import type { TickCommit } from '../../src/ports/market-store.ts'
import { formatQuantity, multiplyToAmount } from '../../src/protocol/decimal.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { hashTransaction, type Trade } from '../../src/protocol/transaction.ts'

const HOUSEHOLDS = 500
const INTERVAL_MS = 300_000

/** Trades between 500 roofs and 500 flats, each of its own quantity and price. The same arguments give the same trades. */
export function tradesOfTick(tickId: string, count: number, timestamp: number): Trade[] {
  return Array.from({ length: count }, (_, index): Trade => {
    const kwh = BigInt(10_000 + ((index * 7_919) % 4_990_000))
    const price = BigInt(80_000 + ((index * 104_729) % 240_000))
    return {
      kind: 'trade',
      id: tradeId(tickId, index),
      from_user_id: `roof-${index % HOUSEHOLDS}`,
      to_user_id: `flat-${(index * 31) % HOUSEHOLDS}`,
      kwh: formatQuantity(kwh),
      price_per_kwh: formatQuantity(price),
      total_amount: formatQuantity(multiplyToAmount(kwh, price, 6)),
      timestamp,
      tick_id: tickId,
      nonce: sha256Hex(`${tickId} ${index}`).slice(0, 32),
    }
  })
}

/** The times of ticks that follow each other by five minutes and end in the present, as none may be from the future. */
export function ticksUntilNow(count: number): (round: number) => number {
  const end = Math.floor(Date.now() / INTERVAL_MS) * INTERVAL_MS
  return (round) => end - (count - round) * INTERVAL_MS
}

/** A tick as a platform posts it. */
export function platformTick(tick_id: string, count: number, timestamp: number): PlatformTick {
  const transactions = tradesOfTick(tick_id, count, timestamp).map((trade) => {
    const { kind, id, from_user_id, to_user_id, kwh, price_per_kwh, total_amount } = trade
    return { kind, id, from_user_id, to_user_id, kwh, price_per_kwh, total_amount, timestamp }
  })
  return { tick_id, timestamp, transactions }
}

/** The same tick as SQL takes it, with everything hashed before. */
export function tickCommit(tick_id: string, count: number, timestamp: number): TickCommit {
  const transactions = tradesOfTick(tick_id, count, timestamp)
  const tx_hashes = transactions.map(hashTransaction)
  const content_hash = sha256Hex(tick_id)
  return { tick_id, timestamp, transactions, tx_hashes, content_hash, source: 'platform', fills: [], parent: null }
}
