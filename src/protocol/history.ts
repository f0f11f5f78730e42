import { concatBytes, hexToBytes, type Hash } from './bytes.ts'
import { invalid, protocolError, VALID, type Verdict } from './errors.ts'
import { sha256Hex } from './hash.ts'
import { array, hash32, integer, object, type TypeOf } from './shape.ts'

/**
 * The append-only Merkle tree of RFC 9162 section 2.1 (RFC 6962): the history of header hashes and the registry.
 * Nodes of complete subtrees never change, so a store keeps them once, and every proof is a list of `Subtree` ranges
 * that are folded from such nodes. The functions that make proofs are told how to read a node; the ones that verify are
 * told nothing but the proof.
 */

/** A complete subtree: the leaves [index * 2^level, (index + 1) * 2^level). */
export interface Subtree {
  readonly level: number
  readonly index: number
}

export const HISTORY_PATH_MAX = 64

/** `{leaf_index, tree_size, path}` of RFC 9162 2.1.3. */
export const inclusionProofShape = object({
  leaf_index: integer(),
  tree_size: integer(1),
  path: array(hash32, HISTORY_PATH_MAX),
})
/** `{from, to, path}` of RFC 9162 2.1.4; from and to are tree sizes. */
export const consistencyProofShape = object({
  from: integer(1),
  to: integer(1),
  path: array(hash32, HISTORY_PATH_MAX),
})
export type InclusionProof = TypeOf<typeof inclusionProofShape>
export type ConsistencyProof = TypeOf<typeof consistencyProofShape>

/** Root of the empty tree: sha256(""). */
export const EMPTY_HISTORY_ROOT: Hash = sha256Hex('')

const LEAF = new Uint8Array([0x00])

/** sha256(0x00 || data), of a text its UTF-8 bytes. */
export const hashLeaf = (data: Uint8Array | string): Hash =>
  sha256Hex(typeof data === 'string' ? `\0${data}` : concatBytes(LEAF, data))

/** 0x01 and two hashes: one place for all of them, since a tree of a hundred thousand leaves has as many. */
const childrenBytes = Uint8Array.of(0x01, ...new Uint8Array(64))

/** sha256(0x01 || left || right). */
export function hashChildren(left: Hash, right: Hash): Hash {
  childrenBytes.set(hexToBytes(left), 1)
  childrenBytes.set(hexToBytes(right), 33)
  return sha256Hex(childrenBytes)
}

/** The largest power of two smaller than `size` (size > 1). */
function splitPoint(size: number): number {
  let k = 1
  while (k * 2 < size) k *= 2
  return k
}

/** The complete subtrees that cover [from, to), left to right; `from` is a multiple of the width of each. */
function cover(from: number, to: number): Subtree[] {
  const subtrees: Subtree[] = []
  for (let start = from; start < to;) {
    let level = 0
    let width = 1
    while (start % (width * 2) === 0 && start + width * 2 <= to) {
      level += 1
      width *= 2
    }
    subtrees.push({ level, index: start / width })
    start += width
  }
  return subtrees
}

function checkRange(what: string, value: number, min: number, limit: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > limit)
    throw protocolError('out_of_range', { what, value, limit })
}

/** The subtrees whose fold is the root of a tree of `size` leaves. */
export const rootSubtrees = (size: number): Subtree[] => cover(0, size)

/**
 * The parts of an inclusion path (RFC 9162 2.1.3.1), each the list of subtrees whose fold is that path element.
 * Throws `out_of_range`.
 */
export function inclusionSubtrees(leafIndex: number, size: number): Subtree[][] {
  checkRange('tree size', size, 1, Number.MAX_SAFE_INTEGER)
  checkRange('leaf index', leafIndex, 0, size - 1)
  const parts: Subtree[][] = []
  for (let from = 0, to = size; to - from > 1;) {
    const middle = from + splitPoint(to - from)
    if (leafIndex < middle) {
      parts.unshift(cover(middle, to))
      to = middle
    } else {
      parts.unshift(cover(from, middle))
      from = middle
    }
  }
  return parts
}

