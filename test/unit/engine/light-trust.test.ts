import assert from 'node:assert/strict'
import { createLightClient, type LightClient, type LightEvent } from '../../../src/engine/light-client.ts'
import type { LightStore } from '../../../src/ports/light-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { assembleHeader } from '../../../src/protocol/block.ts'
import { canonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { hashHeader, type SealedHeader } from '../../../src/protocol/header.ts'
import { historyLeaf, MemoryTree } from '../../../src/protocol/history.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import { createStreet, namedKey, type Branch, type Street } from '../../helpers/branches.ts'
import { createPeers, createTestGossip, type Peers, type TestGossip } from '../../helpers/peers.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'
import { NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

describe('a light client trusts', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let full: TestReplica
  let opened: OpenedStore<LightStore>
  let peers: Peers
  let gossip: TestGossip
  let client: LightClient
  let events: LightEvent[]

  /** Connected with a full node that has this branch. */
  async function start(street: Street, branch: Branch): Promise<void> {
    folder = await replicaFolder(street)
    full = await folder.open()
    await full.acceptAll(branch)
    peers = createPeers()
    serveReplica(full, peers.of('honest'))
    opened = await tempLightStore()
    events = []
    gossip = createTestGossip()
    client = await createLightClient({
      genesis: street.genesis,
      store: opened.store,
      gossip,
      requests: peers.of('me'),
      clock: createVirtualClock(NOW),
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      logger: silentLogger,
      key: null,
      windowSize: 5,
      staleAfterMs: 60_000,
      pollMs: 3_600_000,
      onEvent: (event) => events.push(event),
    })
    peers.connect('me', 'honest')
    await client.sync()
  }
  afterEach(async () => {
    await client.stop()
    await opened.cleanup()
    await folder.remove()
  })

  const street = createStreet({ voters: ['ann'] })
  const trustedHash = async () => (await opened.store.window())?.trusted.anchor_hash

  /** A block on top of the branch by the key that was the authority's in the genesis. */
  function stolenBlock(branch: Branch): SealedHeader {
    const parent = branch.blocks.at(-1)!.header
    const historyRoot = treeOf(branch).root()
    const tip = { parent: { header: parent, hash: hashHeader(parent) }, historyRoot }
    const timestamp = parent.timestamp + 1_000
    const root = parent.registry_root
    const header = assembleHeader(
      street.genesis,
      street.chainId,
      tip,
      { timestamp },
      ['ab'.repeat(32)],
      root,
      'authority',
    )
    return sealHeader(header, namedKey('authority'))
  }
  const treeOf = ({ blocks }: Branch) => new MemoryTree(blocks.map(({ header }) => historyLeaf(hashHeader(header))))

  /** A peer that leaves out every handover, and proves the stolen key by the registry of the genesis. */
  function addThief(branch: Branch, stolen: SealedHeader, from: number): void {
    const first = Registry.fromGenesis(street.genesis)
    const entry = first.entry('authority')!
    const tree = treeOf(branch)
    const { height } = stolen.header
    const headers = [...branch.blocks.map(({ header, signature }) => ({ header, signature })), stolen]
    const answers = {
      status: {
        mode: 'authority',
        chain_id: street.chainId,
        tip: { height, header_hash: hashHeader(stolen.header) },
        final_height: height,
      },
      evidence: { evidence: [] },
      registry: { height: from, entry: { entry, registry_proof: first.proof(entry) } },
      anchor: {
        ...stolen,
        parent_header: branch.blocks.at(-1)!.header,
        consistency: tree.consistency(from, height),
        inclusion: tree.inclusion(from, height),
        frontier: branch.state.frontier,
        handovers: [],
        entry,
        registry_proof: first.proof(entry),
        policy: first.policy,
        policy_proof: first.policyProof(),
        votes: [],
      },
    }
    const thief = peers.of('thief')
    for (const [name, answer] of Object.entries(answers)) thief.serve(name as 'status', () => Promise.resolve(answer))
    thief.serve('headers', (params) => {
      const { from_height, count } = params as { from_height: number; count: number }
      return Promise.resolve({ headers: headers.slice(from_height, from_height + count) })
    })
    peers.disconnect('me', 'honest')
    peers.connect('me', 'thief')
  }

  for (const [action, signer] of [
    ['rotate', 'authority'],
    ['recover', 'authority recovery'],
  ] as const) {
    const change = street.change(action, namedKey(signer), {
      action,
      subject_id: 'authority',
      public_key: namedKey('authority 2').publicKey,
    })
    const changed = street.start.grow('t0').add([change])

    for (const [where, branch] of [
      ['the header that gave it up', changed],
      ['a header above that', changed.grow('t2')],
    ] as const) {
      it(`no block of a key that was given up by ${action}, once it trusts ${where}`, async () => {
        await start(street, branch)
        assert.equal(await trustedHash(), branch.tip.hash)
        const stolen = stolenBlock(branch)
        addThief(branch, stolen, branch.tip.height)
        await assert.rejects(client.sync(), /thief refused sync/)
        assert.equal(await trustedHash(), branch.tip.hash)
        // Nor by gossip, header by header.
        client.start()
        await gossip.deliver('headers', canonicalBytes(stolen), 'thief')
        assert.deepEqual(client.status().tip, { height: branch.tip.height, header_hash: branch.tip.hash })

        const next = branch.grow('n1', 'n2')
        await full.acceptAll(next)
        peers.disconnect('me', 'thief')
        peers.connect('me', 'honest')
        await client.sync()
        assert.equal(await trustedHash(), next.tip.hash, 'the honest chain goes on')
      })
    }
  }

  it('what a quorum acked, and says of all else that it is proposed', async () => {
    const validators = ['v1', 'v2', 'v3', 'v4']
    const voting = createStreet({ finality: { policy: 'validators', threshold: 3 }, validators })
    const branch = voting.start.grow('t0', 't1', 't2')
    await start(voting, branch)
    await full.cast(...['v1', 'v2', 'v3'].map((id) => voting.vote(id, branch.at(1))))
    const place = (height: number) => ({ height, header_hash: branch.at(height).hash })
    for (const [id, height] of [
      ['t0.1', 1],
      ['t1.1', 1],
    ] as const) {
      const { status, trusted, anchor } = await client.prove({ tx_id: id })
      assert.deepEqual({ status, trusted, anchor }, { status: 'final', trusted: place(height), anchor: place(height) })
    }
    const proposed = await client.prove({ tx_id: 't2.1' })
    assert.equal(proposed.status, 'proposed')
    assert.equal(proposed.trusted, null)
    assert.deepEqual(proposed.anchor, place(2))
    await full.cast(...['v2', 'v3', 'v4'].map((id) => voting.vote(id, branch.at(2))))
    assert.equal((await client.prove({ tx_id: 't2.1' })).status, 'final')
  })
})
