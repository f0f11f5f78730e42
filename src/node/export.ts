import { createReadStream, createWriteStream } from 'node:fs'
import { access, rename, rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { DatabaseConfig } from '../config/types.ts'
import { auditChainFile, type FileAuditReport } from '../engine/audit-file.ts'
import { exportChain } from '../engine/chain-file.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { OnProgress } from './progress.ts'
import { withStoppedStores } from './stopped-stores.ts'

export type { FileAuditReport } from '../engine/audit-file.ts'

/**
 * Writes the chain of a data directory whose node is stopped to one file, whole or not at all. Gives back the number of blocks.
 * Throws as `withStoppedStores`, and `corrupt` where SQL is damaged.
 */
export async function exportDirectory(
  data: string,
  database: DatabaseConfig,
  out: string,
  onProgress: OnProgress,
): Promise<number> {
  return await withStoppedStores('export', data, database, async ({ genesis, store }) => {
    const temporary = `${out}.tmp`
    let lines = 0
    async function* withBreaks(): AsyncGenerator<string> {
      for await (const line of exportChain(genesis, store, onProgress)) {
        lines += 1
        yield `${line}\n`
      }
    }
    try {
      await pipeline(Readable.from(withBreaks()), createWriteStream(temporary, { mode: 0o600, flush: true }))
      await rename(temporary, out)
    } finally {
      await rm(temporary, { force: true })
    }
    // The genesis and the end are no blocks.
    return lines - 2
  })
}

/** Audits an exported chain, line by line. Rejects if the file cannot be read. */
export async function auditFile(
  file: string,
  chainId: Hash | undefined,
  onProgress: OnProgress,
): Promise<FileAuditReport> {
  // Before a line is asked for, so that a file that is not there is an error and not an empty chain.
  await access(file)
  const source = createReadStream(file)
  const lines = createInterface({ input: source, crlfDelay: Infinity })
  try {
    return await auditChainFile({ lines, chainId, onProgress })
  } finally {
    lines.close()
    source.destroy()
  }
}
