import type { ChainStore } from '../ports/chain-store.ts'
import type { BlockRow, MarketStore, SealedTick } from '../ports/market-store.ts'
import type { ShownBlock } from '../protocol/block.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { Note } from './findings.ts'
import { BLOCKS_AT_ONCE, partsOf } from './sealed-pages.ts'

type Damaged = 'SQL' | 'LevelDB'

/** What both stores hold of one height; `undefined` is not there, or cannot be read. */
export interface Held {
  readonly height: number
  readonly row: BlockRow | undefined
  readonly tick: SealedTick | undefined
  readonly block: ShownBlock | undefined
  /** Stores in which it cannot be read: that is noted already. */
  readonly damaged: readonly Damaged[]
}

interface Stores {
  readonly store: MarketStore
  readonly chainStore: ChainStore
}

/**
 * Everything that both stores hold, height by height up to the last block row of SQL, some heights at a time. Where a store
 * says that something is damaged the heights around it are read one by one, so that only what is damaged is missing.
 */
export async function* heldPages(stores: Stores, note: Note): AsyncGenerator<readonly Held[]> {
  const { store } = stores
  for (let height = 0; ;) {
    const rows = await unlessCorrupt(() => store.blocks(height, BLOCKS_AT_ONCE))
    if (rows?.length === 0) return
    const following = (rows ?? []).filter((row, index) => row.height === height + index)
    if (following.length > 0) {
      for (const part of partsOf(following)) yield* readPart(stores, part, note)
      height += following.length
      continue
    }
    for (const end = height + BLOCKS_AT_ONCE; height < end; height++) {
      const held = await readAlone(stores, height, note)
      if (held === undefined) return
      yield [held]
    }
  }
}

async function* readPart(stores: Stores, rows: readonly BlockRow[], note: Note): AsyncGenerator<readonly Held[]> {
  const { store, chainStore } = stores
  const from = rows[0]?.height ?? 0
  const read = await unlessCorrupt(() =>
    Promise.all([store.sealedTicks(from, from + rows.length), chainStore.blocks(from, rows.length)]),
  )
  if (read !== undefined) {
    const [ticks, blocks] = read
    const heldOf = (row: BlockRow, index: number): Held => {
      const { height } = row
      return { height, row, tick: ticks.get(height), block: blocks[index], damaged: [] }
    }
    yield rows.map(heldOf)
    return
  }
  for (const row of rows) yield [await readRow(stores, row, note)]
}

/** `undefined` above the last row. */
async function readAlone(stores: Stores, height: number, note: Note): Promise<Held | undefined> {
  const rows = await readOrNote(note, () => stores.store.blocks(height, 1))
  if (rows?.length === 0) return undefined
  const row = rows?.[0]
  if (row?.height === height) return await readRow(stores, row, note)
  if (row !== undefined) note(`SQL, block ${height}`, 'a row', 'nothing')
  const block = await readOrNote(note, () => stores.chainStore.block(height))
  return { height, row: undefined, tick: undefined, block, damaged: ['SQL'] }
}

async function readRow({ store, chainStore }: Stores, row: BlockRow, note: Note): Promise<Held> {
  const { height } = row
  const damaged: Damaged[] = []
  const noteIn =
    (where: Damaged): Note =>
    (...finding) => {
      damaged.push(where)
      note(...finding)
    }
  const ticks = await readOrNote(noteIn('SQL'), () => store.sealedTicks(height, height + 1))
  const block = await readOrNote(noteIn('LevelDB'), () => chainStore.block(height))
  return { height, row, tick: ticks?.get(height), block, damaged }
}

/** What a store says is damaged becomes a finding; any other failure ends the audit. */
export async function readOrNote<T>(note: Note, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!isSolarError(error, 'corrupt')) throw error
    const { place, expected, found } = error.fields as Record<'place' | 'expected' | 'found', string>
    note(place, expected, found)
    return undefined
  }
}

/** `undefined` if a store says that something of it is damaged. */
export const unlessCorrupt = <T>(read: () => Promise<T>): Promise<T | undefined> => readOrNote(() => undefined, read)
