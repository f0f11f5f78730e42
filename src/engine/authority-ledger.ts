import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { BlockStatus, BlockStatusAnswer, LatestHeaders, Ledger } from '../ports/ledger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import { checkOrder, type IntakeCode, type IntakeRules } from '../market/intake.ts'
import type { Hash } from '../protocol/bytes.ts'
import { formatQuantity } from '../protocol/decimal.ts'
import type { SolarError } from '../protocol/errors.ts'
import type { Order } from '../protocol/order.ts'
import { hashHeader } from '../protocol/header.ts'
import type { Chain } from './chain.ts'
import type { Checkpoints } from './checkpoints.ts'
import type { EventHub } from './events.ts'
import type { Finalizer } from './finalizer.ts'
import { isParty } from './parties.ts'
import { buildReceipt } from './receipt-builder.ts'
import type { TickRunner } from './tick-runner.ts'
import type { VoteCounter } from './vote-counter.ts'

export interface AuthorityLedgerParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly runner: TickRunner
  readonly votes: VoteCounter
  readonly events: EventHub
  readonly finalizer: Finalizer
  readonly checkpoints: Checkpoints
  readonly clock: Clock
  /** The smallest order, micro-kWh. */
  readonly minTradeMicro: bigint
  /** voter id -> platform user, where they differ; enrolments add to it. */
  readonly users: Map<string, string>
}

/** The authority's answers, the same for HTTP and for libp2p. */
export function createAuthorityLedger(parts: AuthorityLedgerParts): Ledger {
  const { chain, store, runner, votes, events, finalizer } = parts
  return {
    genesis: chain.genesis,
    chainId: chain.chainId,
    ...chainQueries(chain, store, finalizer),
    ...proofs(parts),
    ...registryQueries(chain, parts.users),
    async register(transaction, userId) {
      const { tick_id } = await runner.register(transaction, userId)
      if (userId !== undefined) parts.users.set(transaction.subject_id, userId)
      return { id: transaction.id, tick_id }
    },
    ...marketCalls(parts),
    castVote: async (vote) => (await votes.cast(vote)).answer,
    acceptTick: (tick) => runner.accept(tick),
    runTick: (request) => runner.run(request),
    proposeNext: () => runner.proposeNext(),
    rememberRequest: (id, expiresAt) => store.rememberRequest(id, expiresAt),
    subscribe: (listener) => events.subscribe(listener),
  }
}

function chainQueries(chain: Chain, store: MarketStore, finalizer: Finalizer) {
  const statusOf = (height: number): BlockStatus => (height <= finalizer.finalHeight ? 'final' : 'proposed')
  return {
    async latestHeaders(n: number): Promise<LatestHeaders> {
      const { tip } = chain
      const stored = tip === null ? [] : await chain.headers(Math.max(0, tip.header.height - n + 1), n)
      const headers = stored.map(({ header, signature, hash }) => ({
        header,
        header_hash: hash,
        signature,
        status: statusOf(header.height),
      }))
      return { chain_id: chain.chainId, tip_height: tip?.header.height ?? null, headers }
    },

    block: (blockHash: Hash) => chain.block(blockHash),

    async blockProof(blockHash: Hash, by: { readonly tx_id: string } | { readonly tx_hash: Hash }) {
      const { header } = await chain.headerOf(blockHash)
      const proof = await chain.transactionProof(by, null)
      if (hashHeader(proof.header) !== blockHash) {
        throw ledgerError('unknown_transaction', { id: 'tx_id' in by ? by.tx_id : by.tx_hash })
      }
      const { tx_hash, merkle_proof } = proof
      return { block_hash: blockHash, tx_hash, ...merkle_proof, merkle_root: header.merkle_root }
    },

    async blockStatus(blockHash: Hash): Promise<BlockStatusAnswer> {
      const row = await store.blockByHash(blockHash)
      if (row === undefined) throw ledgerError('unknown_block', { block_hash: blockHash })
      const counts = (await store.voteCounts([blockHash])).get(blockHash) ?? { ack: 0, reject: 0 }
      return {
        block_hash: blockHash,
        height: row.height,
        status: statusOf(row.height),
        policy: chain.registryBefore(row.height).finality.policy,
        votes: { ...counts, required: finalizer.required(row.height) },
        finalized_at: row.finalized_at,
      }
    },

    async votes(blockHash: Hash) {
      const { header } = await chain.headerOf(blockHash)
      const registry = chain.registryBefore(header.height)
      const stored = await store.votesOf(blockHash)
      return stored.flatMap((vote) => {
        const entry = registry.entry(vote.voter_id)
        return entry === undefined ? [] : [{ vote, entry }]
      })
    },

    historyInclusion: (height: number, size: number) => chain.inclusion(height, size),
    historyConsistency: (from: number, to: number) => chain.consistency(from, to),
  }
}

/** What proves itself to those who cannot ask: receipts and checkpoints. */
function proofs({ chain, store, finalizer, checkpoints }: AuthorityLedgerParts) {
  const anchorHeight = () => finalizer.finalHeight
  /** Without a final header, or the key of the present authority, a receipt has no checkpoint. */
  const checkpoint = () => (finalizer.finalHeight < 0 ? Promise.resolve(undefined) : checkpoints.published())
  return {
    async receipt(id: string, userId?: string) {
      if (userId !== undefined && !(await isParty(chain, await chain.transaction(id), userId))) {
        throw ledgerError('forbidden', { reason: `${userId} is no party of transaction ${id}` })
      }
      return await buildReceipt({ chain, acks: store, anchorHeight, checkpoint }, id)
    },

    checkpoint: async () => (await checkpoints.published()).note,
  }
}

function registryQueries(chain: Chain, users: ReadonlyMap<string, string>) {
  const userOf = (voterId: string): string => users.get(voterId) ?? voterId
  return {
    userOf,
    registry() {
      const { policy, root, entries } = chain.registry
      return { height: chain.tip?.header.height ?? null, registry_root: root, policy, entries }
    },
    activeEntry: (id: string) => chain.registry.active(id),
    devicesOf: (userId: string) => chain.registry.activeOf('voter').filter((entry) => userOf(entry.id) === userId),
  }
}

function marketCalls({ store, clock, minTradeMicro }: AuthorityLedgerParts) {
  return {
    async placeOrder(order: Order): Promise<'created' | 'same'> {
      const rules = { minTradeMicro, now: clock.now() }
      const verdict = checkOrder(order, rules)
      if (!verdict.ok) throw refusedOrder(order, verdict.code, verdict.reason, rules)
      const outcome = await store.putOrder(order)
      if (outcome === 'different') throw ledgerError('order_conflict', { order_id: order.order_id })
      return outcome
    },

    async order(orderId: string) {
      const state = await store.order(orderId)
      if (state === undefined) throw ledgerError('unknown_order', { order_id: orderId })
      return state
    },

    transactions: (query: Parameters<MarketStore['transactions']>[0]) => store.transactions(query),
  }
}

function refusedOrder(
  { order_id, kwh, timestamp }: Order,
  code: IntakeCode,
  reason: string,
  rules: IntakeRules,
): SolarError {
  switch (code) {
    case 'order_too_small':
      return ledgerError('order_too_small', { order_id, kwh, minimum: formatQuantity(rules.minTradeMicro) })
    case 'from_the_future':
      return ledgerError('from_the_future', { what: `order ${order_id}`, timestamp, now: rules.now })
    case 'order_too_large':
    case 'never_valid':
      return ledgerError('refused_row', { id: order_id, reason })
  }
}
