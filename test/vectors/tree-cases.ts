import {
  consistencyProofShape,
  historyLeaf,
  inclusionProofShape,
  MemoryTree,
  verifyConsistency,
  verifyInclusion,
  type ConsistencyProof,
  type InclusionProof,
} from '../../src/protocol/history.ts'
import {
  merkleProof,
  merkleProofShape,
  merkleRoot,
  verifyMerkleProof,
  type MerkleProof,
} from '../../src/protocol/merkle.ts'
import { copyOf, outcomeOf, type VectorFile } from './case.ts'
import { testHeaderHash, testLeaf } from './keys.ts'

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const leavesOf = (count: number): string[] => range(0, count - 1).map(testLeaf)
const flipped = (hash: string): string => (hash.startsWith('0') ? '1' : '0') + hash.slice(1)

const MERKLE_COUNTS = [...range(0, 17), 31, 32, 33, 1000]

/** Roots of the block Merkle tree. */
export function merkleRoots(): VectorFile {
  return {
    about:
      'Root of the block Merkle tree over tx_count leaves; leaf i is sha256(utf8("solar-node test leaf " + i)), i in decimal from 0.',
    cases: MERKLE_COUNTS.map((tx_count) => ({ tx_count, merkle_root: merkleRoot(leavesOf(tx_count)) })),
  }
}

interface MerkleCase {
  readonly name: string
  readonly leaf: string
  readonly proof: unknown
  readonly header: { readonly merkle_root: string; readonly tx_count: number }
}

function merkleCase(name: string, count: number, index: number, change: (c: Changeable) => void = () => undefined) {
  const leaves = leavesOf(count)
  const draft = copyOf({
    leaf: testLeaf(index),
    proof: merkleProof(leaves, index),
    header: { merkle_root: merkleRoot(leaves), tx_count: count },
  }) as Changeable
  change(draft)
  return { name, ...draft } as MerkleCase
}

interface Changeable {
  leaf: string
  proof: { -readonly [K in keyof MerkleProof]: unknown } & { path: string[] }
  header: { merkle_root: string; tx_count: number }
}

const MERKLE_CHANGES: readonly (readonly [
  name: string,
  count: number,
  index: number,
  change: (c: Changeable) => void,
])[] = [
  ['another leaf', 5, 1, (c) => (c.leaf = testLeaf(2))],
  ['the root as leaf with an empty path', 4, 0, (c) => ((c.leaf = c.header.merkle_root), (c.proof.path = []))],
  ['an inner node as leaf', 4, 0, (c) => ((c.leaf = c.proof.path[1]!), (c.proof.path = [c.proof.path[1]!]))],
  ['one node changed', 5, 1, (c) => (c.proof.path[1] = flipped(c.proof.path[1]!))],
  ['two nodes swapped', 8, 3, (c) => c.proof.path.reverse()],
  ['the index of the sibling', 8, 3, (c) => (c.proof.index = 2)],
  ['an index behind the last', 5, 4, (c) => (c.proof.index = 5)],
  ['the index that duplication would give the last leaf', 3, 2, (c) => (c.proof.index = 3)],
  ['a count that the header does not have', 3, 2, (c) => (c.proof.tx_count = 4)],
  [
    'count 4 in proof and header, with the root of 3: the count must come from a trusted header',
    3,
    2,
    (c) => ((c.proof.tx_count = 4), (c.header.tx_count = 4)),
  ],
  ['a node too many', 5, 1, (c) => c.proof.path.push(testLeaf(0))],
  ['a node too few', 5, 1, (c) => c.proof.path.pop()],
  ['no path for two leaves', 2, 0, (c) => (c.proof.path = [])],
  ['a path for one leaf', 1, 0, (c) => (c.proof.path = [testLeaf(0)])],
  ['a padding node that is not the node itself', 3, 2, (c) => (c.proof.path[0] = testLeaf(1))],
  ['a padding node in upper case', 3, 2, (c) => (c.proof.path[0] = c.proof.path[0]!.toUpperCase())],
  ['a wrong root', 5, 1, (c) => (c.header.merkle_root = flipped(c.header.merkle_root))],
  ['the empty root', 1, 0, (c) => (c.header.merkle_root = merkleRoot([]))],
  ['a block without transactions', 1, 0, (c) => ((c.header.tx_count = 0), (c.header.merkle_root = merkleRoot([])))],
  ['index -1', 2, 0, (c) => (c.proof.index = -1)],
  ['index 0.5', 2, 0, (c) => (c.proof.index = 0.5)],
  ['index as a string', 2, 0, (c) => (c.proof.index = '0')],
  ['index null', 2, 0, (c) => (c.proof.index = null)],
  ['index 2^53', 2, 0, (c) => (c.proof.index = 2 ** 53)],
  ['a node of 31 bytes', 2, 0, (c) => (c.proof.path = [c.proof.path[0]!.slice(2)])],
  ['a node of 33 bytes', 2, 0, (c) => (c.proof.path = [`${c.proof.path[0]!}00`])],
  ['a node that is no hex', 2, 0, (c) => (c.proof.path = ['g'.repeat(64)])],
  ['an unknown field', 2, 0, (c) => Object.assign(c.proof, { note: 'x' })],
  ['a missing field', 2, 0, (c) => delete (c.proof as Partial<Changeable['proof']>).index],
  ['18 nodes', 2, 0, (c) => (c.proof.path = leavesOf(18))],
]

