import { ledgerError, type LedgerErrorCode } from '../ports/errors.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import { checkOrder, MAX_OPEN_ORDERS, type IntakeCode, type IntakeRules } from '../market/intake.ts'
import { formatQuantity } from '../protocol/decimal.ts'
import { isSolarError, type SolarError } from '../protocol/errors.ts'
import type { Order } from '../protocol/order.ts'
import { isByAuthority } from '../protocol/registry-rules.ts'
import type { RegistryTransaction } from '../protocol/registry-transaction.ts'
import { chainQueries, registryQueries } from './chain-queries.ts'
import type { Checkpoints } from './checkpoints.ts'
import { countersignedByOwn } from './countersigner.ts'
import type { EventHub } from './events.ts'
import type { EvidencePool } from './evidence-pool.ts'
import type { Finalizer } from './finalizer.ts'
import { platformUsers, type PlatformUsersParts } from './platform-users.ts'
import { receiptsOf } from './receipt-builder.ts'
import type { TickRunner } from './tick-runner.ts'
import type { VoteCounter } from './vote-counter.ts'

export interface AuthorityLedgerParts extends PlatformUsersParts {
  readonly store: MarketStore
  readonly runner: TickRunner
  readonly votes: VoteCounter
  readonly events: EventHub
  readonly finalizer: Finalizer
  readonly evidence: EvidencePool
  readonly checkpoints: Checkpoints
  /** The smallest order, micro-kWh. */
  readonly minTradeMicro: bigint
}

/** The authority's answers, the same for HTTP and for libp2p. */
export function createAuthorityLedger(parts: AuthorityLedgerParts): Ledger {
  const { chain, store, runner, votes, events, finalizer, users } = parts

  /**
   * The user is stored with the enrolment, once. Throws `tick_conflict` where it is posted again with another; not with
   * which one the first time: an enrolment is on the chain, and who may enrol for some users could else ask about all.
   */
  async function checkUser({ subject_id, tick_id }: RegistryTransaction, asked: string | undefined): Promise<void> {
    const stored = (await store.users(subject_id)).get(subject_id)
    if (stored === undefined) users.delete(subject_id)
    else users.set(subject_id, stored)
    if (asked === undefined || asked === stored) return
    const difference = `${subject_id} was not enrolled for that user`
    throw ledgerError('tick_conflict', { tick_id, difference })
  }

  return {
    genesis: chain.genesis,
    chainId: chain.chainId,
    privacy: 'plain',
    userOnChain: (userId) => userId,
    namesOf: () => Promise.resolve({}),
    ...chainQueries({
      chain,
      store,
      finalizer,
      finalizedAt: async (height) => (await store.blocks(height, 1))[0]?.finalized_at ?? null,
    }),
    ...proofs(parts),
    ...registryQueries(chain),
    ...platformUsers(parts),
    async register(asked, userId, isVouchedFor = false) {
      const transaction = isVouchedFor ? await countersignedByOwn(asked, parts) : asked
      const { tick_id } = await runner.register(transaction, userNamed(transaction, userId))
      if (transaction.action === 'enrol') await checkUser(transaction, userId)
      return { id: transaction.id, tick_id }
    },
    async isOwnChange(transaction) {
      if ((await chain.heightOfTick(transaction.tick_id)) !== undefined) return false
      return !isByAuthority(transaction, chain.registry, chain.chainId)
    },
    ...marketCalls(parts),
    async castVote(vote) {
      const { outcome, answer } = await votes.cast(vote)
      return { ...answer, isNew: outcome === 'stored' }
    },
    acceptTick: (tick) => runner.accept(tick),
    runTick: (request) => runner.run(request),
    proposeNext: () => runner.proposeNext(),
    rememberRequest: (id, expiresAt) => store.rememberRequest(id, expiresAt),
    evidence: (limit) => parts.evidence.list(limit),
    subscribe: (listener) => events.subscribe(listener),
  }
}

/** Where the platform names no user for a device, it says that the device's id is that of its user. */
const userNamed = (transaction: RegistryTransaction, userId: string | undefined): string | undefined =>
  userId ?? (transaction.action === 'enrol' && transaction.role === 'voter' ? transaction.subject_id : undefined)

/** The authority is revoked, or its key or signer is not at hand. */
const KEY_IS_AWAY = ['not_ready', 'signer_refused', 'already_signed'] satisfies LedgerErrorCode[]

/** What proves itself to those who cannot ask: receipts and checkpoints. */
function proofs({ chain, store, finalizer, checkpoints }: AuthorityLedgerParts) {
  const anchorHeight = () => finalizer.finalHeight
  /** Without a final header, or the key of the present authority, a receipt has no checkpoint. */
  async function checkpoint() {
    if (finalizer.finalHeight < 0) return undefined
    try {
      return await checkpoints.published()
    } catch (error) {
      if (KEY_IS_AWAY.some((code) => isSolarError(error, code))) return undefined
      throw error
    }
  }
  return {
    receipt: receiptsOf({ chain, acks: store, anchorHeight, checkpoint }),
    checkpoint: async () => (await checkpoints.published()).note,
  }
}

function marketCalls({ store, clock, minTradeMicro }: AuthorityLedgerParts) {
  return {
    async placeOrder(order: Order): Promise<'created' | 'same'> {
      const rules = { minTradeMicro, now: clock.now() }
      const verdict = checkOrder(order, rules)
      if (!verdict.ok) throw refusedOrder(order, verdict.code, verdict.reason, rules)
      const outcome = await store.putOrder(order, rules.now, MAX_OPEN_ORDERS)
      const { order_id, user_id, timestamp } = order
      if (outcome === 'different') throw ledgerError('order_conflict', { order_id })
      if (outcome === 'too_many') throw ledgerError('too_many_orders', { order_id, user_id, limit: MAX_OPEN_ORDERS })
      if (typeof outcome === 'string') return outcome
      throw ledgerError('interval_closed', { order_id, tick_id: outcome.closed_by, timestamp })
    },

    async order(orderId: string) {
      const state = await store.order(orderId)
      if (state === undefined) throw ledgerError('unknown_order', { order_id: orderId })
      return state
    },

    async cancelOrder(orderId: string) {
      const state = await store.cancelOrder(orderId)
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
