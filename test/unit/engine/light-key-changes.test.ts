import assert from 'node:assert/strict'
import { createLightClient, type LightClient } from '../../../src/engine/light-client.ts'
import type { LightStore } from '../../../src/ports/light-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { makeDoubleSeal } from '../../../src/protocol/evidence.ts'
import type { Finality } from '../../../src/protocol/genesis.ts'
import { canonicalBytes } from '../../../src/protocol/canonical-json.ts'
import type { ProvenRecovery } from '../../../src/protocol/messages.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import { createStreet, namedKey, type Branch } from '../../helpers/branches.ts'
import { eventually } from '../../helpers/network.ts'
import { createPeers, createTestGossip, type Peers, type TestGossip } from '../../helpers/peers.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'
import { NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

/** Ann's household is the quorum: nothing is final, and so nothing is proven to her, before she has acked it. */
const street = createStreet({ finality: { policy: 'votes', threshold: 1 }, voters: ['ann'] })
const key = (name: string) => ({ public_key: namedKey(name).publicKey })

function keyChange(action: 'rotate' | 'recover', number: number, signer: string) {
  const fields = { action, subject_id: 'authority', ...key(`authority ${number}`) }
  return street.change(`${action}-${number}`, namedKey(signer), fields)
}
const rotation = keyChange('rotate', 2, 'authority')
const recovery = keyChange('recover', 2, 'authority recovery')
const SECOND = { subject_id: 'second', role: 'authority', ...key('second') } as const
const enrolment = street.change('enrol', namedKey('second'), { action: 'enrol', ...SECOND })
const revocation = street.change('revoke', namedKey('second'), { action: 'revoke', subject_id: 'authority' })
const policy = (name: string, finality: Finality) =>
  street.change(name, namedKey('authority'), { action: 'policy', subject_id: 'authority', finality })

const { start } = street
const first = start.grow('t0')
const bySecond = { minerId: 'second' }
const CHAINS: Readonly<Record<string, Branch>> = {
  'a rotation': first.add([rotation]).grow('t2', 't3'),
  'two rotations, one right after the other': first
    .add([rotation])
    .add([keyChange('rotate', 3, 'authority 2')])
    .grow('t3'),
  'a recovery': first.add([recovery]).grow('t2', 't3'),
  'a recovery in the first block': start.add([recovery]).grow('t1'),
  'a rotation and a recovery right after it': first
    .add([rotation])
    .add([keyChange('recover', 3, 'authority recovery')])
    .grow('t3'),
  'a second authority that seals': first
    .add([enrolment])
    .add([policy('p', { policy: 'votes', threshold: 1 })], bySecond),
  'the recovery of an authority that was revoked': first
    .add([enrolment])
    .add([revocation], bySecond)
    .add([recovery])
    .grow('t4'),
  'a policy without votes, and one with votes again': first
    .add([policy('p1', { policy: 'authority' })])
    .grow('t2')
    .add([policy('p2', { policy: 'votes', threshold: 1 })])
    .grow('t4'),
}

describe('a household whose ack is asked for', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let full: TestReplica
  let opened: OpenedStore<LightStore>
  let peers: Peers
  let gossip: TestGossip
  let client: LightClient

  beforeEach(async () => {
    folder = await replicaFolder(street)
    full = await folder.open()
    peers = createPeers()
    serveReplica(full, peers.of('full'))
    opened = await tempLightStore()
    gossip = createTestGossip()
    client = await createLightClient({
      genesis: street.genesis,
      store: opened.store,
      gossip,
      requests: peers.of('me'),
      clock: createVirtualClock(NOW),
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      logger: silentLogger,
      key: namedKey('ann'),
      windowSize: 5,
      staleAfterMs: 60_000,
      pollMs: 3_600_000,
      onEvent: () => undefined,
    })
    peers.connect('me', 'full')
  })
  afterEach(async () => {
    await client.stop()
    await opened.cleanup()
    await folder.remove()
  })
  const sealedAt = (branch: Branch, height: number) => {
    const { header, signature } = branch.blocks[height]!
    return { header, signature }
  }

  for (const [name, branch] of Object.entries(CHAINS)) {
    it(`acks header by header: ${name}`, async () => {
      for (const [height, block] of branch.blocks.entries()) {
        await full.accept(block)
        await client.sync()
        assert.equal(full.finalizer.finalHeight, height, `block ${height} has its ack`)
        await client.sync()
        assert.equal(client.status().trusted_height, height)
      }
    })

    it(`acks what it finds all at once: ${name}`, async () => {
      await full.acceptAll(branch)
      await client.sync()
      await client.sync()
      assert.equal(client.status().tip?.header_hash, branch.tip.hash)
      // An ack counts for all below it, but a change of who decides must reach its own quorum: here by the same ack.
      assert.equal(full.finalizer.finalHeight, branch.tip.height)
      assert.equal(client.status().trusted_height, branch.tip.height)
    })
  }

  const recovered = CHAINS['a recovery']!

  it('asks at once when the header of a recovery comes by gossip, and blames nobody for it', async () => {
    await full.accept(recovered.blocks[0]!)
    client.start()
    await client.sync()
    await full.accept(recovered.blocks[1]!)
    const verdict = await gossip.deliver('headers', canonicalBytes(sealedAt(recovered, 1)), 'full')
    assert.equal(verdict, 'ignore')
    await client.sync()
    assert.equal(full.finalizer.finalHeight, 1)
  })

  it('finds that two blocks of a height were sealed also where the key was changed on the other branch', async () => {
    await full.acceptAll(first.grow('t1'))
    await client.sync()
    const otherFolder = await replicaFolder(street)
    const other = await otherFolder.open()
    await other.acceptAll(start.grow('other').add([rotation]).grow('t2'))
    serveReplica(other, peers.of('other'))
    peers.disconnect('me', 'full')
    peers.connect('me', 'other')
    await assert.rejects(client.sync(), /without a seal that is known here/)
    await eventually('the evidence is there', () => client.status().state === 'alarm', 5_000)
    await otherFolder.remove()
  })

  it('acks the recovery of a key that it holds evidence against', async () => {
    const branch = first.grow('t1').add([recovery])
    await full.accept(branch.blocks[0]!)
    await client.sync()
    const [one, other] = [start.grow('x0'), start.grow('y0')].map((branch) => sealedAt(branch, 0))
    const entry = Registry.fromGenesis(street.genesis).entry('authority')!
    const evidence = makeDoubleSeal(one!, other!, { entry, registry_proof: null, header: null })
    client.start()
    assert.equal(await gossip.deliver('evidence', canonicalBytes(evidence)), 'accept')
    assert.equal(client.status().state, 'alarm')
    await full.accept(branch.blocks[1]!)
    await client.sync()
    assert.equal(full.finalizer.finalHeight, 0, 'what the accused key seals is not acked')
    await full.accept(branch.blocks[2]!)
    await client.sync()
    assert.equal(full.finalizer.finalHeight, 2)
  })

  it('follows no recovery that the recovery key has not signed, or that is of another block', async () => {
    await full.acceptAll(recovered)
    const { genesis } = street
    const entry = Registry.fromGenesis(genesis).entry('authority')!
    const forged = keyChange('recover', 2, 'authority 2')
    const honest = await peers.of('me').request('full', 'registry', { id: 'authority', at_height: 1 })
    const shown = (honest as { recovery: ProvenRecovery }).recovery
    assert.deepEqual(shown.entry, entry)
    for (const wrong of [
      undefined,
      { ...shown, transaction: forged },
      { ...shown, merkle_proof: { ...shown.merkle_proof, index: 1 } },
      { ...shown, entry: { ...entry, recovery_key: namedKey('authority 2').publicKey } },
    ]) {
      peers
        .of('full')
        .serve('registry', () =>
          Promise.resolve({ height: 1, entry: null, ...(wrong !== undefined && { recovery: wrong }) }),
        )
      await client.sync()
      assert.equal(client.status().tip?.height, 0)
    }
  })

  it('blames nobody for the header of an authority that it has not heard of', async () => {
    const branch = first.add([enrolment]).grow('t2')
    const next = branch.add([policy('p', { policy: 'votes', threshold: 1 })], bySecond)
    await full.acceptAll(branch)
    client.start()
    await client.sync()
    await client.sync()
    assert.equal(client.status().trusted_height, 2)
    await full.acceptAll(next)
    assert.equal(await gossip.deliver('headers', canonicalBytes(sealedAt(next, 3)), 'full'), 'ignore')
    await client.sync()
    assert.equal(full.finalizer.finalHeight, 3)
  })
})

