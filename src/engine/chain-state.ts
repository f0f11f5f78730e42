import { registryTransactionsOf, sealingKey, verifyBlockBodyInPieces, type ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { invalid, isSolarError, type Verdict } from '../protocol/errors.ts'
import { changesGuard } from '../protocol/finality.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { verifyRecoveredSeal } from '../protocol/handover.ts'
import { hashHeader, verifyHeaderLink, verifySeal, type Header, type SealedHeader } from '../protocol/header.ts'
import { appendToFrontier, foldSubtrees, historyLeaf } from '../protocol/history.ts'
import type { ProvenRecovery } from '../protocol/messages.ts'
import type { Pieces } from '../protocol/pieces.ts'
import { Registry, type KeySet } from '../protocol/registry.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import type { RegistryChange } from './registry-versions.ts'

/** The block on top, with its hash. */
export interface Tip {
  readonly sealed: SealedHeader
  readonly header: Header
  readonly hash: Hash
}

/** What the next block of a chain is checked against. Immutable, so that branches share what they have in common. */
export interface ChainState {
  /** null before height 0. */
  readonly tip: Tip | null
  /** Hashes of the complete subtrees of the history, left to right. */
  readonly frontier: readonly Hash[]
  /** The last changes of the registry, ascending by height, that of the genesis (height -1) being the first ever. */
  readonly registries: RecentChanges
}

export type RecentChanges = readonly [RegistryChange, ...RegistryChange[]]

/**
 * Changes of which a state keeps the registry: more than are between two final blocks in a community that votes. Each
 * is the way to one leaf of the tree, some kilobytes; older ones are asked for at `RegistryVersions`.
 */
export const MAX_RECENT_CHANGES = 2_000

export interface ChainRules {
  readonly genesis: Genesis
  readonly chainId: Hash
}

/** The state before the first block. */
export function genesisState(genesis: Genesis): ChainState {
  const first = { height: -1, registry: Registry.fromGenesis(genesis), guarded: false }
  return { tip: null, frontier: [], registries: [first] }
}

/** Number of blocks. */
export const sizeOf = ({ tip }: ChainState): number => (tip === null ? 0 : tip.header.height + 1)

/**
 * Who may seal and vote on the block of this height: the registry after the one before. `undefined` where that is older than
 * what the state keeps.
 */
export function recentRegistry({ registries }: ChainState, height: number): Registry | undefined {
  let [low, high] = [0, registries.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((registries[middle]?.height ?? height) < height) low = middle + 1
    else high = middle
  }
  return registries[low - 1]?.registry
}

/** Who may seal and vote after the tip. */
export const registryOf = ({ registries }: ChainState): Registry => (registries.at(-1) ?? registries[0]).registry

/**
 * The registry after a block with these transactions. Throws `registry_refused`, `bad_public_key`.
 *
 * @param earlier which of the keys that they name an earlier block has registered
 */
export function registryAfter(state: ChainState, transactions: readonly ShownTransaction[], earlier: KeySet): Registry {
  const changes = registryTransactionsOf(transactions)
  const before = registryOf(state)
  return changes.length === 0 ? before : before.after(changes, sizeOf(state), earlier)
}

/** The last changes after a valid block of `height` with these transactions. */
export function withRegistryOf(
  registries: RecentChanges,
  height: number,
  transactions: readonly ShownTransaction[],
): RecentChanges {
  const changes = registryTransactionsOf(transactions)
  if (changes.length === 0) return registries
  const before = (registries.at(-1) ?? registries[0]).registry
  return withChange(registries, {
    height,
    registry: before.afterValid(changes, height),
    guarded: changesGuard(changes, before),
  })
}

/** One more change; the oldest is left out where there are enough. */
export function withChange(registries: RecentChanges, change: RegistryChange): RecentChanges {
  const [first = change, ...rest] = registries.slice(1 - MAX_RECENT_CHANGES)
  return [first, ...rest, change]
}

/** The state after a block of which `verifyBlock` is known to hold. */
export function stateAfter(state: ChainState, block: ShownBlock, hash: Hash): ChainState {
  const { header, signature, transactions } = block
  return {
    tip: { sealed: { header, signature }, header, hash },
    frontier: appendToFrontier(header.height, state.frontier, historyLeaf(hash)),
    registries: withRegistryOf(state.registries, header.height, transactions),
  }
}

/**
 * Checks a block as the next one, by every rule that does not need the transactions of earlier blocks: link, roots, sealer
 * and seal, transactions.
 *
 * @param earlier which of the keys that its registry transactions name an earlier block has registered
 * @param txHashes the hashes of the transactions, from who has hashed them just now
 */
export function* verifyBlock(
  state: ChainState,
  block: ShownBlock,
  { genesis, chainId }: ChainRules,
  earlier: KeySet,
  txHashes?: readonly Hash[],
): Pieces<Verdict> {
  const { header } = block
  const verdict = verifyHeaderLink(header, state.tip, genesis, chainId)
  if (!verdict.ok) return verdict
  const historyRoot = foldSubtrees(state.frontier)
  if (header.history_root !== historyRoot) {
    return invalid('wrong_history', `history_root ${header.history_root}, expected ${historyRoot}`)
  }
  const after = attempt(() => registryAfter(state, block.transactions, earlier))
  if (!after.ok) return after
  if (header.registry_root !== after.value.root) {
    return invalid('wrong_registry', `registry_root ${header.registry_root}, expected ${after.value.root}`)
  }
  const sealer = sealingKey(block, registryOf(state))
  if (sealer === undefined) return invalid('unknown_sealer', `${header.miner_id} is no active authority`)
  const body = yield* verifyBlockBodyInPieces(header, block.transactions, genesis, txHashes)
  return body.ok ? verifySeal(block, sealer) : body
}

/**
 * Checks what can be checked of the next block by its header alone: its link, and its seal by an authority, or by the key
 * that the recovery which it begins with brings.
 */
export function verifySealedHeader(
  state: ChainState,
  sealed: SealedHeader,
  { genesis, chainId }: ChainRules,
  recovery?: ProvenRecovery,
): Verdict {
  const link = verifyHeaderLink(sealed.header, state.tip, genesis, chainId)
  if (!link.ok) return link
  const registry = registryOf(state)
  if (recovery !== undefined) return verifyRecoveredSeal(sealed, recovery, registry.root, chainId)
  const sealer = registry.active(sealed.header.miner_id, 'authority')
  if (sealer !== undefined) return verifySeal(sealed, sealer.public_key)
  return invalid('unknown_sealer', `${sealed.header.miner_id} is no active authority`)
}

/** The tip of a sealed header. */
export function tipOf({ header, signature }: SealedHeader): Tip {
  return { sealed: { header, signature }, header, hash: hashHeader(header) }
}

/** A registry transaction that the registry refuses makes the block invalid, as a verdict. */
function attempt<T>(change: () => T): { readonly ok: true; readonly value: T } | (Verdict & { readonly ok: false }) {
  try {
    return { ok: true, value: change() }
  } catch (error) {
    if (isSolarError(error)) return { ok: false, code: error.code, reason: error.message }
    throw error
  }
}
