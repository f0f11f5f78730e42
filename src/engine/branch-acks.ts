import type { ChainStore } from '../ports/chain-store.ts'
import type { BranchVotes } from '../ports/finality-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import { verifyInHistory } from '../protocol/proven-entry.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import {
  foldSubtrees,
  hashChildren,
  historyLeaf,
  inclusionSubtrees,
  type InclusionProof,
  type Subtree,
} from '../protocol/history.ts'
import type { Vote } from '../protocol/vote.ts'
import type { AckSource, LaterAck } from './proven-step.ts'

type Blocks = Pick<ChainStore, 'besideChain' | 'heightOf' | 'historyNodes'>
type Later = Pick<LaterAck, 'header' | 'history_proof'>

/**
 * The acks of a replica, also those on branches that it has left: they made final what such a branch and the chain share, and
 * until the next quorum nothing else proves it.
 */
export function replicaAcks(blocks: Blocks, votes: Pick<BranchVotes, 'acksFrom' | 'acksBesideFrom'>): AckSource {
  async function laterHeader(hash: Hash, point: BlockPoint): Promise<Later | undefined> {
    const branch = await branchOf(blocks, hash, point.height)
    const header = branch?.headers.at(-1)
    if (branch === undefined || header === undefined) return undefined
    const history_proof = await inclusionOn(blocks, branch, point.height)
    // Also where the chain has changed since the branch was read, the proof does not lead there.
    const isProven = verifyInHistory(point.hash, point.height, history_proof, header).ok
    return isProven ? { header, history_proof } : undefined
  }

  return {
    acksFrom: (height) => votes.acksFrom(height),
    async acksBeside(point) {
      const headers = new Map<Hash, Promise<Later | undefined>>()
      const acks: LaterAck[] = []
      for (const vote of await votes.acksBesideFrom(point.height + 1)) {
        const { header_hash } = vote
        const later = headers.get(header_hash) ?? laterHeader(header_hash, point)
        headers.set(header_hash, later)
        const found = await later
        if (found !== undefined) acks.push({ vote, ...found })
      }
      return acks
    },
  }
}

/** An ack on a branch that leaves the chain above a height, at the last height that both share. */
export interface SharedAck {
  readonly vote: Vote
  readonly height: number
}

/** The acks beside the chain that count for blocks of it from this height on. */
export async function acksOfBranches(
  blocks: Blocks,
  votes: Pick<BranchVotes, 'acksBesideFrom'>,
  height: number,
): Promise<readonly SharedAck[]> {
  const acks: SharedAck[] = []
  for (const vote of await votes.acksBesideFrom(height + 1)) {
    const branch = await branchOf(blocks, vote.header_hash, height)
    if (branch !== undefined && branch.headers.length > 0) acks.push({ vote, height: branch.base - 1 })
  }
  return acks
}

/** Headers that follow on the first `base` of the chain, ascending. */
interface HeaderBranch {
  readonly base: number
  readonly headers: readonly Header[]
}

/** The branch that ends in a header which is kept beside the chain, if it leaves the chain above this height. */
async function branchOf(blocks: Blocks, tip: Hash, above: number): Promise<HeaderBranch | undefined> {
  const headers: Header[] = []
  for (let hash = tip; ;) {
    const height = await blocks.heightOf(hash)
    if (height !== undefined) return height < above ? undefined : { base: height + 1, headers }
    const block = await blocks.besideChain(hash)
    if (block === undefined || block.header.height <= above) return undefined
    headers.unshift(block.header)
    hash = block.header.prev_hash
  }
}

/** Inclusion of the chain's header of this height in the history that the last header of a branch states. */
async function inclusionOn(blocks: Blocks, { base, headers }: HeaderBranch, height: number): Promise<InclusionProof> {
  const leaves = headers.slice(0, -1).map((header) => historyLeaf(hashHeader(header)))

  async function node({ level, index }: Subtree): Promise<Hash> {
    const first = index * 2 ** level
    if (first + 2 ** level <= base) return foldSubtrees(await blocks.historyNodes([{ level, index }]))
    const leaf = level === 0 ? leaves[first - base] : undefined
    if (leaf !== undefined) return leaf
    const child = (side: number) => node({ level: level - 1, index: 2 * index + side })
    return hashChildren(await child(0), await child(1))
  }

  const tree_size = base + leaves.length
  const path = inclusionSubtrees(height, tree_size).map(async (part) => foldSubtrees(await Promise.all(part.map(node))))
  return { leaf_index: height, tree_size, path: await Promise.all(path) }
}
