import assert from 'node:assert/strict'
import { createPeerHeaders } from '../../../src/engine/peer-headers.ts'
import { createRestorer, type Restorer } from '../../../src/engine/restorer.ts'
import { createSealGuard, type SealGuard } from '../../../src/engine/seal-guard.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import { hashHeader, verifySeal, type Header, type SealedHeader } from '../../../src/protocol/header.ts'
import { MAX_FUTURE_MS } from '../../../src/protocol/limits.ts'
import { headersParams } from '../../../src/protocol/messages.ts'
import { createStreet, namedKey, type Branch } from '../../helpers/branches.ts'
import { eventually } from '../../helpers/network.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { sealHeader, type TestKey } from '../../helpers/sign-now.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 1 },
  validators: ['v1'],
  voters: ['ann'],
  recoverable: true,
})
const chain = street.start.grow('t0')
const longer = chain.grow('t1', 't2')
const recovery = street.change('recover', namedKey('authority recovery'), {
  action: 'recover',
  subject_id: 'authority',
  public_key: namedKey('authority 2').publicKey,
})
const recovered = chain.add([recovery])
const rotated = chain.add([
  street.change('rotate', namedKey('authority'), {
    action: 'rotate',
    subject_id: 'authority',
    public_key: namedKey('authority 2').publicKey,
  }),
])
const sealedAt = ({ blocks }: Branch, height: number): SealedHeader => {
  const { header, signature } = blocks[height]!
  return { header, signature }
}

