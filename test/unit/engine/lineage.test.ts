import assert from 'node:assert/strict'
import { LightFollower } from '../../../src/engine/light-follower.ts'
import { lightSignerBefore } from '../../../src/engine/light-signers.ts'
import { lightAckView } from '../../../src/engine/lineage.ts'
import type { LightStore } from '../../../src/ports/light-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { RequestName } from '../../../src/ports/peer-requests.ts'
import { verifyEvidence, makeDoubleSeal } from '../../../src/protocol/evidence.ts'
import { createStreet, namedKey, type Branch, type Street } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'
import { NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

const street = createStreet({ voters: ['ann'] })
const base = street.start.grow('t0', 't1', 't2', 't3')
const shared = base.grow('t4', 't5', 't6')
const chain = shared.grow('t7')
const enrol = street.change('enrol-ben', namedKey('ben'), {
  action: 'enrol',
  subject_id: 'ben',
  role: 'voter',
  public_key: namedKey('ben').publicKey,
})
const recover = street.change('recover', namedKey('authority recovery'), {
  action: 'recover',
  subject_id: 'authority',
  public_key: namedKey('authority 2').publicKey,
})
const rotate = street.change('rotate', namedKey('authority'), {
  action: 'rotate',
  subject_id: 'authority',
  public_key: namedKey('authority 2').publicKey,
})

describe('what a light node knows', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica
  let opened: OpenedStore<LightStore>
  let peers: Peers
  let follower: LightFollower

  /** A light node with a window of three headers that has followed a full node to the tip of `branch`. */
  async function follow(branch: Branch, on: Street = street): Promise<void> {
    folder = await replicaFolder(on)
    node = await folder.open()
    await node.acceptAll(branch)
    peers = createPeers()
    serveReplica(node, peers.of('full'))
    peers.connect('me', 'full')
    opened = await tempLightStore()
    follower = await LightFollower.open({
      genesis: on.genesis,
      store: opened.store,
      requests: peers.of('me'),
      clock: node.clock,
      logger: silentLogger,
      windowSize: 3,
      onTip: () => undefined,
      onTrusted: () => undefined,
      onAlarm: (code, reason) => assert.fail(`${code}: ${reason}`),
      onDoubleSeal: () => undefined,
    })
    await follower.syncWith('full')
    assert.equal(follower.height, branch.tip.height)
  }
  afterEach(async () => {
    await opened.cleanup()
    await folder.remove()
  })

  /** A peer that answers like the full node, but for what is given. */
  function addLiar(name: string, lies: Partial<Record<RequestName, () => object>>): void {
    for (const request of ['headers', 'history', 'registry'] as const) {
      peers.of(name).serve(request, async (params) => {
        const asked = peers.of(name).request('full', request, params as object) as Promise<object>
        return lies[request]?.() ?? (await asked)
      })
    }
    peers.connect(name, 'full')
    peers.connect('me', name)
  }
  const askNobody = (): void => {
    for (const name of peers.of('me').peers()) peers.disconnect('me', name)
  }
  const view = (lastAck: ReturnType<Branch['at']>) => lightAckView(follower, peers.of('me'), chain.at(7), lastAck)
  const headerAt = (branch: Branch, height: number) => {
    const { header, signature } = branch.blocks[height]!
    return { header, signature }
  }

  describe('of the chain that an ack is about', () => {
    it('are the headers that it holds, without asking', async () => {
      await follow(chain)
      askNobody()
      const { hashAt, lastFinal, unallowedChange } = await view(chain.at(5))
      assert.deepEqual(lastFinal, chain.tip)
      assert.equal(unallowedChange, null)
      for (const height of [5, 7]) assert.equal(hashAt(chain.at(7), height), chain.at(height).hash)
      assert.equal(hashAt(chain.at(5), 7), undefined, 'above that header')
      assert.equal(hashAt(chain.at(7), 3), undefined, 'nobody was asked about it')
    })

    it('is an older header that a peer proves to be in the history of its head', async () => {
      await follow(chain)
      const { hashAt } = await view(chain.at(1))
      assert.equal(hashAt(chain.at(7), 1), chain.at(1).hash)
      assert.equal(hashAt(chain.at(1), 1), chain.at(1).hash)
    })

    it('is nothing of a header that is not on that chain', async () => {
      await follow(chain)
      const other = chain.blocks.slice(0, 1).reduce<Branch>((all, block) => all.add(block.transactions), street.start)
      const beside = other.grow('x1')
      const { hashAt } = await view(beside.tip)
      assert.equal(hashAt(chain.at(7), 1), chain.at(1).hash, 'the chain has another block there')
      assert.equal(hashAt(beside.tip, 0), undefined)
      assert.equal(hashAt(beside.tip, 1), beside.tip.hash)
    })

    it('is that of the head when it was asked, also if the head moves to another branch while a peer answers', async () => {
      await follow(chain)
      const other = base.grow('x4', 'x5', 'x6', 'x7')
      const anchorOn = (branch: Branch, height: number) => ({
        ...follower.head,
        anchor: headerAt(branch, height),
        anchor_hash: branch.at(height).hash,
      })
      const trusted = anchorOn(chain, 5)
      let moving = { head: follower.head, window: follower.window, trusted }
      const moved = { head: anchorOn(other, 7), window: [5, 6, 7].map((height) => headerAt(other, height)), trusted }
      askNobody()
      addLiar('slow', {
        headers: () => {
          moving = moved
          return { headers: [headerAt(chain, 1)] }
        },
      })
      const moves = {
        get head() {
          return moving.head
        },
        get window() {
          return moving.window
        },
        trusted,
      }
      const { hashAt } = await lightAckView(moves, peers.of('me'), chain.at(7), chain.at(1))
      assert.equal(moving, moved)
      for (const height of [1, 5]) assert.equal(hashAt(chain.at(7), height), chain.at(height).hash)
    })

    it('is nothing that nobody can prove: no peer, another header, a proof of something else', async () => {
      await follow(chain)
      askNobody()
      assert.equal((await view(chain.at(1))).hashAt(chain.at(7), 1), undefined)
      const forged = sealHeader({ ...chain.blocks[1]!.header, timestamp: NOW }, namedKey('authority'))
      addLiar('another header', { headers: () => ({ headers: [forged] }) })
      addLiar('another height', { headers: () => ({ headers: [] }) })
      assert.equal((await view(chain.at(1))).hashAt(chain.at(7), 1), undefined)
      peers.connect('me', 'full')
      assert.equal((await view(chain.at(1))).hashAt(chain.at(7), 1), chain.at(1).hash, 'an honest peer is enough')
    })
  })

  it('is trusted up to the tip, also if the peer that proved a change of the registry was behind', async () => {
    await follow(chain)
    const behindFolder = await replicaFolder(street)
    try {
      const behind = await behindFolder.open()
      const changed = chain.add([enrol]).grow('t9')
      await behind.acceptAll(changed)
      serveReplica(behind, peers.of('behind'))
      peers.connect('me', 'behind')
      const next = changed.grow('t10')
      assert.equal(await follower.offer(headerAt(next, 8)), 'followed')
      assert.equal(await follower.offer(headerAt(next, 9)), 'gap', 'who seals under the new registry is not proven yet')
      await follower.syncWith('behind')
      assert.equal(follower.trusted.anchor_hash, next.at(9).hash)
      assert.equal(await follower.offer(headerAt(next, 10)), 'followed')
      const newest = next.grow('t11')
      await node.acceptAll(newest)
      await follower.syncWith('full')
      assert.equal(follower.height, 11)
      assert.equal(follower.trusted.anchor_hash, newest.tip.hash)
    } finally {
      await behindFolder.remove()
    }
  })

  describe('of a header of another branch', () => {
    const offered = async (branch: Branch) => {
      const offer = await follower.offer(headerAt(branch, 7))
      return typeof offer === 'object' ? offer.refused : offer
    }

    it('is that nobody sealed it, where the key that seals is known: no honest peer passes it on', async () => {
      await follow(chain)
      const { header } = headerAt(shared.grow('x7'), 7)
      assert.equal(await follower.offer(headerAt(chain, 7)), 'known')
      const forged = await follower.offer(sealHeader(header, namedKey('forger')))
      assert.equal(typeof forged === 'object' && forged.refused, 'bad_seal')
    })

    it('is no such thing where its branch may have brought another key', async () => {
      await follow(chain)
      assert.equal(await offered(shared.add([recover])), 'wrong_parent', 'it brings the key itself')
      const rotated = base.grow('x4', 'x5').add([rotate]).grow('x7')
      assert.equal(await offered(rotated), 'wrong_parent', 'it goes on from a block that is not here')
    })
  })

  describe('of a signer', () => {
    const signer = (id: string, height: number) =>
      lightSignerBefore({ genesis: street.genesis, follower, requests: peers.of('me') }, id, height)
    /** That two seals of this height by the authority are evidence with that proof. */
    function assertProves(known: Awaited<ReturnType<typeof signer>>, height: number, key: string, by: string): void {
      assert.ok(known !== undefined, 'known')
      const { header } = chain.blocks[height]!
      const seals = [NOW, NOW + 1].map((timestamp) => sealHeader({ ...header, timestamp }, namedKey(key)))
      const evidence = makeDoubleSeal(seals[0]!, seals[1]!, known.proof)
      const verdict = verifyEvidence(evidence, street.genesis, street.chainId, known.registryRoot)
      assert.deepEqual(verdict, { ok: true, signer: 'proven', by })
    }

    it('is its entry of the genesis, proven under the header before where it is held', async () => {
      await follow(chain)
      askNobody()
      const held = await signer('authority', 7)
      assert.deepEqual(held?.proof.header, headerAt(chain, 6))
      assertProves(held, 7, 'authority', 'registry')
      const older = await signer('authority', 3)
      assert.deepEqual(older?.proof.header, null)
      assertProves(older, 3, 'authority', 'genesis')
      assertProves(await signer('authority', 0), 0, 'authority', 'registry')
      assert.equal(await signer('nobody', 7), undefined)
    })

    it('is asked for and checked where the registry has changed', async () => {
      const changed = chain.add([enrol]).grow('t9')
      await follow(changed)
      const known = await signer('authority', 9)
      assert.deepEqual(known?.proof.header, headerAt(changed, 8))
      assert.equal(known.registryRoot, changed.blocks[8]!.header.registry_root)
      assert.equal((await signer('ben', 9))?.proof.entry.public_key, namedKey('ben').publicKey)
      assert.equal(await signer('eve', 9), undefined, 'nobody can prove what is not there')
      askNobody()
      assert.equal(await signer('authority', 9), undefined)
    })

    it('is taken from no peer whose proof does not hold', async () => {
      const changed = chain.add([enrol]).grow('t9')
      await follow(changed)
      const registry = node.chain.recentRegistry(9)!
      const entry = registry.entry('authority')!
      const forged = { ...entry, public_key: namedKey('forger').publicKey }
      askNobody()
      addLiar('forger', {
        registry: () => ({ height: 8, entry: { entry: forged, registry_proof: registry.proof(entry) } }),
      })
      assert.equal(await signer('authority', 9), undefined)
      peers.connect('me', 'full')
      assert.deepEqual((await signer('authority', 9))?.proof.entry, entry)
    })

    it('is not guessed from the genesis once its key is known to have changed', async () => {
      const changed = street.start.grow('t0').add([rotate]).grow('t2', 't3', 't4', 't5', 't6')
      await follow(changed)
      askNobody()
      assert.equal(await signer('authority', 3), undefined)
      assert.ok((await signer('ann', 3)) !== undefined, 'others may still be as they were')
    })
  })
})
