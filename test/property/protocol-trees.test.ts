import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  appendedNodes,
  appendToFrontier,
  consistencyProofShape,
  consistencySubtrees,
  foldSubtrees,
  hashLeaf,
  historyLeaf,
  inclusionProofShape,
  inclusionSubtrees,
  MemoryTree,
  rootSubtrees,
  verifyConsistency,
  verifyInclusion,
  type Subtree,
} from '../../src/protocol/history.ts'
import { hexToBytes } from '../../src/protocol/bytes.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { merkleProof, merkleProofShape, merkleRoot, verifyMerkleProof } from '../../src/protocol/merkle.ts'
import { RegistryTree } from '../../src/protocol/registry-tree.ts'
import { testHeaderHash, testLeaf } from '../vectors/keys.ts'
import {
  naiveConsistency,
  naiveInclusion,
  naiveMerklePath,
  naiveMerkleRoot,
  naiveMerkleVerify,
  naiveTreeHash,
} from './protocol-naive.ts'

const LEAVES = Array.from({ length: 301 }, (_, i) => testLeaf(i))
const HEADERS = Array.from({ length: 300 }, (_, i) => testHeaderHash(i))

/** True for an accepting verdict; refusals are verdicts or `malformed`, nothing else. */
function accepts(check: () => { readonly ok: boolean }): boolean {
  try {
    return check().ok
  } catch (error) {
    assert.ok(isSolarError(error, 'malformed'), String(error))
    return false
  }
}

/** What somebody may put where a number belongs. */
const HOSTILE_NUMBERS: readonly unknown[] = [
  -1,
  -0.5,
  0.5,
  1.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e21,
  1e308,
  '0',
  null,
  undefined,
  true,
  [],
  {},
  1n,
]
const HOSTILE_NODES: readonly unknown[] = [
  '',
  '0',
  'ab'.repeat(31),
  'ab'.repeat(33),
  'AB'.repeat(32),
  'zz'.repeat(32),
  `${'ab'.repeat(32)}\n`,
  null,
  undefined,
  7,
  [],
  {},
]

describe('block Merkle tree against its naive definition', () => {
  it('has the same root for 0..300 leaves', () => {
    for (let size = 0; size <= 300; size++) {
      const leaves = LEAVES.slice(0, size)
      assert.equal(merkleRoot(leaves), naiveMerkleRoot(leaves), String(size))
    }
  })

  it('has the same path for every index of every size up to 130, and every proof verifies', () => {
    for (let size = 1; size <= 130; size++) {
      const leaves = LEAVES.slice(0, size)
      const header = { merkle_root: naiveMerkleRoot(leaves), tx_count: size }
      for (const index of leaves.keys()) {
        const proof = merkleProof(leaves, index)
        assert.deepEqual(proof.path, naiveMerklePath(leaves, index))
        assert.deepEqual(verifyMerkleProof(leaves[index]!, merkleProofShape(proof, 'proof'), header), { ok: true })
      }
    }
  })

  it('agrees with the verification of the document on random changes of proofs', () => {
    const change = fc.record({
      size: fc.integer({ min: 1, max: 40 }),
      at: fc.nat(),
      index: fc.option(fc.nat({ max: 45 })),
      count: fc.option(fc.integer({ min: 1, max: 45 })),
      drop: fc.boolean(),
      add: fc.boolean(),
      replace: fc.option(fc.record({ at: fc.nat(), by: fc.nat({ max: 40 }) })),
    })
    fc.assert(
      fc.property(change, ({ size, at, index, count, drop, add, replace }) => {
        const leaves = LEAVES.slice(0, size)
        const proof = merkleProof(leaves, at % size)
        const path = [...proof.path]
        if (drop) path.pop()
        if (add) path.push(LEAVES[0]!)
        if (replace !== null && path.length > 0) path[replace.at % path.length] = LEAVES[replace.by]!
        const changed = { index: index ?? proof.index, tx_count: count ?? size, path }
        const header = { merkle_root: merkleRoot(leaves), tx_count: changed.tx_count }
        const leaf = leaves[at % size]!
        const expected = naiveMerkleVerify(leaf, changed.index, changed.tx_count, path, header.merkle_root)
        assert.equal(verifyMerkleProof(leaf, changed, header).ok, expected)
        if (changed.tx_count !== size) assert.ok(!verifyMerkleProof(leaf, changed, { ...header, tx_count: size }).ok)
      }),
      { numRuns: 2_000 },
    )
  })

  it('accepts no leaf at a position where it is not', () => {
    for (let size = 1; size <= 20; size++) {
      const leaves = LEAVES.slice(0, size)
      const header = { merkle_root: merkleRoot(leaves), tx_count: size }
      for (let at = 0; at < size; at++) {
        const proof = merkleProof(leaves, at)
        for (let index = 0; index < 2 * size + 2; index++) {
          assert.equal(
            verifyMerkleProof(leaves[at]!, { ...proof, index }, header).ok,
            index === at,
            `${at} as ${index}`,
          )
        }
      }
    }
  })

  it('gives no proof for an index that it does not have', () => {
    for (const index of [-1, 3, 0.5, NaN, Infinity]) {
      assert.throws(() => merkleProof(LEAVES.slice(0, 3), index), { code: 'out_of_range' })
    }
    assert.throws(() => merkleProof([], 0), { code: 'out_of_range' })
  })

  it('refuses hostile proofs by shape, and hostile positions by verdict as well', () => {
    const leaves = LEAVES.slice(0, 4)
    const header = { merkle_root: merkleRoot(leaves), tx_count: 4 }
    const honest = merkleProof(leaves, 0)
    const check = (proof: unknown) =>
      accepts(() => verifyMerkleProof(leaves[0]!, merkleProofShape(proof, 'proof'), header))
    assert.ok(check(honest))
    for (const number of HOSTILE_NUMBERS) {
      assert.ok(!check({ ...honest, index: number }), `index ${String(number)}`)
      assert.ok(!check({ ...honest, tx_count: number }), `tx_count ${String(number)}`)
      const unshaped = { ...honest, index: number as number }
      assert.ok(!verifyMerkleProof(leaves[0]!, unshaped, header).ok, `unshaped ${String(number)}`)
    }
    for (const node of HOSTILE_NODES) assert.ok(!check({ ...honest, path: [honest.path[0], node] }))
    assert.ok(!check({ ...honest, path: null }))
    assert.ok(!check({ ...honest, path: Object.assign([...honest.path], { length: 3 }) }))
  })
})

