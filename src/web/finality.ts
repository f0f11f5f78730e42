import type { Hash, Hex } from '../protocol/bytes.ts'
import { ackersOf, countedRole, newFinalHeight, noteAck, requiredVotes, type ChainView } from '../protocol/finality.ts'
import { changeAt, registryAfter, registryBefore, type RegistryBook } from './registry-book.ts'
import type { BlockRecord } from './state.ts'

/** By what a block is final, or what it lacks, as this browser has counted. */
export interface BlockFinality {
  /** Voters whose acks count for it: registered in the role that the policy in force at it counts. */
  readonly acks: readonly string[]
  /** What that policy takes; 0 under `authority`. */
  readonly required: number
  /**
   * `own`: it has what its policy takes. `ancestor`: the block of height `by` has, and that makes those before it final.
   * `waiting`: neither is shown here. `unknown`: the registry at it is not known yet.
   */
  readonly by: 'own' | 'waiting' | 'unknown' | { readonly ancestorOf: number }
}

/**
 * The finality rules (docs/protocol.md 5) over the blocks that this page holds. Below the lowest of them what is final is
 * taken from the node.
 *
 * @param joined hash of a block of an older stretch of which is proven that it is in the history of the newest blocks
 */
export function finalityOf(
  blocks: readonly BlockRecord[],
  book: RegistryBook,
  joined: Hash | null,
): ReadonlyMap<Hash, BlockFinality> {
  const known = counted.get(blocks)
  if (known?.book === book && known.joined === joined) return known.finality
  const finality = countFinality(blocks, book, joined)
  counted.set(blocks, { book, joined, finality })
  return finality
}

interface Counting {
  readonly book: RegistryBook
  readonly joined: Hash | null
  readonly finality: ReadonlyMap<Hash, BlockFinality>
}
/** The blocks of a state never change; several views and checks ask for the same ones. */
const counted = new WeakMap<readonly BlockRecord[], Counting>()

function countFinality(
  blocks: readonly BlockRecord[],
  book: RegistryBook,
  joined: Hash | null,
): ReadonlyMap<Hash, BlockFinality> {
  const found = new Map<Hash, BlockFinality>()
  let later: number | undefined
  for (const chain of chainsOf(blocks)) {
    const top = chain[chain.length - 1]
    const isJoined = joined !== null && top?.hash === joined
    const finality = finalityOfChain(chain, book, isJoined ? later : undefined)
    for (const { hash, finality: one } of finality) if (!found.has(hash)) found.set(hash, one)
    // The first chain is the newest: what is final on it makes the older stretch final.
    later ??= finality.find(({ finality: { by } }) => by === 'own')?.height
  }
  return found
}

/** The held blocks as chains by their links, the newest first; each ascending. */
function chainsOf(blocks: readonly BlockRecord[]): readonly (readonly BlockRecord[])[] {
  const byHash = new Map(blocks.map((block) => [block.hash, block]))
  const seen = new Set<Hash>()
  const chains: BlockRecord[][] = []
  const tops = [...blocks].reverse().sort((a, b) => Number(a.status === 'orphaned') - Number(b.status === 'orphaned'))
  for (const top of tops) {
    if (seen.has(top.hash)) continue
    const chain: BlockRecord[] = []
    for (let block: BlockRecord | undefined = top; block !== undefined; block = byHash.get(block.header.prev_hash)) {
      chain.unshift(block)
      seen.add(block.hash)
      // A header that names a block not below it as its parent fails its link check; here it must not go round.
      if ((byHash.get(block.header.prev_hash)?.header.height ?? -1) >= block.header.height) break
    }
    chains.push(chain)
  }
  return chains
}

interface Counted {
  readonly hash: Hash
  readonly height: number
  readonly finality: BlockFinality
}

/** @param later height of a final block of which is proven that this whole chain is in its history */
function finalityOfChain(
  chain: readonly BlockRecord[],
  book: RegistryBook,
  later: number | undefined,
): readonly Counted[] {
  const known = chain.findIndex(({ header }) => registryAfter(book, header.height).root !== header.registry_root)
  const usable = known < 0 ? chain : chain.slice(0, known)
  const view = viewOf(usable, book)
  const final = newFinalHeight(view)
  const weights = chain.map(({ hash, header: { height } }, index) => {
    const before = registryBefore(book, height)
    const { finality } = before
    const role = countedRole(finality)
    const ackers = role === undefined ? [] : ackersOf(before, role, view.ackHeights)
    const acks = ackers.filter(({ acked }) => acked >= height).map(({ id }) => id)
    return { hash, height, acks, required: requiredVotes(finality), isKnown: index < usable.length }
  })
  let decisive = later
  return weights
    .reverse()
    .map(({ hash, height, acks, required, isKnown }): Counted => {
      const isOwn = isKnown && height <= final && acks.length >= required
      if (isOwn) decisive = height
      const by = !isKnown
        ? 'unknown'
        : isOwn
          ? 'own'
          : decisive !== undefined && (later !== undefined || height <= final)
            ? { ancestorOf: decisive }
            : 'waiting'
      return { hash, height, finality: { acks, required, by } }
    })
    .reverse()
}

function viewOf(chain: readonly BlockRecord[], book: RegistryBook): ChainView {
  const ackHeights = new Map<Hex, number>()
  for (const { header, votes } of chain) {
    for (const { vote, finding } of votes) {
      if (finding?.outcome !== 'pass' || vote.decision !== 'ack') continue
      noteAck(ackHeights, vote.voter_id, header.height, registryBefore(book, header.height))
    }
  }
  return {
    finalHeight: (chain[0]?.header.height ?? 0) - 1,
    tipHeight: chain[chain.length - 1]?.header.height ?? -1,
    registryBefore: (height) => registryBefore(book, height),
    isGuarded: (height) => changeAt(book, height)?.guarded === true,
    ackHeights,
  }
}
