import { openArchiveFiles } from '../storage/archive/archive-files.ts'
import { openChainStore, type LevelChainStore } from '../storage/level/chain-store.ts'
import { openReplicaStore, type ReplicaStore } from '../storage/level/replica-store.ts'
import { openLightStore } from '../storage/level/light-store.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { DataDirectory } from './data-directory.ts'
import { roomFor } from './disk.ts'

/** The blocks in a data directory, wherever their bodies are. Throws `store_failed`, `corrupt`. */
export async function openChainFiles(directory: Pick<DataDirectory, 'file'>): Promise<LevelChainStore> {
  const files = await openArchiveFiles(directory.file('archive'))
  return await openChainStore(directory.file('level'), { files }, roomFor(directory.file('level')))
}

/** All that a validator keeps. Throws as the above. */
export async function openReplicaFiles(directory: Pick<DataDirectory, 'file'>): Promise<ReplicaStore> {
  const files = await openArchiveFiles(directory.file('archive'))
  return await openReplicaStore(directory.file('level'), { files }, roomFor(directory.file('level')))
}

/** What a household keeps. Throws `store_failed`. */
export const openLightFiles = (directory: Pick<DataDirectory, 'file'>): Promise<LightStore> =>
  openLightStore(directory.file('level'), roomFor(directory.file('level')))
