import type { ChainStore } from '../ports/chain-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { FinalityStore } from '../ports/finality-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { ShownBlock } from '../protocol/block.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import { firstFailure, invalid, VALID, type Verdict } from '../protocol/errors.ts'
import { createFinalityCount, noteAck, type BlockPoint } from '../protocol/finality.ts'
import { chooseFork, forkWeight, type Candidate } from '../protocol/fork-choice.ts'
import { hashHeader, verifyNotFromFuture, type SealedHeader } from '../protocol/header.ts'
import type { Registry } from '../protocol/registry.ts'
import { leafOf } from '../protocol/transaction.ts'
import type { Chain, Tip } from './chain.ts'
import type { VerifySealed } from './checked-seal.ts'
import { recentRegistry, registryOf, sizeOf, verifyBlock, verifySealedHeader, type ChainState } from './chain-state.ts'
import type { EvidencePool } from './evidence-pool.ts'
import type { Finalizer } from './finalizer.ts'
import { reportDoubleSeal } from './full-node-evidence.ts'
import { ForkTree, type Branch, type BranchBlock } from './fork-tree.ts'
import { earlierKeys, historyOf, NO_TESTIMONY, verifyTransactions, type BlockTestimony } from './history-rules.ts'
import { createSerial } from './serial.ts'
import type { VoteTarget } from './vote-counter.ts'

export interface ReplicaParts {
  readonly chain: Chain
  readonly store: ChainStore
  readonly votes: FinalityStore
  readonly finalizer: Finalizer
  readonly evidence: EvidencePool
  readonly clock: Clock
  readonly logger: Logger
  /** Called when the chain has another tip, after it is stored. */
  readonly onTip: (tip: Tip) => void
  /** Called when something is seen that no honest network shows. */
  readonly onAlarm: (code: string, reason: string) => void
}

/** What became of a block. `unknown_parent`: what it goes on from is not here, sync first. */
export type Accepted =
  'on_chain' | 'beside' | 'known' | 'unknown_parent' | { readonly refused: string; readonly reason: string }

/**
 * A full copy of the chain that nobody has to be believed for: every block is checked by every rule, blocks of other branches
 * are kept beside the chain, and the chain is the branch that docs/protocol.md 5 chooses. Nothing final is ever given up.
 */
export class Replica {
  readonly #parts: ReplicaParts
  readonly #forks: ForkTree
  readonly #lane = createSerial()

  constructor(parts: ReplicaParts) {
    this.#parts = parts
    this.#forks = new ForkTree(parts.chain, parts.store)
  }

  /** True if a block of this hash is on the chain or on a branch that may still become it. */
  async knows(hash: Hash): Promise<boolean> {
    return this.#forks.find(hash) !== undefined || (await this.#parts.chain.heightOf(hash)) !== undefined
  }

