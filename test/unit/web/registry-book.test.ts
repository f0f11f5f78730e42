import assert from 'node:assert/strict'
import { MemoryTree } from '../../../src/protocol/history.ts'
import { Registry, registryLeaf, type RegistryEntry } from '../../../src/protocol/registry.ts'
import { signingKeyFromSecret } from '../../../src/protocol/signature.ts'
import { createRegistryBook } from '../../../src/web/registry-book.ts'
import { testSecret } from '../../vectors/keys.ts'
import { smallChain } from './small-chain.ts'

const { genesis } = smallChain()
const registry = Registry.fromGenesis(genesis)
const enrolled = (slot: number, id: string, since_height: number): RegistryEntry => ({
  slot,
  id,
  role: 'voter',
  public_key: signingKeyFromSecret(testSecret(id)).publicKey,
  recovery_key: null,
  status: 'active',
  since_height,
})
const rootOf = (...later: readonly RegistryEntry[]) =>
  new MemoryTree([registryLeaf(registry.policy), ...[...registry.entries, ...later].map(registryLeaf)]).root()

describe('web registry book', () => {
  const seven = enrolled(7, 'house-fir', 4)
  const eight = enrolled(8, 'house-oak', 6)

  it('knows the genesis registry without being told anything', () => {
    const book = createRegistryBook(genesis)
    assert.equal(book.genesisRoot, registry.root)
    assert.equal(book.find(registry.root, 3, [])?.size, registry.entries.length)
  })

  it('believes a later member once the whole list hashes to the root', () => {
    const book = createRegistryBook(genesis)
    const root = rootOf(seven, eight)
    assert.equal(book.find(root, 6, [eight]), undefined)
    assert.deepEqual(book.find(root, 6, [eight, seven])?.get('house-oak'), eight)
  })

  it('does not believe a made-up key', () => {
    const book = createRegistryBook(genesis)
    assert.equal(book.find(rootOf(seven), 4, [{ ...seven, public_key: eight.public_key }]), undefined)
  })

  it('finds the registry of an earlier height among versions of later ones', () => {
    const book = createRegistryBook(genesis)
    const revoked: RegistryEntry = { ...seven, status: 'revoked', since_height: 9 }
    assert.equal(book.find(rootOf(seven), 5, [revoked, seven])?.get('house-fir')?.status, 'active')
    assert.equal(book.find(rootOf(revoked, eight), 9, [revoked, seven, eight])?.get('house-fir')?.status, 'revoked')
  })
})
