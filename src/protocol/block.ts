import type { Hash, Hex } from './bytes.ts'
import { invalid, protocolError, VALID, type Verdict } from './errors.ts'
import type { Genesis } from './genesis.ts'
import { headerShape, type Header, type SealedHeader } from './header.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from './limits.ts'
import { merkleRootInPieces } from './merkle.ts'
import { payloadCharacters, payloadsFault } from './payload.ts'
import { atOnce, endsPiece, mapInPieces, type Pieces } from './pieces.ts'
import type { Registry } from './registry.ts'
import { checkChangeTime, type RegistryTransaction } from './registry-transaction.ts'
import { array, object, signatureHex, type TypeOf } from './shape.ts'
import {
  checkTransaction,
  leafOf,
  shownTransactionShape,
  type ShownTransaction,
  type Transaction,
} from './transaction.ts'

/** A sealed header with the transactions of its tick, in their stored order. */
export interface Block extends SealedHeader {
  readonly transactions: readonly Transaction[]
}

/**
 * A block as it is kept and shown: where a body was removed, or is not for the asker, its hash stands for it. The root, and every
 * proof of the other transactions, stay what they were.
 */
export const shownBlockShape = object({
  header: headerShape,
  signature: signatureHex,
  transactions: array(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK),
})
export type ShownBlock = TypeOf<typeof shownBlockShape>

/** A tick as SQL committed it: what a block is made of. */
export interface CommittedTick {
  readonly tick_id: string
  /** Unix milliseconds. */
  readonly timestamp: number
  readonly transactions: readonly Transaction[]
}

/** Where a new block goes: its parent and the two roots that the parent leads to. */
export interface ChainTip {
  /** `null` before height 0. */
  readonly parent: { readonly header: Header; readonly hash: Hash } | null
  /** Root of the history tree over all headers so far. */
  readonly historyRoot: Hash
}

/**
 * The header of the block that seals `tick` on `tip`: a pure function, so sealing again after a crash gives the same
 * bytes (docs/protocol.md 4).
 *
 * @param txHashes the hashes of the tick's transactions, in order
 * @param registryRoot root of the registry after this block
 */
export function* assembleHeaderInPieces(
  genesis: Genesis,
  chainId: Hash,
  tip: ChainTip,
  tick: Pick<CommittedTick, 'timestamp'>,
  txHashes: readonly Hash[],
  registryRoot: Hash,
  minerId: string,
): Pieces<Header> {
  if (yield* hasEqual(txHashes)) {
    throw protocolError('bad_transaction', { id: '(tick)', reason: 'two transactions of a block are equal' })
  }
  const earliest = tip.parent === null ? genesis.created_at : tip.parent.header.timestamp
  return {
    version: 1,
    chain_id: chainId,
    height: tip.parent === null ? 0 : tip.parent.header.height + 1,
    prev_hash: tip.parent === null ? chainId : tip.parent.hash,
    merkle_root: yield* merkleRootInPieces(txHashes),
    tx_count: txHashes.length,
    history_root: tip.historyRoot,
    registry_root: registryRoot,
    timestamp: Math.max(earliest, tick.timestamp),
    nonce: 0,
    difficulty: genesis.difficulty,
    miner_id: minerId,
  }
}

/** `assembleHeaderInPieces` without a pause. */
export const assembleHeader = (...parts: Parameters<typeof assembleHeaderInPieces>): Header =>
  atOnce(assembleHeaderInPieces(...parts))

export type BlockBodyCode =
  | 'wrong_tx_count'
  | 'payloads_too_large'
  | 'equal_transactions'
  | 'mixed_ticks'
  | 'bad_transaction'
  | 'wrong_merkle_root'

/**
 * Checks the transactions of a block against its header; of a redacted one there is but its leaf. It
 * guarantees a) the count (`wrong_tx_count`) and how large the payloads are together
 * (`payloads_too_large`), b) one tick, and changes of the registry alone or none (`mixed_ticks`), c) each
 * transaction by itself, and that each change of the registry is of its time (`bad_transaction`), d) no two
 * equal leaves (`equal_transactions`), e) the Merkle root (`wrong_merkle_root`).
 *
 * @param txHashes the hashes of the transactions, from who has hashed them just now
 */
