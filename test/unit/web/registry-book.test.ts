import assert from 'node:assert/strict'
import { createRegistryLoader } from '../../../src/web/registry-loader.ts'
import { extendBook, genesisBook, registryAfter, type RegistryBook } from '../../../src/web/registry-book.ts'
import { initialState, reduce, type PageState } from '../../../src/web/state.ts'
import { smallChain, type SmallChain } from './small-chain.ts'

const AT = 1_760_000_900_000

/** A household comes, a validator comes, validators decide, a household goes. */
function grownChain(): SmallChain {
  const chain = smallChain()
  chain.seal(2, AT)
  chain.enrol('house-fir', 'voter', AT)
  chain.seal(1, AT)
  chain.enrol('validator-3', 'validator', AT)
  chain.change(
    'authority',
    { action: 'policy', subject_id: 'authority', finality: { policy: 'validators', threshold: 3 } },
    AT,
  )
  chain.change('authority', { action: 'revoke', subject_id: 'house-elm' }, AT)
  return chain
}

function bookOf(chain: SmallChain, changes: SmallChain['changes'] = chain.changes): RegistryBook {
  return changes.reduce<RegistryBook>((book, block) => {
    const extended = extendBook(book, block, chain)
    assert.ok(extended.ok, extended.ok ? '' : extended.reason)
    return extended.book
  }, genesisBook(chain.genesis))
}

describe('web registry book', () => {
  const chain = grownChain()

  it('leads from the genesis to the registry root of every header', () => {
    const book = bookOf(chain)
    for (const { header } of chain.headers) assert.equal(registryAfter(book, header.height).root, header.registry_root)
    assert.deepEqual(
      book.map(({ height, guarded }) => [height, guarded]),
      [
        [-1, false],
        [1, false],
        [3, true],
        [4, true],
        [5, false],
      ],
    )
    assert.equal(registryAfter(book, 4).active('house-elm')?.id, 'house-elm')
    assert.equal(registryAfter(book, 5).active('house-elm'), undefined)
  })

  it('refuses a change that was left out, put in, repeated, or is of another sealer', () => {
    const [first, second] = chain.changes
    assert.ok(first && second)
    const start = genesisBook(chain.genesis)
    const codeOf = (book: RegistryBook, block: typeof first) => {
      const result = extendBook(book, block, chain)
      return result.ok ? 'ok' : result.code
    }
    assert.equal(codeOf(start, second), 'wrong_registry')
    const once = bookOf(chain, [first])
    assert.equal(codeOf(once, first), 'wrong_height')
    assert.equal(codeOf(start, { ...first, transactions: second.transactions }), 'wrong_merkle_root')
    assert.equal(codeOf(start, { ...first, signature: second.signature }), 'bad_seal')
    assert.equal(codeOf(start, { ...first, header: { ...first.header, chain_id: 'ab'.repeat(32) } }), 'wrong_chain')
  })
})

describe('web registry loader', () => {
  /** Runs the loader over a snapshot of the chain until it has said something. */
  async function load(chain: SmallChain, changes: SmallChain['changes']): Promise<PageState> {
    let state = reduce(initialState(genesisBook(chain.genesis)), { type: 'snapshot', headers: chain.headers, at: AT })
    await new Promise<void>((resolve) => {
      const loader = createRegistryLoader({
        genesis: chain.genesis,
        chainId: chain.chainId,
        state: () => state,
        dispatch: (action) => {
          state = reduce(state, action)
          resolve()
        },
        changes: (from) =>
          Promise.resolve({
            height: chain.headers.length - 1,
            changes: changes.filter(({ header }) => header.height >= from),
            next: null,
          }),
        pause: () => Promise.resolve(),
      })
      loader.run()
    })
    return state
  }

  it('asks once, and marks the blocks that change the registry', async () => {
    const chain = grownChain()
    const state = await load(chain, chain.changes)
    assert.deepEqual([state.registryHeight, state.registryProblem, state.registries.length], [5, null, 5])
    assert.deepEqual(
      state.blocks.map(({ changesRegistry }) => changesRegistry),
      [false, true, false, true, true, true],
    )
  })

  it('says what is wrong with a list that does not hold', async () => {
    const chain = grownChain()
    const state = await load(chain, chain.changes.slice(1))
    assert.match(state.registryProblem ?? '', /block 3 does not hold/)
  })

  it('does not take a list for whole that ends before the header', async () => {
    const chain = grownChain()
    const state = await load(chain, chain.changes.slice(0, 2))
    assert.deepEqual([state.registryHeight, state.registryProblem], [5, null])
    const last = state.blocks[5]!.header
    assert.notEqual(registryAfter(state.registries, last.height).root, last.registry_root)
  })
})
