import type { RegistryPage } from '../ports/chain-store.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Hash } from '../protocol/bytes.ts'
import { registryLeaf, tallyOf, type RegistryLeaf } from '../protocol/registry.ts'
import {
  besideOf,
  innerNode,
  leafNode,
  leftSize,
  levelOf,
  RegistryTree,
  type TreeNode,
} from '../protocol/registry-tree.ts'

/**
 * The registry tree as it is stored: cut into pages, each under the hash of its topmost node. A page holds three levels of
 * the tree: eight leaves, or the hashes of eight pages below. Versions that share a subtree share its pages.
 */

type Node = TreeNode<RegistryLeaf>
type Tree = RegistryTree<RegistryLeaf>

const LEVELS = 3

/** How many pages are on the way from a node of `size` leaves to its leaves. */
const rankOf = (size: number): number => Math.max(1, Math.ceil(levelOf(size) / LEVELS))

/**
 * Pages of a tree that `stored` does not have. A larger one, of which the end was taken away again, is no help: it is cut
 * elsewhere where the smaller one ends.
 */
export function newPages(tree: Tree, stored: Tree | undefined): readonly RegistryPage[] {
  if (tree.top === null) return []
  const known = stored !== undefined && stored.size <= tree.size ? stored.top : null
  return [...pagesOf(tree.top, known, true)]
}

function* pagesOf(node: Node, stored: Node | null, isPage: boolean): Generator<RegistryPage> {
  const [same = null, left = null, right = null] = besideOf(node.size, stored)
  if (same?.hash === node.hash) return
  if (isPage) yield { hash: node.hash, items: [...itemsOf(node, rankOf(node.size))] }
  if (node.kind === 'leaf' || rankOf(node.size) === 1) return
  for (const [child, beside] of [
    [node.left, left],
    [node.right, right],
  ] as const) {
    yield* pagesOf(child, beside, rankOf(child.size) < rankOf(node.size))
  }
}

/** What the page of this rank holds of a node. */
function* itemsOf(node: Node, rank: number): Generator<Hash | RegistryLeaf> {
  if (node.kind === 'leaf' && rank === 1) yield node.leaf
  else if (node.kind === 'leaf' || rankOf(node.size) < rank) yield node.hash
  else {
    yield* itemsOf(node.left, rank)
    yield* itemsOf(node.right, rank)
  }
}

/** A subtree on its way into memory. */
interface Part {
  readonly hash: Hash
  readonly size: number
  /** What the known tree has at its place. */
  readonly beside: Node | null
  parts?: readonly Part[]
  node?: Node
}

/**
 * The tree with this root, as its pages say. What `known` has of it is taken from there: it costs no reading, and the
 * two share it. Throws `corrupt`.
 *
 * @param read pages by their hashes, in the order asked for
 */
export async function loadTree(
  root: Hash,
  size: number,
  known: Tree,
  read: (hashes: readonly Hash[]) => Promise<readonly RegistryPage['items'][]>,
): Promise<Tree> {
  const top: Part = { hash: root, size, beside: known.top }
  const above: Part[] = []
  for (let level = [top]; level.length > 0;) {
    const missing = level.filter((part) => !isKnown(part))
    const pages = await read(missing.map(({ hash }) => hash))
    level = missing.flatMap((part, at) => takePage(part, pages[at] ?? []))
    above.push(...missing)
  }
  // From the leaves up: what is below is made before what is above it.
  for (const part of above.toReversed()) part.node ??= assemble(part, (part.parts ?? []).map(nodeOf).values())
  return RegistryTree.of(nodeOf(top))
}

function isKnown(part: Part): boolean {
  const [same = null] = besideOf(part.size, part.beside)
  if (same?.hash !== part.hash) return false
  part.node = same
  return true
}

/** Takes what the page of a part holds; gives the parts that are to be read next. */
function takePage(part: Part, items: RegistryPage['items']): readonly Part[] {
  const rank = rankOf(part.size)
  if (rank === 1) {
    const leaves = items.flatMap((item) => (typeof item === 'string' ? [] : [item]))
    part.node = assemble(part, leaves.map(nodeOfLeaf).values())
    return []
  }
  const hashes = items.flatMap((item) => (typeof item === 'string' ? [item] : []))
  const places = [...cut(part.size, rank, part.beside)]
  if (hashes.length !== places.length) throw damaged(part, `a page of ${hashes.length} hashes`)
  part.parts = places.map((place, at) => ({ ...place, hash: hashes[at] ?? '' }))
  return part.parts
}

const nodeOfLeaf = (leaf: RegistryLeaf): Node => leafNode(leaf, registryLeaf(leaf), tallyOf(leaf))

/** Places of the pages right below a page, in order. */
function* cut(size: number, rank: number, beside: Node | null): Generator<Pick<Part, 'size' | 'beside'>> {
  if (rankOf(size) < rank) {
    yield { size, beside }
    return
  }
  const [, left = null, right = null] = besideOf(size, beside)
  yield* cut(leftSize(size), rank, left)
  yield* cut(size - leftSize(size), rank, right)
}

/** The node of a part from what its page holds, which must lead to its hash. */
function assemble(part: Part, below: Iterator<Node, unknown>): Node {
  const rank = rankOf(part.size)
  const join = (size: number): Node => {
    if (size > 1 && rankOf(size) === rank) return innerNode(join(leftSize(size)), join(size - leftSize(size)))
    const next = below.next()
    if (next.done === true) throw damaged(part, 'a page with too few items')
    return next.value
  }
  const node = join(part.size)
  if (node.hash !== part.hash) throw damaged(part, `items that lead to ${node.hash}`)
  return node
}

function nodeOf(part: Part): Node {
  if (part.node === undefined) throw damaged(part, 'nothing')
  return part.node
}

const damaged = ({ hash, size }: Part, found: string) =>
  ledgerError('corrupt', { place: `chain store, registry page ${hash}`, expected: `a tree of ${size} leaves`, found })
