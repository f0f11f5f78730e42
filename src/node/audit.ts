import type { DatabaseConfig } from '../config/types.ts'
import { auditReplica } from '../engine/audit-replica.ts'
import { auditStores, type AuditReport } from '../engine/audit.ts'
import { openChainFiles } from './chain-files.ts'
import type { OnProgress } from './progress.ts'
import { modeOf, withStoppedReplica, withStoppedStores } from './stopped-stores.ts'

export type { AuditFindings, AuditReport } from '../engine/audit.ts'
export type { FindingRange } from '../engine/findings.ts'

/**
 * Audits the data directory of an authority, or of a validator (its LevelDB alone), whose node is stopped. Throws as
 * `withStoppedStores`.
 */
export async function auditDirectory(
  data: string,
  database: DatabaseConfig,
  onProgress: OnProgress,
): Promise<AuditReport> {
  if ((await modeOf(data)) === 'validator') {
    return await withStoppedReplica(data, ({ genesis, replica }) => auditReplica({ ...replica, genesis, onProgress }))
  }
  return await withStoppedStores('audit', data, database, async ({ directory, genesis, store }) => {
    const chainStore = await openChainFiles(directory)
    try {
      return await auditStores({ genesis, store, chainStore, onProgress })
    } finally {
      await chainStore.close()
    }
  })
}
