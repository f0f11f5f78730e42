import assert from 'node:assert/strict'
import fc from 'fast-check'
import { EMPTY_HISTORY_ROOT, MemoryTree, verifyInclusion } from '../../../src/protocol/history.ts'
import { RegistryTree } from '../../../src/protocol/registry-tree.ts'
import { testLeaf } from '../../vectors/keys.ts'

/** A version of the tree and the leaves that it must have. */
interface Version {
  readonly tree: RegistryTree<number>
  readonly leaves: readonly number[]
}

const treeOf = (size: number): RegistryTree<number> =>
  Array.from({ length: size }, (_, i) => i).reduce(
    (tree, i) => tree.with(i, i, testLeaf(i)),
    RegistryTree.empty<number>(),
  )

function assertIs({ tree, leaves }: Version): void {
  const naive = new MemoryTree(leaves.map(testLeaf))
  assert.equal(tree.size, leaves.length)
  assert.equal(tree.root, naive.root())
  assert.deepEqual([...tree], leaves)
  leaves.forEach((leaf, index) => {
    assert.equal(tree.at(index), leaf)
    assert.deepEqual(tree.inclusion(index), naive.inclusion(index))
  })
}

describe('registry tree', () => {
  it('is the RFC 9162 tree of its leaves after any appends and replacements, and so is every version before', () => {
    // A place beyond the end appends; below, it replaces.
    const changes = fc.array(fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 1_000 })), { maxLength: 60 })
    fc.assert(
      fc.property(changes, (sequence) => {
        const versions: Version[] = [{ tree: RegistryTree.empty<number>(), leaves: [] }]
        for (const [place, leaf] of sequence) {
          const { tree, leaves } = versions.at(-1)!
          const index = Math.min(place, leaves.length)
          const changed = [...leaves]
          changed[index] = leaf
          versions.push({ tree: tree.with(index, leaf, testLeaf(leaf)), leaves: changed })
        }
        for (const version of versions) assertIs(version)
      }),
      { numRuns: 40 },
    )
  })

  it('gives proofs that verify for the leaf at its place alone', () => {
    const tree = treeOf(11)
    for (let index = 0; index < 11; index++) {
      const proof = tree.inclusion(index)
      for (let leaf = 0; leaf < 11; leaf++) {
        assert.equal(verifyInclusion(testLeaf(leaf), proof, tree.root).ok, leaf === index)
      }
    }
  })

  it('has no leaf and the root of nothing when it is empty', () => {
    const tree = RegistryTree.empty<number>()
    assert.equal(tree.root, EMPTY_HISTORY_ROOT)
    assert.equal(tree.size, 0)
    assert.equal(tree.at(0), undefined)
    assert.deepEqual([...tree], [])
    assert.throws(() => tree.inclusion(0), { code: 'out_of_range' })
  })

  it('leaves no gap, and knows no leaf beyond its end', () => {
    const tree = treeOf(3)
    for (const index of [-1, 4]) assert.throws(() => tree.with(index, 9, testLeaf(9)), { code: 'out_of_range' })
    for (const index of [-1, 3]) {
      assert.equal(tree.at(index), undefined)
      assert.throws(() => tree.inclusion(index), { code: 'out_of_range' })
    }
  })
})
