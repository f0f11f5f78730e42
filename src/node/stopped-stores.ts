import type { DatabaseConfig } from '../config/types.ts'
import { ledgerError } from '../ports/errors.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { openDataDirectory, type DataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { readGenesisFile } from './genesis-file.ts'
import { isThere } from './level-folders.ts'
import { openMarketStore } from './market-store.ts'

/** A data directory whose node is stopped, with its SQL open. */
export interface StoppedStores {
  readonly directory: DataDirectory
  readonly genesis: Genesis
  readonly store: MarketStore
}

/**
 * Holds a data directory and its SQL for as long as `work` takes. Throws `data_directory_in_use`, `data_directory_incomplete`
 * (there is no chain), `wrong_chain` (SQL has another), and what `work` throws.
 *
 * @param name what wants them, for people
 */
export async function withStoppedStores<T>(
  name: string,
  data: string,
  database: DatabaseConfig,
  work: (stores: StoppedStores) => Promise<T>,
): Promise<T> {
  // Neither the directory nor the file is made by who only wants to look.
  if (database.kind === 'sqlite' && !(await isThere(database.path))) {
    const advice = `${name} needs a chain that was started`
    throw nodeError('data_directory_incomplete', { directory: data, file: database.path, advice })
  }
  const directory = await openDataDirectory(data)
  try {
    const { genesis, chainId } = await readGenesisFile(directory.file('genesis'))
    const store = await openMarketStore(database)
    try {
      const stored = await store.chainId()
      if (stored !== chainId) throw ledgerError('wrong_chain', { chain_id: stored ?? 'none', expected: chainId })
      return await work({ directory, genesis, store })
    } finally {
      await store.close()
    }
  } finally {
    directory.close()
  }
}