/** The parts of a consistency path (RFC 9162 2.1.4.1) between two sizes, 1 <= from <= to. Throws `out_of_range`. */
export function consistencySubtrees(oldSize: number, newSize: number): Subtree[][] {
  checkRange('tree size', newSize, 1, Number.MAX_SAFE_INTEGER)
  checkRange('older tree size', oldSize, 1, newSize)
  const parts: Subtree[][] = []
  let from = 0
  let to = newSize
  while (oldSize !== to) {
    const middle = from + splitPoint(to - from)
    if (oldSize <= middle) {
      parts.unshift(cover(middle, to))
      to = middle
    } else {
      parts.unshift(cover(from, middle))
      from = middle
    }
  }
  if (from > 0) parts.unshift(cover(from, to))
  return parts
}

/** Folds the nodes of `cover`ing subtrees, given left to right, into one hash. */
export function foldSubtrees(nodes: readonly Hash[]): Hash {
  return nodes.length === 0 ? EMPTY_HISTORY_ROOT : nodes.reduceRight((right, left) => hashChildren(left, right))
}

/** A newly complete subtree and its hash. */
export interface HistoryNode extends Subtree {
  readonly hash: Hash
}

/**
 * The nodes that become complete when `leaf` (a leaf hash) is appended to a tree of `size` leaves: the leaf first, then
 * its complete ancestors. `read` gives nodes appended before. At most log2(size) reads.
 */
export function appendedNodes(size: number, leaf: Hash, read: (subtree: Subtree) => Hash): HistoryNode[] {
  const nodes: HistoryNode[] = [{ level: 0, index: size, hash: leaf }]
  let hash = leaf
  let index = size
  for (let level = 0; index % 2 === 1; level++) {
    hash = hashChildren(read({ level, index: index - 1 }), hash)
    index = (index - 1) / 2
    nodes.push({ level: level + 1, index, hash })
  }
  return nodes
}

/**
 * The frontier (hashes of `rootSubtrees(size)`, left to right) after appending `leaf` to a tree of `size` leaves: what a
 * light client keeps instead of the tree.
 */
export function appendToFrontier(size: number, frontier: readonly Hash[], leaf: Hash): Hash[] {
  const next = [...frontier]
  let node = leaf
  for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) {
    const left = next.pop()
    if (left === undefined)
      throw protocolError('out_of_range', { what: 'frontier', value: frontier.length, limit: size })
    node = hashChildren(left, node)
  }
  return [...next, node]
}

/** True for integers 0 <= index < size: -1 or NaN would otherwise walk the tree as some other leaf. */
const isPosition = (index: number, size: number): boolean =>
  Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size

/** Verifies RFC 9162 2.1.3.2: the leaf is at `proof.leaf_index` of the tree of `proof.tree_size` leaves with this root. */
export function verifyInclusion(leaf: Hash, proof: InclusionProof, root: Hash): Verdict<'bad_inclusion_proof'> {
  const bad = (reason: string) => invalid('bad_inclusion_proof', reason)
  if (!isPosition(proof.leaf_index, proof.tree_size)) {
    return bad(`leaf ${proof.leaf_index} of a tree of ${proof.tree_size}`)
  }
  const expectedLength = inclusionPathLength(proof.leaf_index, proof.tree_size)
  if (proof.path.length !== expectedLength) return bad(`${proof.path.length} nodes instead of ${expectedLength}`)
  let fn = proof.leaf_index
  let sn = proof.tree_size - 1
  let node = leaf
  for (const sibling of proof.path) {
    if (fn % 2 === 1 || fn === sn) {
      node = hashChildren(sibling, node)
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2)
        sn = Math.floor(sn / 2)
      }
    } else {
      node = hashChildren(node, sibling)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  return node === root ? VALID : bad(`the proof leads to ${node}, the root is ${root}`)
}