/** A change of who decides waits for Ann's ack, and above it her own key is another one. */
describe('a household whose key is taken away above a block that waits for its ack', () => {
  const recoverable = createStreet({ finality: { policy: 'votes', threshold: 1 }, voters: ['ann'], recoverable: true })
  const subject = { subject_id: 'ann' } as const
  const next = { ...subject, ...key('ann 2') } as const
  const change: typeof recoverable.change = (...fields) => recoverable.change(...fields)
  const guarded = recoverable.start
    .grow('t0')
    .add([change('enrol-second', namedKey('second'), { ...SECOND, action: 'enrol' })])
    .grow('t2')
  const LAST = guarded.size
  const ENDS: Readonly<Record<string, Branch>> = {
    'a rotation': guarded.add([change('rotate-ann', namedKey('ann'), { action: 'rotate', ...next })]).grow('t4'),
    'a recovery': guarded
      .add([change('recover-ann', namedKey('ann recovery'), { action: 'recover', ...next })])
      .grow('t4', 't5'),
    'a revocation and an enrolment': guarded
      .add([change('revoke-ann', namedKey('authority'), { action: 'revoke', ...subject })])
      .add([change('enrol-ann', namedKey('ann 2'), { action: 'enrol', role: 'voter', ...next, subject_id: 'ann-2' })])
      .grow('t5'),
  }

  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let full: TestReplica
  let opened: OpenedStore<LightStore>
  let peers: Peers
  let client: LightClient
  let clients: LightClient[]

  async function open(keyName: string, { store } = opened): Promise<void> {
    client = await createLightClient({
      genesis: recoverable.genesis,
      store,
      gossip: createTestGossip(),
      requests: peers.of('me'),
      clock: createVirtualClock(NOW),
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      logger: silentLogger,
      key: namedKey(keyName),
      windowSize: 20,
      staleAfterMs: 60_000,
      pollMs: 3_600_000,
      onEvent: () => undefined,
    })
    clients.push(client)
  }

  /** What is heard in a sync is acked beside it, and sent in the next. */
  async function settle(): Promise<void> {
    for (let rounds = 0; rounds < 3; rounds++) {
      await client.sync()
      await client.stop()
    }
  }

  beforeEach(async () => {
    folder = await replicaFolder(recoverable)
    full = await folder.open()
    peers = createPeers()
    serveReplica(full, peers.of('full'))
    opened = await tempLightStore()
    clients = []
    peers.connect('me', 'full')
  })
  afterEach(async () => {
    for (const one of clients) await one.stop()
    await opened.cleanup()
    await folder.remove()
  })

  for (const [name, branch] of Object.entries(ENDS)) {
    it(`acks with the old key up to the block that does so, header by header: ${name}`, async () => {
      await open('ann')
      for (const [height, block] of branch.blocks.entries()) {
        await full.accept(block)
        await settle()
        assert.equal(full.finalizer.finalHeight, Math.min(height, LAST))
      }
    })

    it(`and when it finds all at once, then with the new key above it: ${name}`, async () => {
      await full.acceptAll(branch)
      await open('ann')
      await settle()
      assert.equal(full.finalizer.finalHeight, LAST)
      await open('ann 2')
      await settle()
      assert.equal(full.finalizer.finalHeight, branch.tip.height)
    })

    it(`and when its old device speaks first, the new one acks what is above on its own disk: ${name}`, async () => {
      await full.acceptAll(branch)
      const old = await tempLightStore()
      await open('ann', old)
      await settle()
      assert.equal(full.finalizer.finalHeight, LAST)
      await open('ann 2')
      await settle()
      assert.equal(full.finalizer.finalHeight, branch.tip.height)
      // Still running, the old one has nothing to say above the block that took its key, and the two are no evidence.
      const grown = branch.grow('later')
      await full.accept(grown.blocks.at(-1)!)
      await open('ann', old)
      await settle()
      assert.equal(full.finalizer.finalHeight, branch.tip.height)
      assert.deepEqual(await full.evidence.list(10), [])
      await open('ann 2')
      await settle()
      assert.equal(full.finalizer.finalHeight, grown.tip.height)
      await old.cleanup()
    })

    it(`and the new key alone makes nothing final below: ${name}`, async () => {
      await full.acceptAll(branch)
      const other = await tempLightStore()
      await open('ann 2', other)
      await settle()
      assert.equal(full.finalizer.finalHeight, -1)
      await other.cleanup()
      await open('ann')
      await settle()
      assert.equal(full.finalizer.finalHeight, branch.tip.height)
    })
  }
})
