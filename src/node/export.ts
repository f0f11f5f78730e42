import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { configError } from '../config/errors.ts'
import type { DatabaseConfig } from '../config/types.ts'
import { auditChainFile, type FileAuditReport } from '../engine/audit-file.ts'
import { exportChain } from '../engine/chain-file.ts'
import { replicaSource, sqlSource, type ChainSource } from '../engine/chain-source.ts'
import { fileTrouble } from '../ports/file-trouble.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { readLines } from './lines.ts'
import { checkOutFile, writeOutFile, type OutFile } from './out-file.ts'
import type { OnProgress } from './progress.ts'
import { modeOf, withStoppedReplica, withStoppedStores } from './stopped-stores.ts'

export type { FileAuditReport } from '../engine/audit-file.ts'

/**
 * Writes the chain of an authority's or a validator's data directory, whose node is stopped, to one file. Gives back the number of
 * blocks. Throws as `withStoppedStores` and `writeOutFile`, and `corrupt` where the chain is damaged.
 */
export async function exportDirectory(
  data: string,
  database: DatabaseConfig,
  out: OutFile,
  onProgress: OnProgress,
): Promise<number> {
  await checkOutFile(out)
  const write = (genesis: Genesis, source: ChainSource) => writeChain(genesis, source, out, onProgress)
  if ((await modeOf(data)) === 'validator') {
    return await withStoppedReplica(data, ({ genesis, replica }) => write(genesis, replicaSource(replica)))
  }
  return await withStoppedStores('export', data, database, ({ genesis, store }) => write(genesis, sqlSource(store)))
}

async function writeChain(
  genesis: Genesis,
  source: ChainSource,
  out: OutFile,
  onProgress: OnProgress,
): Promise<number> {
  let lines = 0
  async function* withBreaks(): AsyncGenerator<string> {
    for await (const line of exportChain(genesis, source, onProgress)) {
      lines += 1
      yield `${line}\n`
    }
  }
  await writeOutFile(out, withBreaks())
  // The genesis and the end are no blocks.
  return lines - 2
}

/** Audits an exported chain, line by line. Throws `config_conflict` if the file cannot be read. */
export async function auditFile(
  file: string,
  chainId: Hash | undefined,
  onProgress: OnProgress,
): Promise<FileAuditReport> {
  const unreadable = (reason: string, cause?: unknown): Error =>
    configError('config_conflict', { reason: `--file: ${file}: ${reason}` }, cause)
  // Before a line is asked for, so that a file that is not there is an error and not an empty chain.
  const found = await stat(file).catch((error: unknown) => {
    throw unreadable(fileTrouble(error), error)
  })
  if (!found.isFile()) throw unreadable('expected a file that solar-node export has written')
  const source = createReadStream(file)
  try {
    return await auditChainFile({ lines: readLines(source), chainId, onProgress })
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw unreadable(fileTrouble(error), error)
    throw error
  } finally {
    source.destroy()
  }
}