/** Proofs of the block Merkle tree: every index of 1..17, some of 1000, and what must be refused. */
export function merkleProofs(): VectorFile {
  const accepted = [
    ...range(1, 17).flatMap((count) => range(0, count - 1).map((i) => merkleCase(`leaf ${i} of ${count}`, count, i))),
    ...[0, 1, 499, 500, 511, 512, 767, 768, 998, 999].map((i) => merkleCase(`leaf ${i} of 1000`, 1000, i)),
  ]
  const changed = MERKLE_CHANGES.map(([name, count, index, change]) => merkleCase(name, count, index, change))
  return {
    about:
      'Proofs of the block Merkle tree, leaves as in merkle-roots.json. "header": the two header fields that the proof is checked against. A reader may know refusals by another code; "ok" is the contract.',
    cases: [...accepted, ...changed].map((c) => ({ ...c, ...merkleOutcome(c) })),
  }
}

/** What the code makes of a case of merkle-proofs.json. */
export const merkleOutcome = (c: MerkleCase) =>
  outcomeOf(() => verifyMerkleProof(c.leaf, merkleProofShape(c.proof, 'proof'), c.header))

const HISTORY_SIZES = range(0, 33)
const historyTree = (size: number): MemoryTree =>
  new MemoryTree(range(0, size - 1).map((i) => historyLeaf(testHeaderHash(i))))

/** Roots of the history tree. */
export function historyRoots(): VectorFile {
  const tree = historyTree(33)
  return {
    about:
      'history_root of height "size": the RFC 9162 root over header hashes 0..size-1. Header hash i of these files is sha256(utf8("solar-node test header " + i)); its 32 raw bytes are the leaf data.',
    cases: HISTORY_SIZES.map((size) => ({ size, root: tree.root(size) })),
  }
}

interface InclusionCase {
  readonly name: string
  readonly header_hash: string
  readonly proof: unknown
  readonly root: string
}
type Draft<T> = { -readonly [K in keyof T]: unknown }
interface InclusionDraft {
  header_hash: string
  proof: Draft<InclusionProof> & { path: string[] }
  root: string
}

const INCLUSION_CHANGES: readonly (readonly [
  name: string,
  index: number,
  size: number,
  change: (c: InclusionDraft) => void,
])[] = [
  ['another header', 3, 7, (c) => (c.header_hash = testHeaderHash(4))],
  ['another index', 3, 8, (c) => (c.proof.leaf_index = 2)],
  [
    'a size of which the path has the same form: the size must come from the height of a trusted header',
    3,
    7,
    (c) => (c.proof.tree_size = 8),
  ],
  ['a smaller size', 3, 7, (c) => (c.proof.tree_size = 4)],
  ['a wrong root', 3, 7, (c) => (c.root = flipped(c.root))],
  ['a node changed', 3, 7, (c) => (c.proof.path[0] = flipped(c.proof.path[0]!))],
  ['a node too many', 3, 7, (c) => c.proof.path.push(c.root)],
  ['a node too few', 3, 7, (c) => c.proof.path.pop()],
  ['nodes in reverse order', 3, 7, (c) => c.proof.path.reverse()],
  ['an index behind the last', 6, 7, (c) => (c.proof.leaf_index = 7)],
  ['index -1', 0, 8, (c) => (c.proof.leaf_index = -1)],
  ['index 0.5', 0, 8, (c) => (c.proof.leaf_index = 0.5)],
  ['index null', 0, 8, (c) => (c.proof.leaf_index = null)],
  ['size 0', 0, 1, (c) => (c.proof.tree_size = 0)],
  ['size 2^53', 0, 8, (c) => (c.proof.tree_size = 2 ** 53)],
  ['a node of 31 bytes', 0, 2, (c) => (c.proof.path = [c.proof.path[0]!.slice(2)])],
  ['65 nodes', 0, 2, (c) => (c.proof.path = leavesOf(65))],
  ['an unknown field', 0, 2, (c) => Object.assign(c.proof, { note: 'x' })],
]

