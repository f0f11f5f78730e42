import {
  sealerRecovery,
  registryTransactionsOf,
  sealingKey,
  verifyBlockBody,
  type ShownBlock,
} from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { firstFailure, invalid, isSolarError, type Failure, type Verdict } from '../protocol/errors.ts'
import { changesGuard } from '../protocol/finality.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifySeal, verifyWork } from '../protocol/header.ts'
import { HashTrie } from '../protocol/hash-trie.ts'
import { keysNamedBy, Registry } from '../protocol/registry.ts'
import type { RegistryTransaction } from '../protocol/registry-transaction.ts'

/** The registry after a block that changed it. */
export interface RegistryChange {
  /** Of that block; -1 for the genesis. */
  readonly height: number
  /** Of that block; null for the genesis. */
  readonly hash: Hash | null
  readonly registry: Registry
  /** It changes the policy, an authority or a validator (docs/protocol.md 5). */
  readonly guarded: boolean
  /** The block begins with the recovery of its own sealer, and is sealed by the new key. */
  readonly recovers: boolean
  readonly transactions: readonly RegistryTransaction[]
  /** That blocks up to this one have registered. */
  readonly keys: HashTrie<true>
}

/**
 * Who could seal and vote at which height, and by which policy: the registry of the genesis and each change since, checked
 * here as a full node checks it. Ascending. Immutable.
 */
export type RegistryBook = readonly [RegistryChange, ...RegistryChange[]]

export interface BookRules {
  readonly genesis: Genesis
  readonly chainId: Hash
}

export const genesisBook = (genesis: Genesis): RegistryBook => [
  {
    height: -1,
    hash: null,
    registry: Registry.fromGenesis(genesis),
    guarded: false,
    recovers: false,
    transactions: [],
    keys: HashTrie.empty(),
  },
]

const changeBelow = (book: RegistryBook, height: number): RegistryChange =>
  book.findLast((change) => change.height < height) ?? book[0]

/** Who may seal and vote on the block of this height: the registry after the one before. */
export const registryBefore = (book: RegistryBook, height: number): Registry => changeBelow(book, height).registry

/** The registry after the block of this height. */
export const registryAfter = (book: RegistryBook, height: number): Registry => registryBefore(book, height + 1)

/** The change that the block of this height makes; `undefined` for almost every block. */
export const changeAt = (book: RegistryBook, height: number): RegistryChange | undefined =>
  book.find((change) => change.height === height)

/**
 * Adds the next block that changes the registry. It guarantees a) the chain and its work, b) the order, c) the transactions and
 * the Merkle root, d) each change by its signature and the rules of the registry, e) the registry root, f) the seal of an
 * authority of the registry before (or of one that the block recovers).
 */
export function extendBook(
  book: RegistryBook,
  { header, signature, transactions }: ShownBlock,
  { genesis, chainId }: BookRules,
): { readonly ok: true; readonly book: RegistryBook } | Failure {
  const { height } = header
  const changes = registryTransactionsOf(transactions)
  const last = book[book.length - 1] ?? book[0]
  const before = last.registry
  try {
    const verdict = firstFailure<string>(
      () => chainVerdict(header.chain_id, chainId),
      () => verifyWork(header, genesis),
      () =>
        height > last.height && changes.length > 0 ? { ok: true } : invalid('wrong_height', 'it is no next change'),
      () => verifyBlockBody(header, transactions, genesis),
    )
    if (!verdict.ok) return verdict
    const registry = before.after(changes, height, last.keys)
    if (registry.root !== header.registry_root) {
      return invalid('wrong_registry', `it leads to ${registry.root}, its header says ${header.registry_root}`)
    }
    const sealer = sealingKey({ header, transactions }, before)
    if (sealer === undefined) return invalid('unknown_sealer', `${header.miner_id} is no active authority`)
    const seal = verifySeal({ header, signature }, sealer)
    if (!seal.ok) return seal
    const guarded = changesGuard(changes, before)
    const recovers = sealerRecovery(transactions, header.miner_id) !== undefined
    const keys = keysNamedBy(changes).reduce((known, key) => known.with(key, true), last.keys)
    return {
      ok: true,
      book: [...book, { height, hash: hashHeader(header), registry, guarded, recovers, transactions: changes, keys }],
    }
  } catch (error) {
    if (isSolarError(error)) return { ok: false, code: error.code, reason: error.message }
    throw error
  }
}

const chainVerdict = (found: Hash, expected: Hash): Verdict =>
  found === expected ? { ok: true } : invalid('wrong_chain', `it is of chain ${found}`)

/** "registers house-fir as voter": what a change does, for people. */
export function changeWords(tx: RegistryTransaction): string {
  switch (tx.action) {
    case 'enrol':
      return `registers ${tx.subject_id} as ${tx.role}`
    case 'rotate':
      return `gives ${tx.subject_id} a new key`
    case 'recover':
      return `gives ${tx.subject_id} a new key for a lost one`
    case 'revoke':
      return `revokes ${tx.subject_id}`
    case 'policy':
      return `makes blocks final by ${policyWords(tx.finality)}`
  }
}

/** "2 votes of households", "2 validators", "the authority's seal". */
export function policyWords(finality: Genesis['finality']): string {
  switch (finality.policy) {
    case 'authority':
      return "the authority's seal alone"
    case 'votes':
      return `${finality.threshold} ${finality.threshold === 1 ? 'household' : 'households'} confirming them`
    case 'validators':
      return `${finality.threshold} ${finality.threshold === 1 ? 'validator' : 'validators'} confirming them`
  }
}
