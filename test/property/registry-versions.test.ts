import assert from 'node:assert/strict'
import { loadTree, newPages } from '../../src/engine/registry-pages.ts'
import type { RegistryPage } from '../../src/ports/chain-store.ts'
import type { Hash } from '../../src/protocol/bytes.ts'
import { HashTrie } from '../../src/protocol/hash-trie.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import type { TreeNode } from '../../src/protocol/registry-tree.ts'
import { Registry, type RegistryLeaf } from '../../src/protocol/registry.ts'
import { numbersOf } from '../helpers/branches.ts'
import { entryOf, genesisOf } from '../helpers/test-chain.ts'

const GENESIS = genesisOf({ policy: 'authority' }, entryOf('authority', 'authority'))
const START = Registry.fromGenesis(GENESIS)

/** Changes of which nobody checks the signatures. */
const enrol = (id: string) =>
  ({ action: 'enrol', subject_id: id, role: 'voter', public_key: sha256Hex(id) }) as RegistryTransaction
const rotate = (id: string, name: string) =>
  ({ action: 'rotate', subject_id: id, public_key: sha256Hex(name) }) as RegistryTransaction
const members = (count: number) => Array.from({ length: count }, (_, index) => enrol(`house-${index}`))

/** Every node of a tree. */
function* nodesOf(node: TreeNode<RegistryLeaf> | null): Generator<TreeNode<RegistryLeaf>> {
  if (node === null) return
  yield node
  if (node.kind === 'inner') {
    yield* nodesOf(node.left)
    yield* nodesOf(node.right)
  }
}

const isSameRegistry = (one: Registry, other: Registry, ids: readonly string[]): void => {
  assert.equal(one.root, other.root)
  assert.deepEqual(one.entries, other.entries)
  for (const role of ['authority', 'validator', 'voter'] as const) {
    assert.equal(one.activeCount(role), other.activeCount(role))
  }
  for (const id of ids) {
    const entry = other.entry(id)
    assert.deepEqual(one.entry(id), entry)
    if (entry !== undefined) assert.deepEqual(one.holder(entry.public_key), entry)
  }
}

describe('versions of a registry', () => {
  for (const count of [100, 1_600, 25_600]) {
    it(`of ${count} members share all but the way to what a change touches`, () => {
      const before = START.afterValid(members(count), 0)
      const shared = new Set(nodesOf(before.tree.top))
      const way = Math.ceil(Math.log2(count + 2)) + 1
      for (const change of [rotate('house-7', 'another key'), enrol('newcomer')]) {
        const after = before.afterValid([change], 1)
        const own = [...nodesOf(after.tree.top)].filter((node) => !shared.has(node))
        assert.ok(own.length <= way, `${own.length} nodes`)
        assert.equal([...after.tree.beside(before.tree)].length, 1)
      }
    })
  }

  it('come back from their pages, with help of any other version and of none', async () => {
    const below = numbersOf('registry pages')
    const pages = new Map<Hash, RegistryPage['items']>()
    const versions: Registry[] = [START]
    let stored: Registry | undefined
    const ids: string[] = []
    for (let round = 0; round < 60; round++) {
      let registry = versions.at(-1)!
      for (let count = below(30); count >= 0; count--) {
        const id = below(3) === 0 && ids.length > 0 ? ids[below(ids.length)]! : `house-${ids.length}`
        const isNew = registry.entry(id) === undefined
        if (isNew) ids.push(id)
        registry = registry.afterValid([isNew ? enrol(id) : rotate(id, `${id} ${round} ${count}`)], round)
      }
      for (const { hash, items } of newPages(registry.tree, stored?.tree)) pages.set(hash, items)
      stored = registry
      versions.push(registry)
    }
    for (const version of versions.slice(1)) {
      const known = versions[below(versions.length)]!
      let read = 0
      const tree = await loadTree(version.root, version.tree.size, known.tree, (hashes) => {
        read += hashes.length
        return Promise.resolve(hashes.map((hash) => pages.get(hash)!))
      })
      if (known === version) assert.equal(read, 0)
      isSameRegistry(known.version(tree), version, ids)
    }
  })

  it('are written as a few pages beside those of the one before', () => {
    const before = START.afterValid(members(4_000), 0)
    assert.equal(newPages(before.tree, before.tree).length, 0)
    const all = newPages(before.tree, undefined)
    assert.ok(all.length > 500)
    const after = before.afterValid([rotate('house-9', 'another key')], 1)
    // Three levels in a page: four pages lead to one of 4,001 leaves.
    assert.equal(newPages(after.tree, before.tree).length, 4)
  })

  it('are refused where a page holds something else', async () => {
    const registry = START.afterValid(members(40), 0)
    const pages = new Map(newPages(registry.tree, undefined).map(({ hash, items }) => [hash, items]))
    const other = newPages(START.afterValid(members(41), 0).tree, undefined)[0]!
    for (const [hash, items] of pages) {
      for (const wrong of [items.slice(1), [], items.toReversed(), other.items]) {
        if (items.length === 1 && wrong.length === 1) continue
        const read = (hashes: readonly Hash[]) =>
          Promise.resolve(hashes.map((asked) => (asked === hash ? wrong : pages.get(asked)!)))
        await assert.rejects(loadTree(registry.root, registry.tree.size, START.tree, read), { code: 'corrupt' })
      }
    }
  })
})

describe('a hash trie', () => {
  it('says on random changes what a map says, and leaves each version as it was', () => {
    const below = numbersOf('hash trie')
    let trie = HashTrie.empty<number>()
    const map = new Map<string, number>()
    const versions: { readonly trie: HashTrie<number>; readonly map: ReadonlyMap<string, number> }[] = []
    for (let step = 0; step < 3_000; step++) {
      const key = `key ${below(400)}`
      if (below(3) === 0) {
        trie = trie.without(key)
        map.delete(key)
      } else {
        trie = trie.with(key, step)
        map.set(key, step)
      }
      if (step % 300 === 0) versions.push({ trie, map: new Map(map) })
    }
    for (const version of versions) {
      for (let key = 0; key < 400; key++) assert.equal(version.trie.get(`key ${key}`), version.map.get(`key ${key}`))
    }
    const same = trie.with('key 1', 5)
    assert.equal(same.with('key 1', 5), same)
    assert.equal(same.without('no such key'), same)
  })
})
