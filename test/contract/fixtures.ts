import { strict as assert } from 'node:assert'
import type { BlockRow, Committed, MarketStore, TickCommit } from '../../src/ports/market-store.ts'
import type { Block } from '../../src/protocol/block.ts'
import type { Hash } from '../../src/protocol/bytes.ts'
import type { Finality } from '../../src/protocol/genesis.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { hashHeader, type SealedHeader } from '../../src/protocol/header.ts'
import { merkleRoot } from '../../src/protocol/merkle.ts'
import type { Order } from '../../src/protocol/order.ts'
import { registryTickId, type RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import {
  hashTransaction,
  type Correction,
  type ShownTransaction,
  type Trade,
  type Transaction,
} from '../../src/protocol/transaction.ts'
import { idOf } from '../helpers/shown.ts'
import type { Vote } from '../../src/protocol/vote.ts'

/** Values of the right shape for stores, which do not judge seals or signatures. */
export const CHAIN: Hash = sha256Hex('a chain')
export const OTHER_CHAIN: Hash = sha256Hex('another chain')
export const T0 = 1_767_225_600_000

const nonceOf = (id: string) => sha256Hex(`nonce of ${id}`).slice(0, 32)
const signatureOf = (what: string) => sha256Hex(what) + sha256Hex(`${what} again`)

export function trade(tickId: string, id: string, fields: Partial<Trade> = {}): Trade {
  return {
    kind: 'trade',
    id,
    from_user_id: 'roof-1',
    to_user_id: 'flat-1',
    kwh: '2.5',
    price_per_kwh: '0.2',
    total_amount: '0.5',
    timestamp: T0,
    tick_id: tickId,
    nonce: nonceOf(id),
    ...fields,
  }
}

export function correction(tickId: string, id: string, corrects: string, fields: Partial<Correction> = {}): Correction {
  return {
    kind: 'correction',
    id,
    corrects,
    kwh_delta: '-0.5',
    amount_delta: '-0.1',
    reason: 'late meter data',
    timestamp: T0,
    tick_id: tickId,
    nonce: nonceOf(id),
    ...fields,
  }
}

/** A registry transaction of every action, with every form of its fields; each is a tick of its own. */
export function registryTransactions(): readonly RegistryTransaction[] {
  const common = (id: string, subject_id: string) => {
    const nonce = nonceOf(id)
    const signature = signatureOf(`registry transaction ${id}`)
    return {
      kind: 'registry',
      id,
      subject_id,
      timestamp: T0,
      tick_id: registryTickId(nonce),
      nonce,
      signature,
    } as const
  }
  const public_key = sha256Hex('a public key')
  const recovery_key = sha256Hex('a recovery key')
  const policy = (id: string, finality: Finality) =>
    ({ ...common(id, 'authority-1'), action: 'policy', finality }) as const
  return [
    { ...common('r-enrol', 'voter-1'), action: 'enrol', role: 'voter', public_key },
    { ...common('r-enrol-2', 'roof-1'), action: 'enrol', role: 'validator', public_key, recovery_key },
    { ...common('r-enrol-3', 'flat:1@+'), action: 'enrol', role: 'authority', public_key, recovery_key: null },
    { ...common('r-rotate', 'voter-1'), action: 'rotate', public_key, recovery_key },
    { ...common('r-rotate-2', 'voter-1'), action: 'rotate', public_key },
    { ...common('r-revoke', 'voter-1'), action: 'revoke', timestamp: Number.MAX_SAFE_INTEGER },
    { ...common('r-recover', 'voter-1'), action: 'recover', public_key, recovery_key: null },
    policy('r-policy', { policy: 'authority' }),
    policy('r-policy-2', { policy: 'votes', threshold: 2 }),
    policy('r-policy-3', { policy: 'validators', threshold: 1 }),
  ]
}

export function enrolment(
  id: string,
  fields: Partial<Pick<RegistryTransaction, 'timestamp'>> = {},
): RegistryTransaction {
  const nonce = nonceOf(id)
  return { ...registryTransactions()[0]!, id, nonce, tick_id: registryTickId(nonce), ...fields }
}

/** A recovery of this entry's key. */
export function recoveryOf(subject_id: string, id: string): RegistryTransaction {
  const nonce = nonceOf(id)
  const { timestamp, signature } = registryTransactions()[0]!
  const names = { id, nonce, tick_id: registryTickId(nonce) }
  return { kind: 'registry', action: 'recover', subject_id, public_key: '4'.repeat(64), timestamp, signature, ...names }
}

export function registryTick(
  transaction: RegistryTransaction,
  fields: Partial<Pick<TickCommit, 'user'>> = {},
): TickCommit {
  const { tick_id, timestamp } = transaction
  return tick(tick_id, [transaction], { timestamp, source: 'registry', ...fields })
}

export function tick(
  tickId: string,
  transactions: readonly Transaction[],
  fields: Partial<Pick<TickCommit, 'timestamp' | 'source' | 'fills' | 'user'>> = {},
): TickCommit {
  return {
    tick_id: tickId,
    timestamp: T0,
    transactions,
    source: 'platform',
    content_hash: sha256Hex(`content of ${tickId}`),
    tx_hashes: transactions.map(hashTransaction),
    fills: [],
    parent: null,
    ...fields,
  }
}

/** Commits a tick that was checked on the block that is the store's last. */
export async function commitTick(store: MarketStore, committed: TickCommit): Promise<Committed> {
  return await store.commitTick({ ...committed, parent: (await store.lastBlock())?.block_hash ?? null })
}

/** Gives each tick that waits a block, oldest first, over blocks of `blockRow` alone. */
export async function sealWaiting(store: MarketStore): Promise<void> {
  let height = ((await store.lastBlock())?.height ?? -1) + 1
  for (let next = await store.nextUnsealedTick(); next; next = await store.nextUnsealedTick()) {
    await store.fence(blockRow(height++, next.tick_id))
  }
}

/** How a tick comes back. */
export function storedAs<
  T extends {
    readonly transactions: readonly ShownTransaction[]
    readonly parent?: unknown
    readonly redactions?: readonly unknown[]
  },
>({ parent, redactions, ...given }: T, block: BlockRow | null) {
  // `tick` leaves the parent to `commitTick`, and neither comes back with the tick.
  assert.deepEqual([parent ?? null, redactions ?? []], [null, []])
  return { ...given, tx_ids: given.transactions.map(idOf), block }
}

/**
 * A sealed header of this height; `variant` gives another of the same height.
 *
 * @param parent by default the block without transactions of the height below
 */
export function sealed(
  height: number,
  transactions: readonly Transaction[] = [],
  variant = '',
  parent = defaultHash(height - 1),
): SealedHeader {
  const header = {
    version: 1,
    chain_id: CHAIN,
    height,
    prev_hash: parent,
    merkle_root: merkleRoot(transactions.map(hashTransaction)),
    tx_count: transactions.length,
    history_root: sha256Hex(`history of ${height}${variant}`),
    registry_root: sha256Hex('registry'),
    timestamp: T0 + height,
    nonce: 0,
    difficulty: 0,
    miner_id: 'authority-1',
  } as const
  return { header, signature: signatureOf(`seal of ${height}${variant}`) }
}

const defaultHashes: Hash[] = []

/** Hash of the header `sealed(height)`; of the chain itself below the first. */
function defaultHash(height: number): Hash {
  if (height < 0) return CHAIN
  // Tests of headers alone take greater heights.
  if (height > 2_000) return sha256Hex(`block ${height}`)
  for (let next = defaultHashes.length; next <= height; next++) defaultHashes.push(hashHeader(sealed(next).header))
  return defaultHashes[height] ?? CHAIN
}

export function blockRow(height: number, tickId: string, variant = '', parent = defaultHash(height - 1)): BlockRow {
  const header = sealed(height, [], variant, parent)
  return { height, block_hash: hashHeader(header.header), tick_id: tickId, sealed: header, finalized_at: null }
}

/** What a chain store takes: a block with one trade for each of `ids`. */
export function block(height: number, ids: readonly string[]): { block: Block; hash: Hash; txHashes: readonly Hash[] } {
  const transactions = ids.map((id) => trade(`tick-${height}`, id))
  const head = sealed(height, transactions)
  return {
    block: { ...head, transactions },
    hash: hashHeader(head.header),
    txHashes: transactions.map(hashTransaction),
  }
}

export function vote(headerHash: Hash, height: number, voterId: string, decision: Vote['decision'] = 'ack'): Vote {
  const signature = signatureOf(`${voterId} says ${decision} to ${headerHash}`)
  return { chain_id: CHAIN, header_hash: headerHash, height, voter_id: voterId, decision, signature }
}

/** No test but those of the limits has more orders. */
export const MOST = { orders: 100_000, ofUser: 1_000 }

export function order(orderId: string, fields: Partial<Order> = {}): Order {
  return {
    order_id: orderId,
    user_id: 'flat-1',
    side: 'buy',
    kwh: '2.5',
    price_per_kwh: '0.25',
    timestamp: T0,
    ...fields,
  }
}

/** Puts an order that arrived at its own time, of a user who may have any number. */
export const putOrder = (store: MarketStore, placed: Order, at = placed.timestamp, mostOpen = 1_000) =>
  store.putOrder(placed, at, mostOpen)
