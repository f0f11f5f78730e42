import { ledgerError } from '../ports/errors.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import { registryTransactionsOf } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import type { VoteTarget } from './vote-counter.ts'

export interface BlockAccessParts {
  readonly chain: Chain
  readonly ledger: Pick<ChainLedger, 'activeEntry'>
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  /** A header of a branch that may still become the chain; absent where there are no branches. */
  readonly findBeside?: (hash: Hash) => Promise<VoteTarget | undefined>
}

/** By which entries a voter may ask for a block, or for what is in it. */
export interface Askers {
  /** The one that the tip has, then the one that the voter has before the block. */
  readonly entries: readonly RegistryEntry[]
  /**
   * Asked once a request is known to be signed by the key of this entry. Throws `unknown_voter` where the chain has taken the
   * voter's key away since, other than by its own rotations.
   */
  admit(entry: RegistryEntry): Promise<void>
}

/**
 * A request is judged by the registry of the tip. While a block is not final it is also judged by the registry before it: whose
 * key is another one there, on the chain or on a branch beside it, is to ack it with that key, and has to see it.
 *
 * On the chain that is the key up to the block that took it away. Beside the chain there may be no such block, so who lost it
 * to a thief, or was put out, on the chain is shown nothing of other branches either.
 *
 * @param block the hash of any block, or the height of one on the chain
 */
export async function askersOf(voterId: string, block: Hash | number, parts: BlockAccessParts): Promise<Askers> {
  const { chain, ledger, finalizer } = parts
  const present = ledger.activeEntry(voterId)
  const place = await openPlaceOf(block, parts)
  const there = place?.registryBefore.active(voterId)
  const isVoter = there?.role === 'validator' || there?.role === 'voter'
  const other = isVoter && there.public_key !== present?.public_key ? there : undefined
  return {
    entries: [present, other].filter((entry) => entry !== undefined),
    async admit(entry) {
      if (entry !== other || place?.isOnChain !== false) return
      if (!(await isTakenAway(chain, voterId, finalizer.finalHeight))) return
      const reason = 'its key was revoked or recovered: blocks of other branches are not shown to it'
      throw ledgerError('unknown_voter', { voter_id: voterId, reason })
    },
  }
}

/** A block that is not final, with the registry before it; `undefined` for any other, and where it is not known here. */
async function openPlaceOf(
  block: Hash | number,
  { chain, finalizer, findBeside }: BlockAccessParts,
): Promise<VoteTarget | undefined> {
  const height = typeof block === 'number' ? block : await chain.heightOf(block)
  if (height === undefined) {
    const beside = typeof block === 'number' ? undefined : await findBeside?.(block)
    return beside !== undefined && beside.height > finalizer.finalHeight ? beside : undefined
  }
  // What is older is not looked up: for a final block it is not asked.
  if (height <= finalizer.finalHeight) return undefined
  return { height, registryBefore: await chain.registryBefore(height), isOnChain: true }
}

/** Whether the chain has revoked a voter, or has given its place to a recovery key, above a height. */
async function isTakenAway(chain: Chain, id: string, above: number): Promise<boolean> {
  const now = chain.registry.entry(id)
  if (now?.status === 'revoked') return true
  for (let height = now?.since_height ?? -1; height > above;) {
    const changes = registryTransactionsOf((await chain.blockAt(height)).transactions)
    if (changes.some(({ action, subject_id }) => subject_id === id && TAKES_AWAY.includes(action))) return true
    const before = (await chain.registryBefore(height)).entry(id)
    // What the genesis has is of height 0 as well, and no block has brought it.
    if (before === undefined || before.since_height === height) return false
    height = before.since_height
  }
  return false
}

const TAKES_AWAY: readonly string[] = ['revoke', 'recover']
