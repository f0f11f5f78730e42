import type { BranchVotes, EvidenceStore } from '../../ports/finality-store.ts'
import type { WitnessStore } from '../../ports/witness.ts'
import type { VoterStore } from '../../ports/voter-store.ts'
import type { ArchivePlace } from './archived-bodies.ts'
import { chainStore, type LevelChainStore } from './chain-store.ts'
import { evidenceStore } from './evidence-store.ts'
import { finalityStore, finalizedAt } from './finality-store.ts'
import { keyOf } from './keyspaces.ts'
import { DURABLE, guardLevel, openLevel, readText, type CheckRoom, type TextLevel } from './level.ts'
import { voterStore } from './voter-store.ts'
import { witnessStore } from './witness-store.ts'

/** Everything that a validator keeps, in one database. */
export interface ReplicaStore {
  readonly chain: LevelChainStore
  readonly finality: BranchVotes
  readonly evidence: EvidenceStore
  readonly voter: VoterStore
  readonly witness: WitnessStore
  /** The genesis that it replicates, canonical JSON text. */
  genesis(): Promise<string | undefined>
  putGenesis(text: string): Promise<void>
  /** Writes something that is durable when it returns, and changes nothing. Throws `store_failed`. */
  checkWritable(): Promise<void>
  /** Unix milliseconds; null while the block of this height is only proposed. */
  finalizedAt(height: number): Promise<number | null>
  close(): Promise<void>
}

/** Opens a validator's store at a folder. Throws `store_failed` or `corrupt`. */
export async function openReplicaStore(
  location: string,
  archive?: ArchivePlace,
  checkRoom?: CheckRoom,
): Promise<ReplicaStore> {
  const db = await openLevel(location, checkRoom)
  try {
    return await replicaStore(db, archive)
  } catch (error) {
    await db.close()
    throw error
  }
}

/** A validator's store in a database that is open; the store closes it. Throws `store_failed` or `corrupt`. */
export async function replicaStore(db: TextLevel, archive?: ArchivePlace): Promise<ReplicaStore> {
  const chain = await chainStore(db, archive)
  return {
    chain,
    finality: finalityStore(db, async (hash) => (await chain.heightOf(hash)) !== undefined),
    evidence: evidenceStore(db),
    voter: voterStore(db),
    witness: witnessStore(db),
    genesis: guardLevel('genesis', () => readText(db, keyOf('genesis'))),
    putGenesis: guardLevel('putGenesis', (text) => db.put(keyOf('genesis'), text, DURABLE)),
    // Removing what is not there is written as well.
    checkWritable: guardLevel('checkWritable', () => db.batch().del(keyOf('genesis', 'none')).write(DURABLE)),
    finalizedAt: guardLevel('finalizedAt', (height) => finalizedAt(db, height)),
    close: () => chain.close(),
  }
}
