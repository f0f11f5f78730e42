import type { Hash } from './bytes.ts'
import { protocolError } from './errors.ts'
import type { Role } from './genesis.ts'
import { EMPTY_HISTORY_ROOT, hashChildren, type InclusionProof } from './history.ts'

/** How many active key holders of each role there are. */
export type Tally = Readonly<Record<Role, number>>

export const NOBODY: Tally = { authority: 0, validator: 0, voter: 0 }

/**
 * An RFC 9162 tree whose leaves may be replaced. Immutable: a change copies the path to its leaf and shares the rest, so
 * a version costs O(log n) beside another one.
 */
export class RegistryTree<Leaf> {
  static readonly #empty = new RegistryTree<never>(null)
  /** null without a leaf. */
  readonly top: TreeNode<Leaf> | null

  private constructor(top: TreeNode<Leaf> | null) {
    this.top = top
  }

  static empty<Leaf>(): RegistryTree<Leaf> {
    return RegistryTree.#empty
  }

  static of<Leaf>(top: TreeNode<Leaf>): RegistryTree<Leaf> {
    return new RegistryTree(top)
  }

  get size(): number {
    return this.top?.size ?? 0
  }

  get root(): Hash {
    return this.top?.hash ?? EMPTY_HISTORY_ROOT
  }

  /** Of all leaves together. */
  get tally(): Tally {
    return this.top?.tally ?? NOBODY
  }

  /** The leaf at `index`; `undefined` beyond the end. */
  at(index: number): Leaf | undefined {
    let node = this.top
    if (node === null || index < 0 || index >= node.size) return undefined
    for (let i = index; node.kind === 'inner';) {
      if (i < node.left.size) node = node.left
      else {
        i -= node.left.size
        node = node.right
      }
    }
    return node.leaf
  }

  /** Appends a leaf, or replaces one: `index` is at most `size`. Throws `out_of_range`. */
  with(index: number, leaf: Leaf, hash: Hash, tally: Tally = NOBODY): RegistryTree<Leaf> {
    if (index < 0 || index > this.size)
      throw protocolError('out_of_range', { what: 'leaf', value: index, limit: this.size })
    const entry = leafNode(leaf, hash, tally)
    if (this.top === null) return new RegistryTree(entry)
    return new RegistryTree(index === this.size ? append(this.top, entry) : replace(this.top, index, entry))
  }

  /** Inclusion of the leaf at `index` (RFC 9162 2.1.3). Throws `out_of_range`. */
  inclusion(index: number): InclusionProof {
    if (index < 0 || index >= this.size)
      throw protocolError('out_of_range', { what: 'leaf', value: index, limit: this.size })
    const path: Hash[] = []
    let node = this.top
    for (let i = index; node?.kind === 'inner';) {
      const goesLeft = i < node.left.size
      path.unshift(goesLeft ? node.right.hash : node.left.hash)
      if (!goesLeft) i -= node.left.size
      node = goesLeft ? node.left : node.right
    }
    return { leaf_index: index, tree_size: this.size, path }
  }

  *[Symbol.iterator](): Generator<Leaf> {
    if (this.top !== null) yield* leavesOf(this.top, () => true)
  }

  /** Leaves that count as active holders of a role, in order. Takes O(log n) for each of them. */
  *holders(role: Role): Generator<Leaf> {
    if (this.top !== null) yield* leavesOf(this.top, ({ tally }) => tally[role] > 0)
  }

  /** Leaves that `other` does not have at their place. What both trees share takes no time. */
  *beside(other: RegistryTree<Leaf>): Generator<Leaf> {
    if (this.top !== null) yield* differing(this.top, other.top)
  }
}

export type TreeNode<Leaf> =
  | { readonly kind: 'leaf'; readonly size: 1; readonly hash: Hash; readonly tally: Tally; readonly leaf: Leaf }
  | InnerNode<Leaf>

export interface InnerNode<Leaf> {
  readonly kind: 'inner'
  readonly size: number
  readonly hash: Hash
  readonly tally: Tally
  /** `leftSize(size)` leaves. */
  readonly left: TreeNode<Leaf>
  readonly right: TreeNode<Leaf>
}

export const leafNode = <Leaf>(leaf: Leaf, hash: Hash, tally: Tally): TreeNode<Leaf> => ({
  kind: 'leaf',
  size: 1,
  hash,
  tally,
  leaf,
})

export const innerNode = <Leaf>(left: TreeNode<Leaf>, right: TreeNode<Leaf>): InnerNode<Leaf> => ({
  kind: 'inner',
  size: left.size + right.size,
  hash: hashChildren(left.hash, right.hash),
  tally: {
    authority: left.tally.authority + right.tally.authority,
    validator: left.tally.validator + right.tally.validator,
    voter: left.tally.voter + right.tally.voter,
  },
  left,
  right,
})

/** Bits that a leaf index below `size` needs: the height of a tree of so many leaves. */
export const levelOf = (size: number): number => 32 - Math.clz32(size - 1)

/** Leaves of the left child of a node of `size` > 1 leaves: the largest power of two below. */
export const leftSize = (size: number): number => 2 ** (levelOf(size) - 1)

/**
 * What another tree has where a node and its children are, given the node that it has there or the one that begins there:
 * at its place `null` where the other one ends before.
 */
export function besideOf<Leaf>(size: number, other: TreeNode<Leaf> | null): readonly (TreeNode<Leaf> | null)[] {
  let node = other
  // A larger tree holds a smaller one of the same place in its left parts.
  while (node?.kind === 'inner' && node.size > size && node.left.size >= size) node = node.left
  if (size === 1) return [node, null, null]
  return node?.kind === 'inner' && node.size > leftSize(size) ? [node, node.left, node.right] : [node, node, null]
}

function* differing<Leaf>(node: TreeNode<Leaf>, other: TreeNode<Leaf> | null): Generator<Leaf> {
  const [same = null, left = null, right = null] = besideOf(node.size, other)
  if (same?.hash === node.hash) return
  if (node.kind === 'leaf') yield node.leaf
  else {
    yield* differing(node.left, left)
    yield* differing(node.right, right)
  }
}

function* leavesOf<Leaf>(top: TreeNode<Leaf>, isWanted: (node: TreeNode<Leaf>) => boolean): Generator<Leaf> {
  const waiting = [top]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (!isWanted(node)) continue
    if (node.kind === 'leaf') yield node.leaf
    else waiting.push(node.right, node.left)
  }
}

/** A full subtree (a power of two) becomes the left child; otherwise the leaf goes to the right. */
function append<Leaf>(node: TreeNode<Leaf>, leaf: TreeNode<Leaf>): TreeNode<Leaf> {
  if (node.kind === 'leaf' || node.left.size === node.right.size) return innerNode(node, leaf)
  return innerNode(node.left, append(node.right, leaf))
}

function replace<Leaf>(node: TreeNode<Leaf>, index: number, leaf: TreeNode<Leaf>): TreeNode<Leaf> {
  if (node.kind === 'leaf') return leaf
  const { left, right } = node
  return index < left.size
    ? innerNode(replace(left, index, leaf), right)
    : innerNode(left, replace(right, index - left.size, leaf))
}
