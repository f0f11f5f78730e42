import assert from 'node:assert/strict'
import { Chain } from '../../../src/engine/chain.ts'
import { CHANGES_PER_CHECKPOINT } from '../../../src/engine/registry-versions.ts'
import type { ChainStore } from '../../../src/ports/chain-store.ts'
import type { Registry } from '../../../src/protocol/registry.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../../helpers/test-chain.ts'
import { tempChainStore, type OpenedStore } from '../../helpers/stores.ts'

const GENESIS = genesisOf(
  { policy: 'authority' },
  entryOf('authority', 'authority', 'authority recovery'),
  entryOf('ann', 'voter'),
  entryOf('v1', 'validator'),
)
const CHANGES = 2 * CHANGES_PER_CHECKPOINT + 40

/** Registers house after house, and gives ann a new key at every third change. */
async function change(made: TestChain, number: number): Promise<void> {
  if (number % 3 === 0) {
    const at = number / 3
    const signer = at === 0 ? 'ann' : `ann ${at - 1}`
    const { publicKey: public_key } = namedKey(`ann ${at}`)
    await made.change({ action: 'rotate', subject_id: 'ann', public_key }, signer)
    return
  }
  const name = `house-${number}`
  const { publicKey: public_key } = namedKey(name)
  await made.change({ action: 'enrol', subject_id: name, role: 'voter', public_key }, name)
}

describe('the registries of a long chain', () => {
  let opened: OpenedStore<ChainStore>
  let made: TestChain
  /** The registry before each height, and after the tip. */
  const registries: Registry[] = []

  before(async () => {
    opened = await tempChainStore()
    made = await createTestChain(GENESIS, opened.store)
    for (let number = 0; number < CHANGES; number++) {
      registries.push(made.chain.registry)
      await change(made, number)
    }
    registries.push(made.chain.registry)
  })
  after(() => opened.cleanup())

  const rootsOf = async (chain: Chain, heights: readonly number[]) =>
    await Promise.all(heights.map(async (height) => (await chain.registryBefore(height)).root))
  const rootsUpTo = (heights: readonly number[]) => heights.map((height) => registries[height]!.root)

  it('are those that it had, after a start, asked in any order', async () => {
    const store = await opened.reopen()
    const chain = await Chain.open(GENESIS, store)
    assert.equal(chain.registry.root, registries[CHANGES]!.root)
    assert.deepEqual(chain.registry.entries, registries[CHANGES]!.entries)
    const heights = [CHANGES, 1, 300, 0, 255, 256, 257, 512, 513, 100, CHANGES - 1, 299]
    assert.deepEqual(await rootsOf(chain, heights), rootsUpTo(heights))
    const early = await chain.registryBefore(4)
    assert.equal(early.entry('ann')?.public_key, namedKey('ann 1').publicKey)
    assert.equal(early.entry('house-100'), undefined, 'registered later')
    assert.equal(early.holder(namedKey('ann 100').publicKey), undefined, 'a key of later')
    assert.equal(early.holder(namedKey('house-2').publicKey)?.id, 'house-2')
  })

  it('are read from few pages, and made again from few changes', async () => {
    const store = await opened.reopen()
    let pages = 0
    let blocks = 0
    const chain = await Chain.open(GENESIS, {
      ...store,
      registryPages: (hashes) => {
        pages += hashes.length
        return store.registryPages(hashes)
      },
      block: (height) => {
        blocks += 1
        return store.block(height)
      },
    })
    assert.ok(blocks <= CHANGES_PER_CHECKPOINT, `${blocks} blocks for a start`)
    assert.ok(pages < 100, `${pages} pages for a start`)
    pages = blocks = 0
    await chain.registryBefore(CHANGES_PER_CHECKPOINT + 10)
    assert.ok(blocks <= CHANGES_PER_CHECKPOINT, `${blocks} blocks for a question`)
    blocks = pages = 0
    await chain.registryBefore(CHANGES_PER_CHECKPOINT + 10)
    assert.deepEqual([pages, blocks], [0, 0], 'the same again')
  })

  it('let no key come back, whoever gave it up and whenever', async () => {
    const store = await opened.reopen()
    const again = await createTestChain(GENESIS, store)
    const reused = (name: string) =>
      again.change({ action: 'enrol', subject_id: 'thief', role: 'voter', public_key: namedKey(name).publicKey }, name)
    for (const name of ['ann', 'ann 0', 'ann 100', 'house-1', 'authority recovery']) {
      await assert.rejects(reused(name), { code: 'registry_refused', message: /was registered before/ }, name)
    }
  })

  it('are those of the branch that the chain moves to', async () => {
    const store = await opened.reopen()
    const moved = await createTestChain(GENESIS, store)
    const base = CHANGES_PER_CHECKPOINT - 20
    await moved.chain.rewind(base)
    assert.equal(moved.chain.registry.root, registries[base]!.root)
    const roots: string[] = []
    for (let number = 0; number < CHANGES_PER_CHECKPOINT + 5; number++) {
      roots.push(moved.chain.registry.root)
      const name = number < 3 ? `house-${base + 10 - number}` : `other-${number}`
      const { publicKey: public_key } = namedKey(name)
      // A key that the chain has given up again is new on this branch.
      await moved.change({ action: 'enrol', subject_id: name, role: 'voter', public_key }, name)
    }
    const heights = [base, base + 1, base + 20, base + 200].map((height) => height - base)
    const chain = await Chain.open(GENESIS, await opened.reopen())
    assert.deepEqual(
      await rootsOf(
        chain,
        heights.map((height) => base + height),
      ),
      heights.map((height) => roots[height]!),
    )
    assert.deepEqual(await rootsOf(chain, [10, 100]), rootsUpTo([10, 100]))
  })
})
