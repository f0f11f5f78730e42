import type { ChainStore } from '../../src/ports/chain-store.ts'
import type { BranchVotes, EvidenceStore, FinalityStore } from '../../src/ports/finality-store.ts'
import type { MarketStore } from '../../src/ports/market-store.ts'
import type { VoterStore } from '../../src/ports/voter-store.ts'
import type { Hash } from '../../src/protocol/bytes.ts'
import type { ReplicaStore } from '../../src/storage/level/replica-store.ts'
import { tempPostgres, tempReplicaStore, tempSqlite, type OpenedStore } from '../helpers/stores.ts'
import { block, blockRow, commitTick, tick, trade } from './fixtures.ts'

/** A store of votes and finality, with the chain that they are on. */
export interface OpenedFinality extends OpenedStore<FinalityStore> {
  /** Hash of the header that `seal` puts at this height. */
  hashOf(height: number): Hash
  /** Puts the next block onto the chain. */
  seal(height: number): Promise<void>
  finalizedAt(height: number): Promise<number | null>
}

/** One whose chain can give up blocks. */
export interface OpenedRewindable extends OpenedStore<BranchVotes>, Omit<OpenedFinality, 'store' | 'reopen'> {
  rewind(size: number): Promise<void>
  /** Puts another block than that of `seal` at this height, and gives its hash. */
  sealOther(height: number): Promise<Hash>
}

/** A part of a whole store, closed and opened with it. */
async function partOf<Whole, Part>(
  open: () => Promise<OpenedStore<Whole>>,
  part: (whole: Whole) => Part,
): Promise<OpenedStore<Part> & { current(): Whole }> {
  const opened = await open()
  let current = opened.store
  return {
    store: part(current),
    current: () => current,
    async reopen() {
      current = await opened.reopen()
      return part(current)
    },
    cleanup: () => opened.cleanup(),
  }
}

/** Votes and finality in SQL, beside the fence. */
async function sqlFinality(open: () => Promise<OpenedStore<MarketStore>>): Promise<OpenedFinality> {
  const opened = await partOf(open, (market: MarketStore) => market)
  return {
    ...opened,
    hashOf: (height) => blockRow(height, `t${height}`).block_hash,
    async seal(height) {
      await commitTick(opened.current(), tick(`t${height}`, [trade(`t${height}`, `${height}`)]))
      await opened.current().fence(blockRow(height, `t${height}`))
    },
    finalizedAt: async (height) => (await opened.current().blocks(height, 1))[0]?.finalized_at ?? null,
  }
}

export const sqliteFinality = (): Promise<OpenedFinality> => sqlFinality(tempSqlite)
export const postgresFinality = (): Promise<OpenedFinality> => sqlFinality(tempPostgres)

/** Votes and finality in LevelDB, beside the blocks. */
export async function replicaFinality(): Promise<OpenedRewindable> {
  const opened = await partOf(tempReplicaStore, ({ finality }: ReplicaStore) => finality)
  const append = async (height: number, id: string): Promise<Hash> => {
    const next = block(height, [id])
    await opened.current().chain.append(next.block, next.hash, next.txHashes)
    return next.hash
  }
  return {
    ...opened,
    hashOf: (height) => block(height, [`${height}`]).hash,
    seal: async (height) => {
      await append(height, `${height}`)
    },
    sealOther: (height) => append(height, `other-${height}`),
    rewind: (size) => opened.current().chain.rewind(size),
    finalizedAt: (height) => opened.current().finalizedAt(height),
  }
}

export const replicaChain = (): Promise<OpenedStore<ChainStore>> => partOf(tempReplicaStore, ({ chain }) => chain)
export const replicaEvidence = (): Promise<OpenedStore<EvidenceStore>> =>
  partOf(tempReplicaStore, ({ evidence }) => evidence)
export const replicaVoter = (): Promise<OpenedStore<VoterStore>> => partOf(tempReplicaStore, ({ voter }) => voter)
