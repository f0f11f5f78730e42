import type { Hash } from './bytes.ts'
import { protocolError } from './errors.ts'
import { EMPTY_HISTORY_ROOT, hashChildren, type InclusionProof } from './history.ts'

/**
 * An RFC 9162 tree whose leaves may be replaced. Immutable: a change copies the path to its leaf and shares the rest, so
 * every height keeps its own tree at O(log n) cost.
 */
export class RegistryTree<Leaf> {
  static readonly #empty = new RegistryTree<never>(null)
  readonly #node: Node<Leaf> | null

  private constructor(node: Node<Leaf> | null) {
    this.#node = node
  }

  static empty<Leaf>(): RegistryTree<Leaf> {
    return RegistryTree.#empty
  }

  get size(): number {
    return this.#node?.size ?? 0
  }

  get root(): Hash {
    return this.#node?.hash ?? EMPTY_HISTORY_ROOT
  }

  /** The leaf at `index`; `undefined` beyond the end. */
  at(index: number): Leaf | undefined {
    let node = this.#node
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
  with(index: number, leaf: Leaf, hash: Hash): RegistryTree<Leaf> {
    if (index < 0 || index > this.size)
      throw protocolError('out_of_range', { what: 'leaf', value: index, limit: this.size })
    const entry: Node<Leaf> = { kind: 'leaf', size: 1, hash, leaf }
    if (this.#node === null) return new RegistryTree(entry)
    return new RegistryTree(index === this.size ? append(this.#node, entry) : replace(this.#node, index, entry))
  }

  /** Inclusion of the leaf at `index` (RFC 9162 2.1.3). Throws `out_of_range`. */
  inclusion(index: number): InclusionProof {
    if (index < 0 || index >= this.size)
      throw protocolError('out_of_range', { what: 'leaf', value: index, limit: this.size })
    const path: Hash[] = []
    let node = this.#node
    for (let i = index; node?.kind === 'inner';) {
      const goesLeft = i < node.left.size
      path.unshift(goesLeft ? node.right.hash : node.left.hash)
      if (!goesLeft) i -= node.left.size
      node = goesLeft ? node.left : node.right
    }
    return { leaf_index: index, tree_size: this.size, path }
  }

  *[Symbol.iterator](): Generator<Leaf> {
    const waiting = this.#node === null ? [] : [this.#node]
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (node.kind === 'leaf') yield node.leaf
      else waiting.push(node.right, node.left)
    }
  }
}

type Node<Leaf> =
  | { readonly kind: 'leaf'; readonly size: 1; readonly hash: Hash; readonly leaf: Leaf }
  | {
      readonly kind: 'inner'
      readonly size: number
      readonly hash: Hash
      /** The largest power of two below `size` leaves. */
      readonly left: Node<Leaf>
      readonly right: Node<Leaf>
    }

const inner = <Leaf>(left: Node<Leaf>, right: Node<Leaf>): Node<Leaf> => ({
  kind: 'inner',
  size: left.size + right.size,
  hash: hashChildren(left.hash, right.hash),
  left,
  right,
})

/** A full subtree (a power of two) becomes the left child; otherwise the leaf goes to the right. */
function append<Leaf>(node: Node<Leaf>, leaf: Node<Leaf>): Node<Leaf> {
  if (node.kind === 'leaf' || node.left.size === node.right.size) return inner(node, leaf)
  return inner(node.left, append(node.right, leaf))
}

function replace<Leaf>(node: Node<Leaf>, index: number, leaf: Node<Leaf>): Node<Leaf> {
  if (node.kind === 'leaf') return leaf
  const { left, right } = node
  return index < left.size
    ? inner(replace(left, index, leaf), right)
    : inner(left, replace(right, index - left.size, leaf))
}