describe('an authority that looks for what its database lacks', () => {
  let folders: Awaited<ReturnType<typeof replicaFolder>>[]
  let node: TestReplica
  let peers: Peers
  let restorer: Restorer
  let restored: number[]
  let votesTaken: string[]
  let failed: Promise<string>
  let clock: VirtualClock
  let guard: SealGuard
  let keys: TestKey[]

  async function open(branch: Branch): Promise<TestReplica> {
    const folder = await replicaFolder(street)
    folders.push(folder)
    const replica = await folder.open()
    await replica.acceptAll(branch)
    return replica
  }

  beforeEach(async () => {
    folders = []
    peers = createPeers()
    node = await open(chain)
    restored = []
    keys = [namedKey('authority'), namedKey('authority 2')]
    votesTaken = []
    clock = createVirtualClock(NOW)
    const failure = Promise.withResolvers<string>()
    failed = failure.promise
    const note = (fields: { readonly error?: unknown }, message: string): void => {
      if (message.includes('could not')) failure.resolve(String(fields.error))
    }
    const logger: Logger = { debug: note, info: () => undefined, warn: note, error: note }
    guard = createSealGuard(node.chain, { mark: null, raisedAt: null, raise: () => Promise.resolve() })
    restorer = createRestorer({
      chain: node.chain,
      finalizer: node.finalizer,
      guard,
      peerHeaders: createPeerHeaders({ chain: node.chain, guard, evidence: node.evidence, logger }),
      votes: {
        take(peer, { tip }) {
          votesTaken.push(`${peer} ${tip?.height ?? -1}, here ${node.chain.size - 1}`)
          return Promise.resolve()
        },
      },
      requests: peers.of('me'),
      runner: {
        follow: () => Promise.resolve(),
        async restore(block) {
          await node.replica.accept(block)
          restored.push(block.header.height)
        },
        recover: () => Promise.resolve(),
      },
      clock,
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      logger,
      minerId: 'authority',
      keyOf: (publicKey) => Promise.resolve(keys.find((key) => key.publicKey === publicKey)),
    })
  })
  afterEach(async () => {
    restorer.stop()
    for (const folder of folders) await folder.remove()
  })

  const signedFor = (peer: string) =>
    peers.asked.filter((asked) => asked.asker === 'me' && asked.peer === peer && 'credential' in asked.params)

  it('signs for a peer what it asks about headers that an authority has sealed, and takes their blocks', async () => {
    serveReplica(await open(longer), peers.of('full'))
    peers.connect('me', 'full')
    await restorer.start(1)
    await eventually('both blocks are here', () => restored.length === 2)
    assert.deepEqual(node.tip(), longer.tip)
    assert.deepEqual(
      signedFor('full').map(({ name }) => name),
      ['block', 'block'],
    )
  })

  it('takes the votes of a peer once it has its blocks', async () => {
    serveReplica(await open(longer), peers.of('full'))
    peers.connect('me', 'full')
    await restorer.start(1)
    await eventually('its votes were asked for', () => votesTaken.length > 0)
    assert.deepEqual(votesTaken, ['full 2, here 2'])
  })

  it('takes a block of a slow peer, and then the others have their turn', async () => {
    const longest = longer.grow('t3', 't4')
    const slow = peers.of('slow')
    const askedOf = (peer: string) => peers.asked.filter((asked) => asked.peer === peer).map(({ name }) => name)
    serveReplica(await open(longest), {
      ...slow,
      serve(name, handler) {
        slow.serve(name, async (params, from) => {
          if (name === 'block') {
            peers.connect('me', 'full')
            await eventually('the other peer waits for its turn', () => askedOf('full').includes('headers'))
            clock.advance(31_000)
          }
          return await handler(params, from)
        })
      },
    })
    serveReplica(await open(longest), peers.of('full'))
    peers.connect('me', 'slow')
    await restorer.start(1)
    await eventually('all blocks are here', () => restored.length === 4)
    assert.deepEqual(node.tip(), longest.tip)
    assert.ok(signedFor('full').length > 0, 'the slow peer has held up the other')
  })

  /** What `mallory` shows for the next header: all else she has from an honest peer. */
  const made = (changes: Partial<Header>, key = namedKey('mallory'), next = sealedAt(longer, 1)): SealedHeader =>
    sealHeader({ ...next.header, ...changes }, key)
  /** The peer may be asked for a recovery that the block begins with: what it shows does not go with the header. */
  const NO_SEAL = 'bad_seal|bad_proof_position|wrong_merkle_root'
  const lies: readonly (readonly [string, SealedHeader, string])[] = [
    ['with a seal of nobody', { ...sealedAt(longer, 1), signature: 'cd'.repeat(64) }, NO_SEAL],
    ['of one transaction, with a seal of hers', made({ tx_count: 1 }), NO_SEAL],
    ['of many transactions, with a seal of hers', made({ tx_count: 7, merkle_root: 'ab'.repeat(32) }), NO_SEAL],
    ['sealed by a validator', made({}, namedKey('v1')), NO_SEAL],
    ['in the name of a validator', made({ miner_id: 'v1' }, namedKey('v1')), 'unknown_sealer'],
    ['in a name of hers', made({ miner_id: 'mallory' }), 'unknown_sealer'],
    ['of another parent', made({ prev_hash: 'ab'.repeat(32) }, namedKey('authority')), 'wrong_parent'],
    ['of a later height', made({ height: 5 }, namedKey('authority')), 'wrong_height'],
    ['of another chain', made({ chain_id: 'ab'.repeat(32) }, namedKey('authority')), 'wrong_chain'],
    ['with a true recovery, sealed by her', made({}, namedKey('mallory'), sealedAt(recovered, 1)), NO_SEAL],
    ['with another registry, sealed by her', made({ registry_root: 'ab'.repeat(32) }), NO_SEAL],
  ]
  for (const [what, lie, code] of lies) {
    for (const way of ['shown as her tip', 'gossiped'] as const) {
      it(`signs nothing about a header ${what}, ${way}`, async () => {
        serveReplica(await open(recovered), peers.of('full'))
        const mallory = peers.of('mallory')
        peers.connect('mallory', 'full')
        for (const name of ['registry', 'votes', 'evidence', 'anchor', 'history'] as const) {
          mallory.serve(name, async (params) => (await mallory.request('full', name, params as object)) as object)
        }
        mallory.serve('block', () => Promise.reject(ledgerError('not_ready', { reason: 'busy' })))
        const tip = { height: 1, header_hash: hashHeader(lie.header) }
        mallory.serve('status', () =>
          Promise.resolve({ mode: 'validator', chain_id: street.chainId, tip, final_height: 0 }),
        )
        mallory.serve('headers', (params) => {
          const { from_height } = headersParams(params, 'headers')
          return Promise.resolve({ headers: [from_height === 0 ? sealedAt(chain, 0) : lie] })
        })
        peers.connect('me', 'mallory')
        if (way === 'gossiped') {
          const heard = { ...lie, header: { ...lie.header, height: 1 } }
          await restorer.heard(heard, 'mallory')
          const isSealed = verifySeal(heard, namedKey('authority').publicKey).ok
          if (!isSealed || heard.header.chain_id !== street.chainId) {
            assert.deepEqual(peers.asked, [], 'who makes up a header is not asked for anything')
            return
          }
        } else await restorer.start(1)
        assert.match(await failed, new RegExp(`mallory refused headers: (${code}),`))
        assert.deepEqual([signedFor('mallory'), restored], [[], []])
      })
    }
  }

  it('takes the block that begins with a true recovery, and signs with the key that it brings', async () => {
    serveReplica(await open(recovered), peers.of('full'))
    peers.connect('me', 'full')
    await restorer.start(1)
    await eventually('the block is here', () => restored.length === 1)
    assert.deepEqual([node.tip(), signedFor('full').length], [recovered.tip, 1])
  })

  for (const [what, branch] of [
    ['recovered', recovered],
    ['recovered, and the new one has sealed more', recovered.grow('t1')],
    ['changed', rotated],
  ] as const) {
    it(`lets nothing be sealed where a peer shows that its key was ${what} since, though it has the old one alone`, async () => {
      keys = [namedKey('authority')]
      serveReplica(await open(branch), peers.of('full'))
      peers.connect('me', 'full')
      await restorer.start(1)
      assert.match(guard.reason() ?? '', /^a peer has block 1 .* sealed by authority, this database ends at block 0/)
      assert.match(guard.reason('recovery') ?? '', /^a peer has block 1 /)
      assert.match(await failed, /this node does not have the key/)
      assert.deepEqual(restored, [])
    })
  }

  it('takes no block from the future, after which nothing could be sealed until then', async () => {
    serveReplica(await open(longer), peers.of('full'))
    clock.advance(sealedAt(longer, 1).header.timestamp - MAX_FUTURE_MS - 1 - clock.now())
    peers.connect('me', 'full')
    await restorer.start(1)
    assert.match(await failed, /full refused headers: from_the_future,/)
    assert.deepEqual([signedFor('full'), restored], [[], []])
  })
})
