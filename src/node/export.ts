import { createReadStream, createWriteStream } from 'node:fs'
import { access, rename, rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { auditChainFile, type FileAuditReport } from '../engine/audit-file.ts'
import { exportChain } from '../engine/chain-file.ts'
import type { DatabaseConfig } from '../config/types.ts'
import type { Hash } from '../protocol/bytes.ts'
import { openDataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { readGenesisFile } from './genesis-file.ts'
import { openMarketStore } from './market-store.ts'

export type { FileAuditReport } from '../engine/audit-file.ts'

/**
 * Writes the chain of a data directory whose node is stopped to one file, whole or not at all. Gives back the number of blocks.
 * Throws `data_directory_in_use`, `data_directory_incomplete`.
 */
export async function exportDirectory(data: string, database: DatabaseConfig, out: string): Promise<number> {
  if (database.kind === 'sqlite') await refuseMissing(data, database.path)
  const directory = await openDataDirectory(data)
  const temporary = `${out}.tmp`
  try {
    const { genesis } = await readGenesisFile(directory.file('genesis'))
    const store = await openMarketStore(database)
    let lines = 0
    async function* withBreaks(): AsyncGenerator<string> {
      for await (const line of exportChain(genesis, store)) {
        lines += 1
        yield `${line}\n`
      }
    }
    try {
      await pipeline(Readable.from(withBreaks()), createWriteStream(temporary, { mode: 0o600, flush: true }))
      await rename(temporary, out)
    } finally {
      await store.close()
    }
    // The genesis and the end are no blocks.
    return lines - 2
  } finally {
    await rm(temporary, { force: true })
    directory.close()
  }
}

async function refuseMissing(directory: string, file: string): Promise<void> {
  await access(file).catch(() => {
    throw nodeError('data_directory_incomplete', { directory, file, advice: 'export needs a chain that was started' })
  })
}

/** Audits an exported chain, line by line. Rejects if the file cannot be read. */
export async function auditFile(
  file: string,
  chainId: Hash | undefined,
  onProgress: (blocks: number, transactions: number) => void,
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
