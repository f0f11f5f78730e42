import type { DatabaseConfig } from '../config/types.ts'
import { Chain } from '../engine/chain.ts'
import { rebuildChain } from '../engine/rebuild.ts'
import { openHighWaterFile } from '../keys/high-water-file.ts'
import type { StoredHeader } from '../ports/chain-store.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { hashHeader, verifySeal } from '../protocol/header.ts'
import { openChainStore } from '../storage/level/chain-store.ts'
import { openChainFiles } from './chain-files.ts'
import type { DataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { buildingFolder, takeRebuilt } from './level-folders.ts'
import type { OnProgress } from './progress.ts'
import { withStoppedStores, type StoppedStores } from './stopped-stores.ts'

export interface RebuildReport {
  readonly blocks: number
  readonly transactions: number
}

/**
 * Makes the LevelDB of a stopped authority anew from SQL, which stays as it is. The old one stays until the new one is whole.
 * Throws as `withStoppedStores`; `rebuild_would_lose` if the old one has blocks that SQL, an older backup, lacks; `corrupt`
 * where SQL is damaged, or another chain than the one that was sealed; `data_directory_unusable` for a node that has no SQL.
 */
export async function rebuildDirectory(
  data: string,
  database: DatabaseConfig,
  onProgress: OnProgress,
): Promise<RebuildReport> {
  return await withStoppedStores('rebuild', data, database, async (stores) => {
    await refuseLoss(stores)
    const report = await build(stores, onProgress)
    await takeRebuilt(stores.directory.file('level'))
    await removeOldArchive(stores.directory)
    return report
  })
}

/**
 * The new LevelDB has every body itself. Opened with the archive of the old one it removes the files whose bodies it has, as the
 * next start would after a crash before this.
 */
async function removeOldArchive(directory: DataDirectory): Promise<void> {
  const level = await openChainFiles(directory)
  await level.close()
}

/** SQL may be an older backup: then blocks that only LevelDB has are not to be thrown away. */
async function refuseLoss({ directory, store }: StoppedStores): Promise<void> {
  if (!(await directory.has('level'))) return
  const size = ((await store.lastBlock())?.height ?? -1) + 1
  const old = await lookInto(directory)
  const wouldLose = (more: string): Error => {
    const reason = `SQL ends at block ${size - 1}, ${more}`
    return nodeError('rebuild_would_lose', { directory: directory.path, reason })
  }
  if (old !== undefined && old.size > size) throw wouldLose(`level/ at block ${old.size - 1}`)
  const sealed = await highWaterOf(directory)
  if (old === undefined && sealed !== null && sealed.height >= size) {
    throw wouldLose(`this authority has sealed block ${sealed.height}, and level/ cannot be read`)
  }
}

async function highWaterOf(directory: DataDirectory) {
  const file = await openHighWaterFile(directory.file('highWater'))
  await file.close()
  return file.mark
}

interface OldLevel {
  readonly size: number
  readonly tip: StoredHeader | undefined
}

/** Without its archive, as no body is asked for. `undefined` if it cannot be read: that is what a rebuild is for. */
async function lookInto(directory: DataDirectory): Promise<OldLevel | undefined> {
  try {
    const old = await openChainStore(directory.file('level'))
    try {
      const size = await old.size()
      const [tip] = size === 0 ? [] : await old.headers(size - 1, 1)
      return { size, tip }
    } finally {
      await old.close()
    }
  } catch (error) {
    if (isSolarError(error, 'corrupt') || isSolarError(error, 'store_failed')) return undefined
    throw error
  }
}

async function build({ directory, genesis, store }: StoppedStores, onProgress: OnProgress): Promise<RebuildReport> {
  const level = await openChainStore(buildingFolder(directory.file('level')))
  try {
    const chain = await Chain.open(genesis, level)
    const transactions = await rebuildChain({ chain, store, onProgress })
    await refuseOtherChain(directory, chain)
    return { blocks: chain.size, transactions }
  } finally {
    await level.close()
  }
}

/** What this authority has sealed, by its high-water file or the old LevelDB, must be what SQL has. Throws `corrupt`. */
async function refuseOtherChain(directory: DataDirectory, chain: Chain): Promise<void> {
  const compare = async (height: number, hash: Hash, whose: string): Promise<void> => {
    const found = await chain.hashAt(height)
    if (found === undefined || found === hash) return
    throw ledgerError('corrupt', {
      place: `SQL, block ${height} (another chain than what was sealed)`,
      expected: `header ${hash}, ${whose}`,
      found: `header ${found}`,
    })
  }
  const sealed = await highWaterOf(directory)
  if (sealed !== null) await compare(sealed.height, sealed.hash, 'which this authority has sealed (high-water file)')
  const tip = (await directory.has('level')) ? (await lookInto(directory))?.tip : undefined
  if (tip !== undefined && (await isSealed(tip, chain))) {
    await compare(tip.header.height, hashHeader(tip.header), 'as in LevelDB, with a valid seal')
  }
}

/** A header that is only damaged has no valid seal. */
async function isSealed({ header, signature }: StoredHeader, chain: Chain): Promise<boolean> {
  const sealer = (await chain.registryBefore(header.height)).active(header.miner_id, 'authority')
  return (
    sealer !== undefined && header.chain_id === chain.chainId && verifySeal({ header, signature }, sealer.public_key).ok
  )
}
