import { ledgerError } from '../ports/errors.ts'
import type { BlockRow, MarketStore, SealedTick } from '../ports/market-store.ts'

/** A block as SQL has it. */
export interface SealedBlock {
  readonly row: BlockRow
  readonly tick: SealedTick
}

/** Blocks that are asked for at once. */
export const BLOCKS_AT_ONCE = 500
/** Transactions that are in memory at once, unless one block has more. */
const TRANSACTIONS_AT_ONCE = 4_000

/**
 * The blocks of SQL from a height on, in order, some at a time: as many as fit into memory whatever the chain. Throws `corrupt`
 * where a row is damaged or missing.
 */
export async function* sealedPages(store: MarketStore, fromHeight: number): AsyncGenerator<readonly SealedBlock[]> {
  for (let height = fromHeight; ;) {
    const rows = await store.blocks(height, BLOCKS_AT_ONCE)
    for (const part of partsOf(rows)) {
      const ticks = await store.sealedTicks(height, height + part.length)
      yield part.map((row) => {
        if (row.height !== height) throw missing(`SQL, block ${height}`, 'a row', `block ${row.height} next`)
        const tick = ticks.get(height)
        if (tick === undefined) throw missing(`SQL, block ${height}`, `tick ${row.tick_id}`, 'nothing')
        height += 1
        return { row, tick }
      })
    }
    if (rows.length < BLOCKS_AT_ONCE) return
  }
}

const missing = (place: string, expected: string, found: string) => ledgerError('corrupt', { place, expected, found })

/** Splits rows, in order, by how many transactions their headers count. */
export function* partsOf(rows: readonly BlockRow[]): Generator<readonly BlockRow[]> {
  let part: BlockRow[] = []
  let count = 0
  for (const row of rows) {
    const { tx_count } = row.sealed.header
    if (part.length > 0 && count + tx_count > TRANSACTIONS_AT_ONCE) {
      yield part
      part = []
      count = 0
    }
    part.push(row)
    count += tx_count
  }
  if (part.length > 0) yield part
}