function inclusionPathLength(leafIndex: number, size: number): number {
  let length = 0
  for (let from = 0, to = size; to - from > 1; length++) {
    const middle = from + splitPoint(to - from)
    if (leafIndex < middle) to = middle
    else from = middle
  }
  return length
}

function isPowerOfTwo(size: number): boolean {
  let odd = size
  while (odd % 2 === 0) odd /= 2
  return odd === 1
}

/** Verifies RFC 9162 2.1.4.2: the tree of `proof.from` leaves with `oldRoot` is a prefix of the one with `newRoot`. */
export function verifyConsistency(
  proof: ConsistencyProof,
  oldRoot: Hash,
  newRoot: Hash,
): Verdict<'bad_consistency_proof'> {
  const bad = (reason: string) => invalid('bad_consistency_proof', reason)
  const { from, to, path } = proof
  if (!isPosition(from - 1, to)) return bad(`no tree of ${to} leaves extends one of ${from}`)
  if (from === to) {
    if (path.length > 0) return bad('equal sizes need no path')
    return oldRoot === newRoot ? VALID : bad('equal sizes with different roots')
  }
  const [first, ...rest] = isPowerOfTwo(from) ? [oldRoot, ...path] : path
  if (first === undefined) return bad('the path is empty')
  let fn = from - 1
  let sn = to - 1
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  let oldNode = first
  let newNode = first
  for (const node of rest) {
    if (sn === 0) return bad('the path is too long')
    if (fn % 2 === 1 || fn === sn) {
      oldNode = hashChildren(node, oldNode)
      newNode = hashChildren(node, newNode)
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2)
        sn = Math.floor(sn / 2)
      }
    } else {
      newNode = hashChildren(newNode, node)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  if (sn !== 0) return bad('the path is too short')
  if (oldNode !== oldRoot) return bad(`the proof leads to the older root ${oldNode}, expected ${oldRoot}`)
  if (newNode !== newRoot) return bad(`the proof leads to the newer root ${newNode}, expected ${newRoot}`)
  return VALID
}

/** The leaf of the history tree for a header: its 32 raw hash bytes as leaf data. */
export const historyLeaf = (headerHash: Hash): Hash => hashLeaf(hexToBytes(headerHash))

/** A whole tree in memory, for the registry, tests and small trees. */
export class MemoryTree {
  readonly #levels: Hash[][] = []
  #size = 0

  constructor(leaves: Iterable<Hash> = []) {
    for (const leaf of leaves) this.append(leaf)
  }

  get size(): number {
    return this.#size
  }

  append(leaf: Hash): void {
    for (const node of appendedNodes(this.#size, leaf, (subtree) => this.#read(subtree))) {
      ;(this.#levels[node.level] ??= [])[node.index] = node.hash
    }
    this.#size += 1
  }

  root(size = this.#size): Hash {
    checkRange('tree size', size, 0, this.#size)
    return this.#fold(rootSubtrees(size))
  }

  inclusion(leafIndex: number, size = this.#size): InclusionProof {
    checkRange('tree size', size, 1, this.#size)
    const path = inclusionSubtrees(leafIndex, size).map((part) => this.#fold(part))
    return { leaf_index: leafIndex, tree_size: size, path }
  }

  consistency(from: number, to = this.#size): ConsistencyProof {
    checkRange('tree size', to, 1, this.#size)
    return { from, to, path: consistencySubtrees(from, to).map((part) => this.#fold(part)) }
  }

  #fold(part: readonly Subtree[]): Hash {
    return foldSubtrees(part.map((subtree) => this.#read(subtree)))
  }

  #read({ level, index }: Subtree): Hash {
    const hash = this.#levels[level]?.[index]
    if (hash === undefined)
      throw protocolError('out_of_range', { what: `node of level ${level}`, value: index, limit: this.#size })
    return hash
  }
}