describe('RFC 9162 tree against its recursive definition', () => {
  const tree = new MemoryTree(HEADERS.map(historyLeaf))

  it('has the same root for 0..300 leaves', () => {
    for (let size = 0; size <= 300; size++) assert.equal(tree.root(size), naiveTreeHash(HEADERS.slice(0, size)))
  })

  /** Compares and verifies one pair (m, n), m < n for inclusion and m <= n for consistency. */
  function checkPair(data: readonly string[], m: number): void {
    const n = data.length
    const root = naiveTreeHash(data)
    if (m < n) {
      const proof = tree.inclusion(m, n)
      assert.deepEqual(proof.path, naiveInclusion(m, data))
      assert.deepEqual(verifyInclusion(historyLeaf(data[m]!), inclusionProofShape(proof, 'proof'), root), { ok: true })
    }
    if (m > 0) {
      const proof = tree.consistency(m, n)
      assert.deepEqual(proof.path, naiveConsistency(m, data))
      const verdict = verifyConsistency(consistencyProofShape(proof, 'proof'), tree.root(m), root)
      assert.deepEqual(verdict, { ok: true })
    }
  }

  it('has the same inclusion and consistency paths for every (m, n) up to 140, and all verify', () => {
    for (let n = 1; n <= 140; n++) {
      const data = HEADERS.slice(0, n)
      for (let m = 0; m <= n; m++) checkPair(data, m)
    }
  })

  it('refuses every index with the path of another, every size with the path of another', () => {
    for (const n of [1, 2, 3, 7, 8, 9, 64, 65, 255, 256, 257, 300]) {
      const root = tree.root(n)
      for (let m = 0; m < n; m += Math.max(1, n >> 4)) {
        const leaf = historyLeaf(HEADERS[m]!)
        const { path } = tree.inclusion(m, n)
        for (let index = 0; index < n + 2; index++) {
          const verdict = verifyInclusion(leaf, { leaf_index: index, tree_size: n, path }, root)
          assert.equal(verdict.ok, index === m, `${m} of ${n} as ${index}`)
        }
        for (const changed of [path.slice(1), path.slice(0, -1), [...path, leaf], [leaf, ...path]]) {
          if (changed.length === path.length) continue
          assert.ok(!verifyInclusion(leaf, { leaf_index: m, tree_size: n, path: changed }, root).ok)
        }
      }
    }
  })

  it('gives the proofs of a registry as those of any such tree, for every leaf up to 140', () => {
    let registry = RegistryTree.empty<number>()
    for (let n = 1; n <= 140; n++) {
      registry = registry.with(n - 1, n - 1, historyLeaf(HEADERS[n - 1]!))
      assert.equal(registry.root, naiveTreeHash(HEADERS.slice(0, n)))
      for (let m = 0; m < n; m++) assert.deepEqual(registry.inclusion(m), tree.inclusion(m, n))
    }
  })

  it('appends exactly the nodes of the subtrees that become complete', () => {
    const stored = new Map<string, string>()
    const name = ({ level, index }: Subtree) => `${level}/${index}`
    let frontier: string[] = []
    for (let size = 0; size < 130; size++) {
      const nodes = appendedNodes(size, historyLeaf(HEADERS[size]!), (subtree) => stored.get(name(subtree))!)
      const complete = Array.from({ length: 9 }, (_, level) => level).filter((level) => (size + 1) % 2 ** level === 0)
      assert.deepEqual(
        nodes.map(({ level, index }) => ({ level, index })),
        complete.map((level) => ({ level, index: (size + 1) / 2 ** level - 1 })),
      )
      for (const node of nodes) {
        const width = 2 ** node.level
        assert.equal(node.hash, naiveTreeHash(HEADERS.slice(node.index * width, (node.index + 1) * width)))
        stored.set(name(node), node.hash)
      }
      frontier = appendToFrontier(size, frontier, historyLeaf(HEADERS[size]!))
      assert.deepEqual(
        frontier,
        rootSubtrees(size + 1).map((subtree) => stored.get(name(subtree))),
      )
      assert.equal(foldSubtrees(frontier), naiveTreeHash(HEADERS.slice(0, size + 1)))
    }
  })

  it('verifies only at the position, size and roots that it was made for', () => {
    const pairs = fc.record({
      m: fc.nat({ max: 39 }),
      n: fc.integer({ min: 1, max: 40 }),
      other: fc.nat({ max: 45 }),
      node: fc.nat(),
    })
    fc.assert(
      fc.property(pairs, ({ m, n, other, node }) => {
        fc.pre(m < n)
        const leaf = historyLeaf(HEADERS[m]!)
        const root = tree.root(n)
        const proof = tree.inclusion(m, n)
        const refused = (changed: typeof proof) => assert.ok(!verifyInclusion(leaf, changed, root).ok)
        if (other !== m) refused({ ...proof, leaf_index: other })
        refused({ ...proof, path: [...proof.path, root] })
        if (proof.path.length > 0) {
          refused({ ...proof, path: proof.path.slice(1) })
          refused({ ...proof, path: proof.path.with(node % proof.path.length, leaf) })
        }
        assert.ok(!verifyInclusion(historyLeaf(HEADERS[m + 1]!), proof, root).ok)
      }),
      { numRuns: 500 },
    )
  })

  it('finds no consistency between histories that differ', () => {
    const forked = new MemoryTree([...HEADERS.slice(0, 20), ...HEADERS.slice(200, 230)].map(historyLeaf))
    for (let from = 21; from <= 40; from++) {
      for (let to = from; to <= 50; to++) {
        const proof = forked.consistency(from, to)
        assert.ok(verifyConsistency(proof, forked.root(from), forked.root(to)).ok)
        assert.ok(!verifyConsistency(proof, tree.root(from), forked.root(to)).ok, `${from} to ${to}`)
        assert.ok(!verifyConsistency(tree.consistency(from, to), tree.root(from), forked.root(to)).ok)
      }
    }
  })

  it('refuses hostile proofs by shape, and hostile positions by verdict as well', () => {
    const leaf = historyLeaf(HEADERS[0]!)
    const inclusion = tree.inclusion(0, 8)
    const consistency = tree.consistency(3, 7)
    const included = (proof: unknown) =>
      accepts(() => verifyInclusion(leaf, inclusionProofShape(proof, 'p'), tree.root(8)))
    const consistent = (proof: unknown) =>
      accepts(() => verifyConsistency(consistencyProofShape(proof, 'p'), tree.root(3), tree.root(7)))
    assert.ok(included(inclusion) && consistent(consistency))
    for (const number of HOSTILE_NUMBERS) {
      for (const field of ['leaf_index', 'tree_size']) assert.ok(!included({ ...inclusion, [field]: number }), field)
      for (const field of ['from', 'to']) assert.ok(!consistent({ ...consistency, [field]: number }), field)
      // 1n is no number at all: only the shape can be asked about it.
      if (typeof number === 'bigint') continue
      assert.ok(!verifyInclusion(leaf, { ...inclusion, leaf_index: number as number }, tree.root(8)).ok)
      assert.ok(!verifyConsistency({ ...consistency, from: number as number }, tree.root(3), tree.root(7)).ok)
    }
    for (const node of HOSTILE_NODES) {
      assert.ok(!included({ ...inclusion, path: inclusion.path.with(1, node as string) }))
      assert.ok(!consistent({ ...consistency, path: consistency.path.with(1, node as string) }))
    }
    assert.ok(!included({ ...inclusion, path: Array.from({ length: 65 }, () => leaf) }))
  })

  it('refuses to make proofs outside of the tree', () => {
    for (const [index, size] of [
      [-1, 8],
      [8, 8],
      [0, 0],
      [0, 301],
      [0.5, 8],
      [NaN, 8],
      [0, NaN],
      [0, 2 ** 54],
    ] as const) {
      assert.throws(() => tree.inclusion(index, size), { code: 'out_of_range' })
    }
    for (const [from, to] of [
      [0, 8],
      [9, 8],
      [1, 301],
      [1.5, 8],
      [NaN, 8],
      [1, NaN],
    ] as const) {
      assert.throws(() => tree.consistency(from, to), { code: 'out_of_range' })
    }
    assert.throws(() => inclusionSubtrees(2 ** 53, 2 ** 53 - 1), { code: 'out_of_range' })
    assert.throws(() => tree.root(301), { code: 'out_of_range' })
  })

  it('makes proofs of logarithmic length for the greatest heights', () => {
    const size = Number.MAX_SAFE_INTEGER
    assert.ok(inclusionSubtrees(size - 1, size).length <= 53)
    assert.ok(consistencySubtrees(size - 2, size).length <= 54)
    assert.ok(rootSubtrees(size).length <= 53)
    assert.equal(hashLeaf(hexToBytes('00')).length, 64)
  })
})