  /** A header on the chain or on a branch beside it. */
  async find(hash: Hash): Promise<VoteTarget | undefined> {
    const beside = this.#forks.find(hash)
    if (beside !== undefined) {
      const { height, state } = beside
      return { height, registryBefore: await this.#registryBefore(state, height), isOnChain: false }
    }
    const height = await this.#parts.chain.heightOf(hash)
    if (height === undefined) return undefined
    return { height, registryBefore: await this.#parts.chain.registryBefore(height), isOnChain: true }
  }

  /** For any branch: what its state does not keep is older than the branch, and of the chain. */
  async #registryBefore(state: ChainState, height: number): Promise<Registry> {
    return recentRegistry(state, height) ?? (await this.#parts.chain.registryBefore(height))
  }

  /** Hash at `height` of the chain that ends in `point`; `undefined` above it, and for what is not known here. Within a `look`. */
  async hashAt(point: BlockPoint, height: number): Promise<Hash | undefined> {
    if (height >= point.height) return height === point.height ? point.hash : undefined
    const tip = this.#forks.find(point.hash)
    if (tip !== undefined) {
      const { baseHeight, blocks } = await this.#forks.branchOf(tip)
      return height > baseHeight ? blocks[height - baseHeight - 1]?.hash : await this.#parts.chain.hashAt(height)
    }
    return await this.#hashBelow(point, height)
  }

  /** `hashAt` for the chain, and for a branch that was given up: of it only the blocks in the store are left, also after a restart. */
  async #hashBelow(point: BlockPoint, height: number): Promise<Hash | undefined> {
    const { chain, store } = this.#parts
    let { hash } = point
    for (let at = point.height; at > height; at--) {
      if ((await chain.heightOf(hash)) === at) return await chain.hashAt(height)
      const block = await store.besideChain(hash)
      if (block?.header.height !== at) return undefined
      hash = block.header.prev_hash
    }
    return hash
  }

  /** Looks at several things while neither the chain nor a branch changes. Never from within `accept` or another look. */
  look<T>(task: () => Promise<T>): Promise<T> {
    return this.#lane(task)
  }

  /** Checks a block and takes it into the chain or beside it; then the chain is chosen anew. */
  accept(block: ShownBlock, testimony?: BlockTestimony): Promise<Accepted> {
    return this.#lane(() => this.#accept(block, testimony))
  }

  /** What checks the header of a block before that is known, by the chain that it goes on from; `undefined` if that is not here. */
  sealCheck({ header }: SealedHeader): Promise<VerifySealed | undefined> {
    return this.#lane(async () => {
      const place = await this.#placeAfter(header.height, header.prev_hash)
      if (place === 'unknown_parent') return undefined
      return (sealed, recovery) => verifySealedHeader(place.state, sealed, this.#parts.chain, recovery)
    })
  }