export function* verifyBlockBodyInPieces(
  header: Header,
  transactions: readonly ShownTransaction[],
  genesis: Genesis,
  txHashes?: readonly Hash[],
): Pieces<Verdict<BlockBodyCode>> {
  if (transactions.length !== header.tx_count) {
    return invalid('wrong_tx_count', `${transactions.length} transactions, the header counts ${header.tx_count}`)
  }
  const tooLarge = payloadsFault(payloadCharacters(transactions))
  if (tooLarge !== undefined) return invalid('payloads_too_large', tooLarge)
  const changes = registryTransactionsOf(transactions).length
  if (changes > 0 && changes < transactions.length) {
    return invalid(
      'mixed_ticks',
      `${changes} of ${transactions.length} transactions change the registry, the others do not`,
    )
  }
  const tickId = tickIdOf(transactions)
  for (const [index, tx] of transactions.entries()) {
    if (endsPiece(index)) yield
    if (tx.kind === 'redacted') continue
    if (tx.tick_id !== tickId)
      return invalid('mixed_ticks', `transaction ${tx.id} is of tick ${tx.tick_id}, not ${tickId ?? '-'}`)
    try {
      checkTransaction(tx, genesis.amount_decimals)
      if (tx.kind === 'registry') checkChangeTime(tx, header.timestamp)
    } catch (error) {
      return invalid('bad_transaction', error instanceof Error ? error.message : String(error))
    }
  }
  const leaves = txHashes ?? (yield* mapInPieces(transactions, leafOf))
  if (yield* hasEqual(leaves)) return invalid('equal_transactions', 'two transactions are equal')
  const root = yield* merkleRootInPieces(leaves)
  if (root === header.merkle_root) return VALID
  return invalid('wrong_merkle_root', `the transactions lead to ${root}, the header has ${header.merkle_root}`)
}

/** `verifyBlockBodyInPieces` without a pause. */
export const verifyBlockBody = (...body: Parameters<typeof verifyBlockBodyInPieces>): Verdict<BlockBodyCode> =>
  atOnce(verifyBlockBodyInPieces(...body))

function* hasEqual(hashes: readonly Hash[]): Pieces<boolean> {
  const seen = new Set<Hash>()
  for (const [index, hash] of hashes.entries()) {
    seen.add(hash)
    if (endsPiece(index)) yield
  }
  return seen.size !== hashes.length
}

/** The tick that a block seals; `undefined` if no body is there to say it. */
export function tickIdOf(transactions: readonly ShownTransaction[]): string | undefined {
  for (const tx of transactions) if (tx.kind !== 'redacted') return tx.tick_id
  return undefined
}

/** The registry transactions among these, in order. */
export function registryTransactionsOf(transactions: readonly ShownTransaction[]): readonly RegistryTransaction[] {
  // Almost every block has none: no array is made for it.
  return transactions.some((tx) => tx.kind === 'registry') ? transactions.filter((tx) => tx.kind === 'registry') : []
}

/**
 * The key that seals a block: that of miner_id in the registry before it, if it is an active authority; `undefined` if
 * nobody may. The one exception (docs/protocol.md 4): a block that begins with the recovery of its own miner_id is sealed
 * by the key that this brings, whatever else the block does, unless an authority's revocation binds it: then another
 * authority, which countersigns, seals it. That the recovery holds is the registry's to check.
 */
export function sealingKey({ header: { miner_id }, transactions }: SealedBy, before: Registry): Hex | undefined {
  const recovery = sealerRecovery(transactions, miner_id)
  if (recovery === undefined) return before.active(miner_id, 'authority')?.public_key
  const entry = before.entry(miner_id)
  return entry?.role === 'authority' && entry.revoked_by === undefined ? recovery.public_key : undefined
}

/** What says who seals a block. */
interface SealedBy {
  readonly header: Pick<Header, 'miner_id'>
  readonly transactions: readonly ShownTransaction[]
}

/** The recovery of `minerId` that these transactions begin with, if they do. */
export function sealerRecovery(
  [first]: readonly ShownTransaction[],
  minerId: string,
): Extract<RegistryTransaction, { action: 'recover' }> | undefined {
  return first?.kind === 'registry' && first.action === 'recover' && first.subject_id === minerId ? first : undefined
}
