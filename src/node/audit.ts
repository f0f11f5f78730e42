import { access } from 'node:fs/promises'
import { auditStores, type AuditReport } from '../engine/audit.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { openChainFiles } from './chain-files.ts'
import { openDataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { readGenesisFile } from './genesis-file.ts'

export type { AuditReport, Finding } from '../engine/audit.ts'

/**
 * Audits a data directory whose node is stopped. Throws `data_directory_in_use`, `data_directory_incomplete`.
 *
 * @param databasePath the SQLite file
 */
export async function auditDirectory(
  data: string,
  databasePath: string,
  onProgress: (blocks: number, transactions: number) => void,
): Promise<AuditReport> {
  await access(databasePath).catch(() => {
    throw nodeError('data_directory_incomplete', {
      directory: data,
      file: databasePath,
      advice: 'audit needs a chain that was started',
    })
  })
  const directory = await openDataDirectory(data)
  try {
    const { genesis } = await readGenesisFile(directory.file('genesis'))
    const store = await openSqlite(databasePath)
    try {
      const chainStore = await openChainFiles(directory)
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
