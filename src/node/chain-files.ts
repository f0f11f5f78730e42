import { openArchiveFiles } from '../storage/archive/archive-files.ts'
import { openChainStore, type LevelChainStore } from '../storage/level/chain-store.ts'
import { openReplicaStore, type ReplicaStore } from '../storage/level/replica-store.ts'
import type { DataDirectory } from './data-directory.ts'

/** The blocks in a data directory, wherever their bodies are. Throws `store_failed`, `corrupt`. */
export async function openChainFiles(directory: Pick<DataDirectory, 'file'>): Promise<LevelChainStore> {
  const files = await openArchiveFiles(directory.file('archive'))
  return await openChainStore(directory.file('level'), { files })
}

/** All that a validator keeps. Throws as the above. */
export async function openReplicaFiles(directory: Pick<DataDirectory, 'file'>): Promise<ReplicaStore> {
  const files = await openArchiveFiles(directory.file('archive'))
  return await openReplicaStore(directory.file('level'), { files })
}