  /** Takes up again the branch that ends in this block and was kept before a restart, if it may still become the chain. */
  recall(hash: Hash): Promise<void> {
    const { store, finalizer } = this.#parts
    return this.#lane(async () => {
      const blocks: ShownBlock[] = []
      for (let block = await store.besideChain(hash); block !== undefined;) {
        if (block.header.height <= finalizer.finalHeight) return
        blocks.unshift(block)
        block = await store.besideChain(block.header.prev_hash)
      }
      for (const block of blocks) await this.#accept(block)
    })
  }

  /** Votes have been counted: another branch may weigh more now. */
  reconsider(): Promise<void> {
    return this.#lane(async () => {
      if (this.#forks.size > 0) await this.#choose()
    })
  }

  /** Looks whether this header and another of its height are evidence. */
  async watch(sealed: SealedHeader): Promise<void> {
    const beside = this.#forks.at(sealed.header.height).map((block) => block.sealed)
    await reportDoubleSeal(this.#parts.chain, this.#parts.evidence, sealed, beside)
  }

  async #accept(block: ShownBlock, testimony = NO_TESTIMONY): Promise<Accepted> {
    const { chain, store, votes, finalizer, logger, onTip } = this.#parts
    const { header } = block
    const hash = hashHeader(header)
    if (await this.knows(hash)) return 'known'
    const place = await this.#placeAfter(header.height, header.prev_hash)
    if (place === 'unknown_parent') return place
    const verdict = await this.#verify(block, place, testimony)
    if (!verdict.ok) return { refused: verdict.code, reason: verdict.reason }
    await this.watch(block)
    if (place.isTip) {
      const { finalHeight } = finalizer
      const tip = await chain.append(block, block.transactions.map(leafOf))
      // Votes came before their block if this node knew it beside an earlier chain.
      await finalizer.count(await votes.votesOf(hash))
      await finalizer.evaluate()
      onTip(tip)
      if (this.#forks.size > 0 && finalizer.finalHeight > finalHeight) await this.#choose()
      return 'on_chain'
    }
    if (!testimony.isFinal && block.transactions.some(({ kind }) => kind === 'redacted')) {
      return { refused: 'redacted', reason: 'it is not on the chain here, and has a redacted transaction' }
    }
    if (place.baseHeight < finalizer.finalHeight) {
      await store.putBeside(block, hash)
      return { refused: 'conflicts_with_final', reason: `block ${finalizer.finalHeight} is final on another branch` }
    }
    // What a double sealer has made is no reason to miss what the others have made final.
    if (this.#forks.isFull && !testimony.isFinal)
      return { refused: 'too_many_branches', reason: 'too many blocks beside the chain' }
    await this.#forks.add(block, place.state)
    logger.warn({ height: header.height, hash }, `block ${header.height} ${hash.slice(0, 12)} is kept beside the chain`)
    await this.#choose()
    return (await chain.heightOf(hash)) === undefined ? 'beside' : 'on_chain'
  }

  /** Where a block of this parent goes: the state before it, and the blocks of its branch so far. */
  async #placeAfter(height: number, parent: Hash): Promise<'unknown_parent' | Place> {
    const { chain } = this.#parts
    const beside = this.#forks.find(parent)
    if (beside !== undefined) {
      const branch = await this.#forks.branchOf(beside)
      return { isTip: false, baseHeight: branch.baseHeight, state: beside.state, branch: branch.blocks }
    }
    const parentHeight = height === 0 ? -1 : await chain.heightOf(parent)
    if (parentHeight === undefined) return 'unknown_parent'
    const size = parentHeight + 1
    return { isTip: size === chain.size, baseHeight: parentHeight, state: await chain.stateAt(size), branch: [] }
  }

  async #verify(
    block: ShownBlock,
    { baseHeight, state, branch }: Place,
    { shown, isFinal }: BlockTestimony,
  ): Promise<Verdict> {
    const { chain, store, clock } = this.#parts
    const history = historyOf(store, baseHeight + 1, await this.#forks.bodiesOf(branch), shown)
    const earlier = await earlierKeys(block.transactions, history)
    const verdict = firstFailure<string>(
      () => (sizeOf(state) === block.header.height ? VALID : invalid('wrong_height', 'the parent has another height')),
      () => verifyNotFromFuture(block.header, clock.now()),
      () => verifyBlock(state, block, chain, earlier),
    )
    if (!verdict.ok) return verdict
    return await verifyTransactions(block, history, isFinal)
  }

  /** Fork choice among the chain as it is and every branch; once more when something became final, since acks up to it weigh no more. */
  async #choose(): Promise<void> {
    const { chain, finalizer, onAlarm } = this.#parts
    const { finalHeight } = finalizer
    const ackers = ackReader(this.#parts.votes)
    const branches: Branch[] = []
    for (const branch of await this.#forks.branches()) {
      if (branch.baseHeight >= finalHeight) branches.push(branch)
      else {
        if (await this.#wouldBeFinal(branch, ackers)) {
          onAlarm('conflicting_final', `two blocks of height ${branch.baseHeight + 1} have a quorum`)
        }
        this.#forks.drop(branch)
      }
    }
    const { tip } = chain
    if (tip === null || branches.length === 0) return
    const state = await chain.stateAt(chain.size)
    const above = await this.#chainAbove(finalHeight)
    const before = await this.#registryBefore(state, finalHeight + 1)
    const candidateOf = async (hash: Hash, seen: number, after: ChainState, blocks: readonly BlockPoint[]) => {
      const ackHeights = await this.#ackHeights(after, blocks, ackers)
      const weight = forkWeight({ finalHeight, registryBefore: () => before, ackHeights })
      return { hash, height: sizeOf(after) - 1, containsFinal: true, weight, seen } satisfies Candidate
    }
    const main = await candidateOf(tip.hash, 0, state, above)
    const others = await Promise.all(
      branches.map(async (branch) => {
        const { hash, seen, state: after } = tipOfBranch(branch)
        const blocks = [...above.filter(({ height }) => height <= branch.baseHeight), ...branch.blocks]
        return { branch, candidate: await candidateOf(hash, seen, after, blocks) }
      }),
    )
    const chosen = chooseFork([main, ...others.map(({ candidate }) => candidate)], before.finality)
    const winner = others.find(({ candidate }) => candidate === chosen)
    if (winner === undefined) return
    await this.#reorganize(winner.branch)
    if (finalizer.finalHeight > finalHeight) await this.#choose()
  }

  /**
   * Acks of these blocks, by key.
   *
   * @param blocks of the chain of `state`, ascending
   */
  async #ackHeights(
    state: ChainState,
    blocks: readonly BlockPoint[],
    ackers: Ackers,
  ): Promise<ReadonlyMap<Hex, number>> {
    const heights = new Map<Hex, number>()
    for (const { hash, height } of blocks) {
      for (const voter of await ackers(hash)) noteAck(heights, voter, height, await this.#registryBefore(state, height))
    }
    return heights
  }

  /** A quorum on a branch that leaves the chain below its last final block. */
  async #wouldBeFinal(branch: Branch, ackers: Ackers): Promise<boolean> {
    const { state } = tipOfBranch(branch)
    if (registryOf(state).finality.policy === 'authority') return false
    const ackHeights = await this.#ackHeights(state, branch.blocks, ackers)
    const count = createFinalityCount({ finalHeight: branch.baseHeight, ackHeights })
    for (const { height } of branch.blocks) {
      const isGuarded = state.registries.some((change) => change.height === height && change.guarded)
      if (!count.take(height, await this.#registryBefore(state, height), isGuarded)) break
    }
    return count.finalHeight > branch.baseHeight
  }

  async #chainAbove(height: number): Promise<readonly BlockPoint[]> {
    const { chain } = this.#parts
    const headers = await chain.headers(height + 1, chain.size - height - 1)
    return headers.map(({ hash, header }) => ({ hash, height: header.height }))
  }

  /** The branch becomes the chain. A kill in between leaves a shorter chain, which is synced again. */
  async #reorganize({ baseHeight, blocks }: Branch): Promise<void> {
    const { chain, finalizer, logger, onTip } = this.#parts
    const removed = await this.#chainAbove(baseHeight)
    const base = await chain.stateAt(baseHeight + 1)
    const bodies = await this.#forks.bodiesOf(blocks)
    const tip = await finalizer.during(async () => {
      // Acks that came while branches were weighed may have made more of the chain final.
      if (finalizer.finalHeight > baseHeight) return undefined
      await chain.rewind(baseHeight + 1)
      for (const body of bodies) await chain.append(body, body.transactions.map(leafOf))
      return chain.tip
    })
    if (tip === undefined) return
    await this.#forks.swap(blocks, removed, base)
    const from = baseHeight + 1
    logger.warn(
      { from, removed: removed.length, adopted: blocks.length },
      `another branch is the chain from block ${from} on`,
    )
    if (tip !== null) onTip(tip)
  }
}

interface Place {
  /** It goes on from the tip of the chain. */
  readonly isTip: boolean
  /** Height of the last block of the chain that it goes on from. */
  readonly baseHeight: number
  readonly state: ChainState
  readonly branch: readonly BlockPoint[]
}

/** Who has acked a header. */
type Ackers = (hash: Hash) => Promise<readonly string[]>

/** Reads each header's votes once, however many branches it is part of. */
function ackReader(votes: Pick<FinalityStore, 'votesOf'>): Ackers {
  const known = new Map<Hash, Promise<readonly string[]>>()
  const read = async (hash: Hash): Promise<readonly string[]> =>
    (await votes.votesOf(hash)).flatMap(({ decision, voter_id }) => (decision === 'ack' ? [voter_id] : []))
  return (hash) => {
    const asked = known.get(hash) ?? read(hash)
    known.set(hash, asked)
    return asked
  }
}

function tipOfBranch({ blocks }: Branch): BranchBlock {
  const tip = blocks.at(-1)
  if (tip === undefined) throw new Error('a branch has a block')
  return tip
}
