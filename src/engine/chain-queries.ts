import { ledgerError } from '../ports/errors.ts'
import type { FinalityStore } from '../ports/finality-store.ts'
import type {
  BlockStatus,
  BlockStatusAnswer,
  LatestHeaders,
  RegistryAnswer,
  RegistryChanges,
  TransactionProof,
} from '../ports/ledger.ts'
import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { requiredVotes } from '../protocol/finality.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { MAX_ACKS_OF_PAGE, type AcksParams, type AcksAnswer } from '../protocol/messages.ts'
import type { Registry } from '../protocol/registry.ts'
import { leafOf } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'

export interface ChainQueriesParts {
  readonly chain: Chain
  readonly store: Pick<FinalityStore, 'voteCounts' | 'votesOf' | 'acksOf'>
  readonly finalizer: Finalizer
  /** When the block of this height became final, Unix milliseconds; null while it is not. */
  readonly finalizedAt: (height: number) => Promise<number | null>
}

type TransactionKey = { readonly tx_id: string } | { readonly tx_hash: Hash }

/** What can be asked of the chain itself, on an authority as on a validator. */
export function chainQueries({ chain, store, finalizer, finalizedAt }: ChainQueriesParts) {
  const statusOf = (height: number): BlockStatus => (height <= finalizer.finalHeight ? 'final' : 'proposed')
  /** Without the body, which may be large. */
  const headerOf = async (blockHash: Hash): Promise<Header> => (await chain.sealedAnywhere(blockHash)).header

  async function headersFrom(from: number, count: number): Promise<LatestHeaders> {
    const { tip } = chain
    const stored = tip === null ? [] : await chain.headers(from, count)
    const headers = stored.map(({ header, signature, hash }) => ({
      header,
      header_hash: hash,
      signature,
      status: statusOf(header.height),
    }))
    return { chain_id: chain.chainId, tip_height: tip?.header.height ?? null, headers }
  }
  return {
    latestHeaders: (n: number) => headersFrom(Math.max(0, chain.size - n), n),
    headers: headersFrom,

    block: (blockHash: Hash) => chain.block(blockHash),

    async blockProof(blockHash: Hash, by: TransactionKey) {
      const { header } = await chain.headerOf(blockHash)
      const proof = await chain.transactionProof(by, null)
      if (hashHeader(proof.header) !== blockHash) {
        throw ledgerError('unknown_transaction', { id: 'tx_id' in by ? by.tx_id : by.tx_hash })
      }
      const { tx_hash, merkle_proof } = proof
      return { block_hash: blockHash, tx_hash, ...merkle_proof, merkle_root: header.merkle_root }
    },

    async transactionProof(by: TransactionKey, atHeight: number | null): Promise<TransactionProof> {
      const proof = await chain.transactionProof(by, atHeight)
      const { header, merkle_proof } = proof
      const [body] = await chain.transactionsAt(header.height, [merkle_proof.index])
      const redacted = body?.kind === 'redacted'
      return { ...proof, header_hash: hashHeader(header), status: statusOf(header.height), redacted }
    },

    async blockStatus(blockHash: Hash): Promise<BlockStatusAnswer> {
      const { height } = await headerOf(blockHash)
      const counts = (await store.voteCounts([blockHash])).get(blockHash) ?? { ack: 0, reject: 0 }
      const isOnChain = (await chain.heightOf(blockHash)) === height
      const { finality } = await chain.registryBefore(height)
      return {
        block_hash: blockHash,
        height,
        status: isOnChain ? statusOf(height) : 'orphaned',
        policy: finality.policy,
        votes: { ...counts, required: requiredVotes(finality) },
        finalized_at: isOnChain ? await finalizedAt(height) : null,
      }
    },

    async votes(blockHash: Hash) {
      const registry = await chain.registryBefore((await headerOf(blockHash)).height)
      const stored = await store.votesOf(blockHash)
      return stored.flatMap((vote) => {
        const entry = registry.entry(vote.voter_id)
        return entry === undefined ? [] : [{ vote, entry }]
      })
    },

    async acksOf({ voter_id, from_height }: AcksParams): Promise<AcksAnswer> {
      const acks = await store.acksOf(voter_id, from_height, MAX_ACKS_OF_PAGE + 1)
      const votes: AcksAnswer['votes'][number][] = []
      for (const vote of acks) {
        const entry = (await chain.registryBefore(vote.height)).entry(voter_id) ?? chain.registry.entry(voter_id)
        if (entry !== undefined) votes.push({ vote, entry })
      }
      const next = acks[MAX_ACKS_OF_PAGE]?.height
      if (next === undefined) return { votes }
      const page = votes.filter(({ vote }) => vote.height < next)
      // Who acks that many blocks of one height is not owed all of them.
      return page.length === 0
        ? { votes: votes.slice(0, MAX_ACKS_OF_PAGE), next_height: next + 1 }
        : { votes: page, next_height: next }
    },

    historyInclusion: (height: number, size: number) => chain.inclusion(height, size),
    historyConsistency: (from: number, to: number) => chain.consistency(from, to),
  }
}

/** What can be asked of the registry: as of the tip, and how it came to be. */
export function registryQueries(chain: Chain) {
  return {
    registry: (): RegistryAnswer => registryAnswer(chain.size - 1, chain.registry),
    async registryAt(height: number): Promise<RegistryAnswer> {
      if (height >= chain.size)
        throw ledgerError('out_of_range', { what: 'at_height', value: height, limit: chain.size })
      return registryAnswer(height, await chain.registryBefore(height + 1))
    },
    async registryChanges(from: number, limit: number): Promise<RegistryChanges> {
      const height = chain.tip?.header.height ?? null
      const heights = await chain.registryHeights(from, limit + 1)
      const changes = await Promise.all(
        heights.slice(0, limit).map(async (at) => registryBlock(await chain.blockAt(at))),
      )
      return { height, changes, next: heights[limit] ?? null }
    },
    activeEntry: (id: string) => chain.registry.active(id),
  }
}

const registryAnswer = (height: number, registry: Registry): RegistryAnswer => ({
  height: height < 0 ? null : height,
  registry_root: registry.root,
  policy: registry.policy,
  // Made where they are asked for: there may be many.
  get entries() {
    return registry.entries
  },
  page: (fromSlot, limit) => registry.page(fromSlot, limit),
})

/** A change of the registry is open to everybody; what else its block might hold is not. */
const registryBlock = ({ header, signature, transactions }: ShownBlock): ShownBlock => ({
  header,
  signature,
  transactions: transactions.map((tx) => (tx.kind === 'registry' ? tx : { kind: 'redacted', tx_hash: leafOf(tx) })),
})
