import { access } from 'node:fs/promises'
import { auditStores, type AuditReport } from '../engine/audit.ts'
import type { DatabaseConfig } from '../config/types.ts'
import { ledgerError } from '../ports/errors.ts'
import { openChainStore } from '../storage/level/chain-store.ts'
import { openDataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { readGenesisFile } from './genesis-file.ts'
import { openMarketStore } from './market-store.ts'

export type { AuditReport, Finding } from '../engine/audit.ts'

/**
 * Audits a data directory whose node is stopped. Throws `data_directory_in_use`, `data_directory_incomplete`, `wrong_chain`
 * for a database of another chain.
 */
export async function auditDirectory(
  data: string,
  database: DatabaseConfig,
  onProgress: (blocks: number, transactions: number) => void,
): Promise<AuditReport> {
  if (database.kind === 'sqlite') await refuseMissing(data, database.path)
  const directory = await openDataDirectory(data)
  try {
    const { genesis, chainId } = await readGenesisFile(directory.file('genesis'))
    const store = await openMarketStore(database)
    try {
      const stored = await store.chainId()
      if (stored !== chainId) throw ledgerError('wrong_chain', { chain_id: stored ?? 'none', expected: chainId })
      const chainStore = await openChainStore(directory.file('level'))
      try {
        return await auditStores({ genesis, store, chainStore, onProgress })
      } finally {
        await chainStore.close()
      }
    } finally {
      await store.close()
    }
  } finally {
    directory.close()
  }
}

async function refuseMissing(directory: string, file: string): Promise<void> {
  await access(file).catch(() => {
    throw nodeError('data_directory_incomplete', { directory, file, advice: 'audit needs a chain that was started' })
  })
}
