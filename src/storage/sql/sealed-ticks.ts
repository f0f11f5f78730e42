import type { Selectable } from 'kysely'
import type { MarketStore, SealedTick } from '../../ports/market-store.ts'
import { inTurns } from '../../ports/turns.ts'
import { mapInPieces } from '../../protocol/pieces.ts'
import { oneOf } from '../../protocol/shape.ts'
import { decodeValue } from '../decode.ts'
import { decodeShown, toSafeInteger } from './rows.ts'
import type { Database, TransactionsTable } from './schema.ts'

export const sourceShape = oneOf('market', 'platform', 'registry', 'restored')

/** Ticks by the heights of their blocks, for those who read the whole chain. */
export function sealedTicks(db: Database): Pick<MarketStore, 'sealedTicks'> {
  return {
    async sealedTicks(fromHeight, toHeight) {
      const ticks = await db
        .selectFrom('blocks')
        .innerJoin('ticks', 'ticks.tick_id', 'blocks.tick_id')
        .select(['blocks.height', 'ticks.tick_id', 'ticks.timestamp', 'ticks.source', 'ticks.content_hash'])
        .where('blocks.height', '>=', BigInt(fromHeight))
        .where('blocks.height', '<', BigInt(toHeight))
        .execute()
      const rows = await db
        .selectFrom('blocks')
        .innerJoin('transactions', 'transactions.tick_id', 'blocks.tick_id')
        .selectAll('transactions')
        .where('blocks.height', '>=', BigInt(fromHeight))
        .where('blocks.height', '<', BigInt(toHeight))
        .orderBy('blocks.height')
        .orderBy('transactions.position')
        .execute()
      const rowsOf = byTick(rows)
      const sealed = new Map<number, SealedTick>()
      for (const { height, tick_id, timestamp, source, content_hash } of ticks) {
        const own = rowsOf.get(tick_id) ?? []
        sealed.set(toSafeInteger(height, `blocks ${tick_id} height`), {
          tick_id,
          timestamp: toSafeInteger(timestamp, `ticks ${tick_id} timestamp`),
          transactions: await inTurns(mapInPieces(own, decodeShown)),
          tx_ids: own.map(({ id }) => id),
          source: decodeValue(`ticks ${tick_id} source`, source, sourceShape),
          content_hash,
          tx_hashes: own.map(({ tx_hash }) => tx_hash),
        })
      }
      return sealed
    },
  }
}

type Row = Selectable<TransactionsTable>

function byTick(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const ticks = new Map<string, Row[]>()
  for (const row of rows) {
    const known = ticks.get(row.tick_id)
    if (known === undefined) ticks.set(row.tick_id, [row])
    else known.push(row)
  }
  return ticks
}
