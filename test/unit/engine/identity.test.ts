import assert from 'node:assert/strict'
import { createFindEntry } from '../../../src/engine/identity.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Header } from '../../../src/protocol/header.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'

const street = createStreet({ voters: ['alice', 'bob'] })
const other = createStreet({ voters: ['carol', 'alice'] })
const public_key = namedKey('alice').publicKey
const registry = Registry.fromGenesis(other.genesis)
/** A header under whose registry alice has another slot than in the genesis that is known. */
const after: Header = { ...street.start.grow('t0').blocks[0]!.header, registry_root: registry.root }

describe('the entry of an own key', () => {
  let peers: Peers
  beforeEach(() => (peers = createPeers()))

  const entry = registry.entry('alice')!
  const proven = { height: 0, entry: { entry, registry_proof: registry.proof(entry) } }
  const none = { height: 0, entry: null }
  const forged = { height: 0, entry: { entry: { ...entry, slot: 0 }, registry_proof: registry.proof(entry) } }

  function find(...answers: readonly object[]) {
    answers.forEach((answer, n) => {
      peers.of(`peer ${n}`).serve('registry', () => Promise.resolve(answer))
      peers.connect('me', `peer ${n}`)
    })
    return createFindEntry(street.genesis, peers.of('me'))(public_key, after)
  }

  it('is found with the one who proves it, whoever says before that there is none', async () => {
    assert.deepEqual(await find(none, forged, proven), entry)
  })

  it('is not there if somebody says so and nobody proves otherwise', async () => {
    assert.equal(await find(forged, none), undefined)
  })

  it('is not known where nobody has said', async () => {
    await assert.rejects(find(), (error) => isSolarError(error, 'not_ready'))
    await assert.rejects(find(forged), (error) => isSolarError(error, 'peer_refused'))
  })

  it('is that of the genesis, asked of nobody, while the registry is', async () => {
    const known = await createFindEntry(street.genesis, peers.of('me'))(public_key, null)
    assert.equal(known?.id, 'alice')
    assert.deepEqual(peers.asked, [])
  })
})