/** What the code makes of a case of history-inclusion.json. */
export const inclusionOutcome = (c: InclusionCase) =>
  outcomeOf(() => verifyInclusion(historyLeaf(c.header_hash), inclusionProofShape(c.proof, 'proof'), c.root))

/** Inclusion proofs of every header in every history of up to 33 headers, and what must be refused. */
export function historyInclusion(): VectorFile {
  const tree = historyTree(33)
  const of = (name: string, index: number, size: number, change: (c: InclusionDraft) => void = () => undefined) => {
    const proof = copyOf(tree.inclusion(index, size)) as InclusionDraft['proof']
    const draft: InclusionDraft = { header_hash: testHeaderHash(index), proof, root: tree.root(size) }
    change(draft)
    return { name, ...draft } as InclusionCase
  }
  const accepted = range(1, 33).flatMap((n) => range(0, n - 1).map((i) => of(`header ${i} of ${n}`, i, n)))
  const changed = INCLUSION_CHANGES.map(([name, index, size, change]) => of(name, index, size, change))
  return {
    about: 'RFC 9162 inclusion proofs in the history tree; header hashes as in history-roots.json.',
    cases: [...accepted, ...changed].map((c) => ({ ...c, ...inclusionOutcome(c) })),
  }
}

interface ConsistencyCase {
  readonly name: string
  readonly proof: unknown
  readonly from_root: string
  readonly to_root: string
}
interface ConsistencyDraft {
  proof: Draft<ConsistencyProof> & { path: string[] }
  from_root: string
  to_root: string
}

const CONSISTENCY_CHANGES: readonly (readonly [
  name: string,
  from: number,
  to: number,
  change: (c: ConsistencyDraft) => void,
])[] = [
  ['a wrong older root', 3, 7, (c) => (c.from_root = flipped(c.from_root))],
  ['a wrong newer root', 3, 7, (c) => (c.to_root = flipped(c.to_root))],
  ['a wrong older root of a power of two', 4, 7, (c) => (c.from_root = flipped(c.from_root))],
  ['a node changed', 3, 7, (c) => (c.proof.path[0] = flipped(c.proof.path[0]!))],
  ['the last node changed', 3, 7, (c) => (c.proof.path[2] = flipped(c.proof.path[2]!))],
  ['a node too many', 3, 7, (c) => c.proof.path.push(c.to_root)],
  ['a node too few', 3, 7, (c) => c.proof.path.pop()],
  ['no path', 3, 7, (c) => (c.proof.path = [])],
  ['no path for a power of two', 4, 7, (c) => (c.proof.path = [])],
  ['sizes swapped', 3, 7, (c) => ((c.proof.from = 7), (c.proof.to = 3))],
  ['another older size', 5, 7, (c) => (c.proof.from = 6)],
  ['another newer size', 3, 7, (c) => (c.proof.to = 9)],
  ['a path for equal sizes', 7, 7, (c) => (c.proof.path = [c.to_root])],
  ['equal sizes with different roots', 7, 7, (c) => (c.from_root = flipped(c.from_root))],
  ['older size 0', 1, 7, (c) => (c.proof.from = 0)],
  ['older size 1.5', 1, 3, (c) => (c.proof.from = 1.5)],
  ['newer size null', 3, 7, (c) => (c.proof.to = null)],
  ['a node of 31 bytes', 3, 7, (c) => (c.proof.path[0] = c.proof.path[0]!.slice(2))],
  ['an unknown field', 3, 7, (c) => Object.assign(c.proof, { note: 'x' })],
]

/** What the code makes of a case of history-consistency.json. */
export const consistencyOutcome = (c: ConsistencyCase) =>
  outcomeOf(() => verifyConsistency(consistencyProofShape(c.proof, 'proof'), c.from_root, c.to_root))

/** Consistency proofs between all histories of 1..33 headers, and what must be refused. */
export function historyConsistency(): VectorFile {
  const tree = historyTree(33)
  const of = (name: string, from: number, to: number, change: (c: ConsistencyDraft) => void = () => undefined) => {
    const proof = copyOf(tree.consistency(from, to)) as ConsistencyDraft['proof']
    const draft: ConsistencyDraft = { proof, from_root: tree.root(from), to_root: tree.root(to) }
    change(draft)
    return { name, ...draft } as ConsistencyCase
  }
  const accepted = range(1, 33).flatMap((to) => range(1, to).map((from) => of(`${from} to ${to}`, from, to)))
  const changed = CONSISTENCY_CHANGES.map(([name, from, to, change]) => of(name, from, to, change))
  return {
    about: 'RFC 9162 consistency proofs between histories; header hashes as in history-roots.json.',
    cases: [...accepted, ...changed].map((c) => ({ ...c, ...consistencyOutcome(c) })),
  }
}
