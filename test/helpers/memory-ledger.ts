import { createHash } from 'node:crypto'
import { Chain } from '../../src/engine/chain.ts'
import { isParty } from '../../src/engine/parties.ts'
import { buildReceipt } from '../../src/engine/receipt-builder.ts'
import { ledgerError } from '../../src/ports/errors.ts'
import type {
  BlockStatus,
  BlockStatusAnswer,
  Ledger,
  LedgerEvent,
  PlatformRow,
  PlatformTick,
  TickAnswer,
} from '../../src/ports/ledger.ts'
import type { TransactionPlace } from '../../src/ports/market-store.ts'
import { assembleHeader, type Block } from '../../src/protocol/block.ts'
import type { Evidence } from '../../src/protocol/evidence.ts'
import { chainIdOf, decodeGenesis } from '../../src/protocol/genesis.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { historyLeaf, MemoryTree } from '../../src/protocol/history.ts'
import { merkleProof } from '../../src/protocol/merkle.ts'
import type { Order } from '../../src/protocol/order.ts'
import { keysNamedBy, Registry } from '../../src/protocol/registry.ts'
import { isByAuthority } from '../../src/protocol/registry-rules.ts'
import type { RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import { checkTransaction, hashTransaction, type Transaction } from '../../src/protocol/transaction.ts'
import { verifyVote, type Vote } from '../../src/protocol/vote.ts'
import { createMemoryChainStore } from './memory-chain-store.ts'
import { countersign, sealHeader, signingKeyFromSecret, signMembership, type TestKey } from './sign-now.ts'

/** The key whose 32 secret bytes all have this value. */
export const testKey = (byte: number): TestKey => signingKeyFromSecret(new Uint8Array(32).fill(byte))

export const AUTHORITY_KEY = testKey(1)
/** Registered voters and the users they belong to. */
export const DEVICES = {
  'household-7.phone': { key: testKey(7), user: 'household-7' },
  'household-9.phone': { key: testKey(9), user: 'household-9' },
} as const
export type DeviceId = keyof typeof DEVICES

/** The recovery key of household-7.phone. */
export const RECOVERY_KEY = testKey(77)
const genesisEntry = (id: string, role: 'authority' | 'voter', key: TestKey) => ({
  id,
  role,
  public_key: key.publicKey,
  recovery_key: id === 'household-7.phone' ? RECOVERY_KEY.publicKey : null,
})
export const TEST_GENESIS = decodeGenesis({
  version: 1,
  name: 'Test Street',
  origin: 'ledger.example.org/test',
  created_at: 1_700_000_000_000,
  currency: 'EUR',
  amount_decimals: 6,
  seal: 'authority',
  difficulty: 0,
  finality: { policy: 'votes', threshold: 2 },
  registry: [
    genesisEntry('authority-1', 'authority', AUTHORITY_KEY),
    ...Object.entries(DEVICES).map(([id, { key }]) => genesisEntry(id, 'voter', key)),
  ],
})

interface Sealed {
  readonly block: Block
  readonly hash: string
  readonly txHashes: readonly string[]
  readonly votes: Vote[]
}

export interface MemoryLedger extends Ledger {
  /** Tells the listeners; evidence is kept too. */
  emit(event: LedgerEvent): void
  /** Ticks that `proposeNext` still has to seal. */
  readonly waiting: PlatformTick[]
  listeners(): number
}

const bare = (row: PlatformRow, tick_id: string): Transaction => ({
  ...row,
  tick_id,
  nonce: createHash('sha256').update(`${tick_id}/${row.id}`).digest('hex').slice(0, 32),
})

/** What the promise of a ledger's method does: a thrown error becomes a rejection. */
const later =
  <Args extends unknown[], R>(answer: (...args: Args) => R) =>
  (...args: Args): Promise<R> =>
    Promise.resolve().then(() => answer(...args))

/**
 * A ledger in memory: real headers, seals, trees, votes and registry changes, no durability, no market, and as many votes
 * as votes:2 asks for whatever the policy. It stands on the far side of what is tested.
 */
export function createMemoryLedger(): MemoryLedger {
  const chainId = chainIdOf(TEST_GENESIS)
  let registry = Registry.fromGenesis(TEST_GENESIS)
  const users = new Map<string, string>(Object.entries(DEVICES).map(([id, { user }]) => [id, user]))
  const history = new MemoryTree()
  const chain: Sealed[] = []
  /** After each block. */
  const registries: Registry[] = []
  /** That were registered since the genesis. */
  const keys = new Set<string>()
  const ticks = new Map<string, { content: string; answer: TickAnswer }>()
  const orders = new Map<string, Order>()
  const requests = new Set<string>()
  const listeners = new Set<(event: LedgerEvent) => void>()
  const waiting: PlatformTick[] = []
  const evidence: Evidence[] = []
  const emit = (event: LedgerEvent) => {
    if (event.type === 'evidence') evidence.unshift(event.evidence)
    listeners.forEach((listener) => listener(event))
  }

  const find = (hash: string): Sealed => {
    const found = chain.find((sealed) => sealed.hash === hash)
    if (found === undefined) throw ledgerError('unknown_block', { block_hash: hash })
    return found
  }
  const count = ({ votes }: Sealed) => ({
    ack: votes.filter((vote) => vote.decision === 'ack').length,
    reject: votes.filter((vote) => vote.decision === 'reject').length,
    required: 2,
  })
  const statusOf = (sealed: Sealed): BlockStatus => (count(sealed).ack >= 2 ? 'final' : 'proposed')

  function seal(tick: PlatformTick): TickAnswer {
    return sealTransactions(
      tick,
      tick.transactions.map((row) => bare(row, tick.tick_id)),
    )
  }

  function sealTransactions(
    tick: Pick<PlatformTick, 'tick_id' | 'timestamp'>,
    transactions: readonly Transaction[],
  ): TickAnswer {
    for (const tx of transactions) checkTransaction(tx, TEST_GENESIS.amount_decimals)
    if (transactions.length === 0) {
      return {
        tick_id: tick.tick_id,
        height: null,
        block_hash: null,
        header_hash: null,
        merkle_root: null,
        transactions: [],
      }
    }
    const txHashes = transactions.map(hashTransaction)
    const last = chain.at(-1)
    const parent = last === undefined ? null : { header: last.block.header, hash: last.hash }
    const tip = { parent, historyRoot: history.root() }
    const header = assembleHeader(TEST_GENESIS, chainId, tip, tick, txHashes, registry.root, 'authority-1')
    const sealed = sealHeader(header, AUTHORITY_KEY)
    const hash = hashHeader(header)
    chain.push({ block: { ...sealed, transactions }, hash, txHashes, votes: [] })
    registries.push(registry)
    history.append(historyLeaf(hash))
    emit({ type: 'header', header_hash: hash, sealed, status: 'proposed' })
    return {
      tick_id: tick.tick_id,
      height: header.height,
      block_hash: hash,
      header_hash: hash,
      merkle_root: header.merkle_root,
      transactions: transactions.map(({ id }, index) => ({ id, tx_hash: txHashes[index]! })),
    }
  }

  /** The answer of a tick that was committed before, or of `commit` now. */
  function once(tick_id: string, content: string, commit: () => TickAnswer): TickAnswer {
    const known = ticks.get(tick_id)
    if (known !== undefined && known.content !== content) {
      throw ledgerError('tick_conflict', { tick_id, difference: 'content' })
    }
    const answer = known?.answer ?? commit()
    ticks.set(tick_id, { content, answer })
    return answer
  }
  const accept = (tick: PlatformTick): TickAnswer => once(tick.tick_id, JSON.stringify(tick), () => seal(tick))

  function register(asked: RegistryTransaction, userId?: string, isVouchedFor = false) {
    const isCountersigned = isVouchedFor && asked.action === 'recover'
    const tx = isCountersigned ? countersign(asked, 'authority-1', chainId, AUTHORITY_KEY) : asked
    once(tx.tick_id, JSON.stringify([tx, userId]), () => {
      registry = registry.after([tx], chain.length, keys)
      for (const key of keysNamedBy([tx])) keys.add(key)
      if (userId !== undefined) users.set(tx.subject_id, userId)
      return sealTransactions(tx, [tx])
    })
    return { id: tx.id, tick_id: tx.tick_id }
  }

  const registryAnswer = (height: number, at: Registry) => ({
    height: height < 0 ? null : height,
    registry_root: at.root,
    policy: at.policy,
    entries: at.entries,
    page: (fromSlot: number, limit: number) => at.page(fromSlot, limit),
  })

  const places = (): TransactionPlace[] =>
    chain.flatMap(({ block, hash, txHashes }) =>
      block.transactions.map((transaction, index) => ({
        transaction,
        tx_hash: txHashes[index]!,
        tick_id: transaction.tick_id,
        block_hash: hash,
        height: block.header.height,
      })),
    )

  const headersOf = (listed: readonly Sealed[]) => ({
    chain_id: chainId,
    tip_height: chain.length === 0 ? null : chain.length - 1,
    headers: listed.map((sealed) => ({
      header: sealed.block.header,
      header_hash: sealed.hash,
      signature: sealed.block.signature,
      status: statusOf(sealed),
    })),
  })

  return {
    genesis: TEST_GENESIS,
    chainId,
    privacy: 'plain',
    userOnChain: (userId) => userId,
    namesOf: later(() => ({})),
    emit,
    waiting,
    listeners: () => listeners.size,
    latestHeaders: later((n) => headersOf(chain.slice(-n))),
    headers: later((from, count) => headersOf(chain.slice(from, from + count))),
    block: later((hash) => find(hash).block),
    blockProof: later((hash, by) => {
      const { block, txHashes } = find(hash)
      const index = block.transactions.findIndex((tx, i) =>
        'tx_id' in by ? tx.id === by.tx_id : txHashes[i] === by.tx_hash,
      )
      if (index < 0) throw ledgerError('unknown_transaction', { id: 'tx_id' in by ? by.tx_id : by.tx_hash })
      const tx_hash = txHashes[index]!
      return { block_hash: hash, tx_hash, ...merkleProof(txHashes, index), merkle_root: block.header.merkle_root }
    }),
    transactionProof: later((by, atHeight) => {
      const found = chain.find(({ block, txHashes }) =>
        'tx_id' in by ? block.transactions.some(({ id }) => id === by.tx_id) : txHashes.includes(by.tx_hash),
      )
      if (found === undefined) throw ledgerError('unknown_transaction', { id: 'tx_id' in by ? by.tx_id : by.tx_hash })
      const { block, txHashes, hash } = found
      const index = block.transactions.findIndex((tx, i) =>
        'tx_id' in by ? tx.id === by.tx_id : txHashes[i] === by.tx_hash,
      )
      const { header, signature } = block
      const isLater = atHeight !== null && atHeight !== header.height
      return {
        tx_hash: txHashes[index]!,
        merkle_proof: merkleProof(txHashes, index),
        header,
        signature,
        history_proof: isLater ? history.inclusion(header.height, atHeight) : null,
        header_hash: hash,
        status: statusOf(found),
        redacted: false,
      }
    }),
    blockStatus: later((hash): BlockStatusAnswer => {
      const sealed = find(hash)
      const { height, timestamp } = sealed.block.header
      const status = statusOf(sealed)
      const finalized_at = status === 'final' ? timestamp : null
      return { block_hash: hash, height, status, policy: 'votes', votes: count(sealed), finalized_at }
    }),
    votes: later((hash) => find(hash).votes.map((vote) => ({ vote, entry: registry.entry(vote.voter_id)! }))),
    acksOf: later(({ voter_id, from_height }) => ({
      votes: chain
        .flatMap(({ votes }) => votes)
        .filter((vote) => vote.voter_id === voter_id && vote.decision === 'ack' && vote.height >= from_height)
        .map((vote) => ({ vote, entry: registry.entry(voter_id)! })),
    })),
    castVote: later((vote) => {
      const sealed = find(vote.header_hash)
      const target = { hash: sealed.hash, height: sealed.block.header.height }
      const verdict = verifyVote(vote, chainId, target, registry.entry(vote.voter_id))
      const { voter_id, header_hash, chain_id } = vote
      if (!verdict.ok) {
        switch (verdict.code) {
          case 'wrong_chain':
            throw ledgerError('wrong_chain', { chain_id, expected: chainId })
          case 'wrong_header':
            throw ledgerError('wrong_header', { header_hash, reason: verdict.reason })
          case 'unknown_voter':
            throw ledgerError('unknown_voter', { voter_id, reason: verdict.reason })
          case 'bad_signature':
            throw ledgerError('bad_signature', { signer: voter_id })
        }
      }
      const isNew = !sealed.votes.some((other) => other.signature === vote.signature)
      if (isNew) sealed.votes.push(vote)
      emit({ type: 'vote', vote, votes: count(sealed) })
      return { header_hash, status: statusOf(sealed), votes: count(sealed), isNew }
    }),
    async receipt(id, userId) {
      const made = await Chain.open(TEST_GENESIS, createMemoryChainStore())
      for (const { block, txHashes } of chain) await made.append(block, txHashes)
      if (userId !== undefined && !(await isParty(made, await made.transaction(id), userId))) {
        throw ledgerError('forbidden', { reason: `${userId} is no party of transaction ${id}` })
      }
      const acks = { acksFrom: () => Promise.resolve([]) }
      return await buildReceipt({ chain: made, acks, anchorHeight: () => -1 }, id)
    },
    checkpoint: later(() => {
      throw ledgerError('no_final_header', { tip_height: chain.length === 0 ? null : chain.length - 1 })
    }),
    historyInclusion: later((height, size) => history.inclusion(height, size)),
    historyConsistency: later((from, to) => history.consistency(from, to)),
    acceptTick: later((tick) => accept(tick)),
    runTick: later(({ tick_id, timestamp }) =>
      accept({ tick_id: tick_id ?? 'market', timestamp: timestamp ?? 0, transactions: [] }),
    ),
    proposeNext: later(() => {
      const next = waiting.shift()
      return next === undefined ? undefined : accept(next)
    }),
    register: later(register),
    isOwnChange: later((tx) => !ticks.has(tx.tick_id) && !isByAuthority(tx, registry, chainId)),
    placeOrder: later((order) => {
      const known = orders.get(order.order_id)
      if (known === undefined) {
        orders.set(order.order_id, order)
        return 'created'
      }
      if (JSON.stringify(known) === JSON.stringify(order)) return 'same'
      throw ledgerError('order_conflict', { order_id: order.order_id })
    }),
    order: later((id) => {
      const order = orders.get(id)
      if (order === undefined) throw ledgerError('unknown_order', { order_id: id })
      return { order, status: 'open', transactions: [] }
    }),
    cancelOrder: later((id) => {
      const order = orders.get(id)
      if (order === undefined) throw ledgerError('unknown_order', { order_id: id })
      return { order, status: 'cancelled', transactions: [] }
    }),
    transactions: later(({ user_id, corrects, from, to, after, limit }) => {
      const all = places().filter(({ transaction: tx }) => {
        const isParty = tx.kind === 'trade' && [tx.from_user_id, tx.to_user_id].includes(user_id ?? '')
        if (corrects !== undefined && !(tx.kind === 'correction' && tx.corrects === corrects)) return false
        if (tx.kind === 'redacted') return false
        return tx.timestamp >= from && tx.timestamp < to && (user_id === undefined || isParty)
      })
      const start = after === undefined ? 0 : Number(after)
      const next = start + limit < all.length ? String(start + limit) : null
      return { transactions: all.slice(start, start + limit), next }
    }),
    registry: () => registryAnswer(chain.length - 1, registry),
    registryAt: later((height) => {
      const at = registries[height]
      if (at === undefined) throw ledgerError('out_of_range', { what: 'at_height', value: height, limit: chain.length })
      return registryAnswer(height, at)
    }),
    registryChanges: later((from, limit) => {
      const changes = chain
        .filter(
          ({ block }) => block.header.height >= from && block.transactions.some(({ kind }) => kind === 'registry'),
        )
        .map(({ block }) => block)
      const next = changes[limit]?.header.height ?? null
      return { height: chain.length === 0 ? null : chain.length - 1, changes: changes.slice(0, limit), next }
    }),
    activeEntry: (id) => registry.active(id),
    devicesOf: later((user) => registry.activeOf('voter').filter(({ id }) => (users.get(id) ?? id) === user)),
    userOf: later((id) => {
      if (registry.entry(id)?.role === 'voter') return users.get(id) ?? id
      throw ledgerError('no_membership', { voter_id: id, reason: 'it is no device of a user' })
    }),
    membership: later((voter_id) => {
      const [issued_at, user_id] = [1_760_000_000_000, users.get(voter_id) ?? voter_id]
      const body = { chain_id: chainId, voter_id, user_id, issued_at, expires_at: issued_at + 1, issuer: 'authority-1' }
      return signMembership(body, AUTHORITY_KEY)
    }),
    rememberRequest: later((id) => {
      if (requests.has(id)) return false
      requests.add(id)
      return true
    }),
    evidence: later((limit) => evidence.slice(0, limit)),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
