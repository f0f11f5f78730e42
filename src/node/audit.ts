import type { DatabaseConfig } from '../config/types.ts'
import { auditStores, type AuditReport } from '../engine/audit.ts'
import { openChainFiles } from './chain-files.ts'
import type { OnProgress } from './progress.ts'
import { withStoppedStores } from './stopped-stores.ts'

export type { AuditReport, Finding } from '../engine/audit.ts'

/** Audits a data directory whose node is stopped. Throws as `withStoppedStores`. */
export async function auditDirectory(
  data: string,
  database: DatabaseConfig,
  onProgress: OnProgress,
): Promise<AuditReport> {
  return await withStoppedStores('audit', data, database, async ({ directory, genesis, store }) => {
    const chainStore = await openChainFiles(directory)
    try {
      return await auditStores({ genesis, store, chainStore, onProgress })
    } finally {
      await chainStore.close()
    }
  })
}
