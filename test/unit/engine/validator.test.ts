import assert from 'node:assert/strict'
import { createCredentialSigner } from '../../../src/engine/credential-signer.ts'
import { createValidator, type Validator } from '../../../src/engine/validator.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import { canonicalBytes, parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { BlockPoint } from '../../../src/protocol/finality.ts'
import { hashHeader, type SealedHeader } from '../../../src/protocol/header.ts'
import { headersParams } from '../../../src/protocol/messages.ts'
import { unknownRedaction } from '../../../src/protocol/redaction.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { voteShape, type Vote } from '../../../src/protocol/vote.ts'
import { createStreet, namedKey, type Branch } from '../../helpers/branches.ts'
import { createPeers, createTestGossip, type Peers, type TestGossip } from '../../helpers/peers.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'
import { NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

const VALIDATORS = ['v1', 'v2', 'v3', 'v4']
const street = createStreet({ finality: { policy: 'validators', threshold: 3 }, validators: VALIDATORS })
const enrolV5 = street.change('enrol-v5', namedKey('v5'), {
  action: 'enrol',
  subject_id: 'v5',
  role: 'validator',
  public_key: namedKey('v5').publicKey,
})
const enrolHouse = street.change('enrol-house', namedKey('house'), {
  action: 'enrol',
  subject_id: 'house',
  role: 'voter',
  public_key: namedKey('house').publicKey,
})

describe('a validator', () => {
  let folders: Awaited<ReturnType<typeof replicaFolder>>[]
  let peers: Peers
  let node: TestReplica
  let own: Awaited<ReturnType<typeof replicaFolder>>
  let gossip: TestGossip
  let validator: Validator
  let log: string[]

  beforeEach(async () => {
    folders = []
    peers = createPeers()
    own = await newFolder()
    await start()
  })
  afterEach(async () => {
    await validator.stop()
    for (const folder of folders) await folder.remove()
  })

  async function newFolder() {
    const folder = await replicaFolder(street)
    folders.push(folder)
    return folder
  }

  /** Opens v1, or the owner of another key, over its own LevelDB. */
  async function start(options: { allow?: readonly string[] | 'all'; key?: string } = {}): Promise<void> {
    node = await own.open()
    gossip = createTestGossip()
    log = []
    const note = (_fields: object, message: string): void => void log.push(message)
    const logger: Logger = { debug: () => undefined, info: () => undefined, warn: note, error: note }
    const key = namedKey(options.key ?? 'v1')
    const { chain, store, finalizer, evidence, hub } = node
    const clock = createVirtualClock(NOW)
    validator = createValidator({
      chain,
      store: store.chain,
      finalityStore: store.finality,
      voterStore: store.voter,
      finalizer,
      evidence,
      events: hub,
      gossip,
      requests: peers.of('me'),
      clock: { ...node.clock, now: () => clock.now() },
      logger,
      key,
      sign: createCredentialSigner({
        chainId: street.chainId,
        requests: peers.of('me'),
        voterId: () => options.key ?? 'v1',
        key: () => Promise.resolve(key),
        clock,
        randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      }),
      allowedChanges: options.allow ?? [],
      explainRefusal: () => undefined,
      pollMs: 3_600_000,
    })
  }

  /** A full node with this chain that is connected. */
  async function addPeer(name: string, ...branches: readonly Branch[]): Promise<TestReplica> {
    const peer = await (await newFolder()).open()
    for (const branch of branches) await peer.acceptAll(branch)
    serveReplica(peer, peers.of(name))
    peers.connect('me', name)
    return peer
  }

  async function sync() {
    await validator.sync()
    await validator.idle()
  }

  const acks = (): Vote[] =>
    gossip.published
      .filter(({ topic }) => topic === 'votes')
      .map(({ payload }) => voteShape(parseCanonicalBytes(payload), 'vote'))
  const ackedHashes = () => acks().map(({ header_hash }) => header_hash)
  const castAt = (peer: TestReplica, point: BlockPoint, ...ids: string[]) =>
    peer.cast(...ids.map((id) => street.vote(id, point)))
  const sealedAt = (branch: Branch, height: number): SealedHeader => {
    const { header, signature } = branch.blocks[height]!
    return { header, signature }
  }

  it('takes every block of a peer, checks it, and acks the tip: one ack for all below', async () => {
    const chain = street.start.grow('t0', 't1', 't2')
    await addPeer('authority', chain)
    await sync()
    assert.deepEqual(node.tip(), chain.tip)
    assert.deepEqual(ackedHashes(), [chain.tip.hash])
    assert.deepEqual(
      (await node.store.finality.votesOf(chain.tip.hash)).map(({ voter_id }) => voter_id),
      ['v1'],
    )
    await sync()
    assert.equal(acks().length, 1)
  })

  it('votes for nothing before it has caught up with a peer, and for nothing that breaks a rule', async () => {
    assert.deepEqual(acks(), [])
    await validator.sync()
    assert.deepEqual(acks(), [])
    const chain = street.start.grow('t0')
    const bad = sealHeader({ ...chain.grow('t1').blocks[1]!.header, tx_count: 2 }, namedKey('authority'))
    await addPeer('authority', chain)
    peers.of('authority').serve('headers', () => Promise.resolve({ headers: [sealedAt(chain, 0), bad] }))
    peers.of('authority').serve('status', () =>
      Promise.resolve({
        mode: 'authority',
        chain_id: street.chainId,
        tip: { height: 1, header_hash: 'f'.repeat(64) },
        final_height: null,
      }),
    )
    await assert.rejects(validator.sync())
    assert.deepEqual(node.tip(), chain.tip)
    assert.deepEqual(acks(), [])
  })

  it('syncs with a peer that is behind: that it does not know the newer blocks is no failure', async () => {
    const chain = street.start.grow('t0', 't1', 't2')
    await addPeer('ahead', chain)
    const behind = await addPeer('behind', street.start.grow('t0'))
    await sync()
    peers.disconnect('me', 'ahead')
    await castAt(behind, chain.at(0), 'v2', 'v3')
    await validator.sync()
    await validator.idle()
    assert.equal(node.finalizer.finalHeight, 0, 'it took the votes that the peer has, and counts its own for them')
  })

  it('takes the votes on a branch beside its chain, and moves to it if they weigh more', async () => {
    const base = street.start.grow('t0')
    const mine = base.grow('a1', 'a2')
    const theirs = base.grow('b1', 'b2')
    await addPeer('first', mine)
    await sync()
    assert.deepEqual(ackedHashes(), [mine.tip.hash])
    peers.disconnect('me', 'first')
    const second = await addPeer('second', theirs)
    await castAt(second, theirs.at(1), 'v2', 'v3')
    await sync()
    assert.deepEqual(node.tip(), theirs.tip)
    assert.equal((await node.evidence.list(5)).length > 0, true, 'two seals of one height')
    assert.deepEqual(ackedHashes(), [mine.tip.hash], 'what it acked stands in its way')
    await castAt(second, theirs.at(2), 'v4')
    await sync()
    assert.equal(node.finalizer.finalHeight, 1)
    const next = theirs.grow('b3')
    await second.acceptAll(next)
    await sync()
    assert.deepEqual(ackedHashes(), [mine.tip.hash, next.tip.hash], 'the final block has set it free')
  })

  it('takes up again, after a restart, the branch that it acked: acks of others may yet make it the heavier one', async () => {
    const base = street.start.grow('t0')
    const mine = base.grow('a1', 'a2')
    const theirs = base.grow('b1', 'b2', 'b3')
    await addPeer('first', mine)
    await sync()
    assert.deepEqual(ackedHashes(), [mine.tip.hash])
    peers.disconnect('me', 'first')
    const second = await addPeer('second', theirs)
    await castAt(second, theirs.at(1), 'v2')
    await sync()
    assert.deepEqual(node.tip(), theirs.tip)
    await validator.stop()
    await start()
    validator.start()
    await validator.idle()
    assert.deepEqual(node.tip(), theirs.tip)
    await Promise.all(['v3', 'v4'].map((id) => validator.votes.cast(street.vote(id, mine.tip))))
    await validator.idle()
    assert.deepEqual(node.tip(), mine.tip)
    assert.equal(node.finalizer.finalHeight, 2)
  })

  it('moves to a branch however long it has become meanwhile', async () => {
    const base = street.start.grow('t0')
    const mine = base.grow('a1')
    await addPeer('first', mine)
    await sync()
    assert.deepEqual(ackedHashes(), [mine.tip.hash])
    peers.disconnect('me', 'first')
    const theirs = base.grow(...Array.from({ length: 300 }, (_, n) => `b${n + 1}`))
    const second = await addPeer('second', theirs)
    await castAt(second, theirs.at(3), 'v2', 'v3')
    await sync().catch(() => undefined)
    await sync()
    assert.deepEqual(node.tip(), theirs.tip)
  })

  it('passes a header on once the whole block is checked, also if a sync was faster than gossip', async () => {
    const chain = street.start.grow('t0')
    const peer = await addPeer('authority', chain)
    assert.equal(await validator.onHeader(sealedAt(chain, 0), 'authority'), 'accept')
    const next = chain.grow('t1')
    await peer.acceptAll(next)
    await sync()
    assert.equal(await validator.onHeader(sealedAt(next, 1), 'authority'), 'accept', 'it is the tip')
    assert.equal(await validator.onHeader(sealedAt(next, 0), 'authority'), 'ignore', 'an old one is no news')
  })

  it('asks nobody for a header that no known key has sealed, and rejects one where none other may seal', async () => {
    const chain = street.start.grow('t0', 't1')
    const peer = await addPeer('authority', chain)
    await castAt(peer, chain.tip, 'v2', 'v3', 'v4')
    await addPeer('sender', chain)
    await sync()
    assert.equal(node.finalizer.finalHeight, 1)
    const forged = (height: number) => sealHeader(chain.grow('t2').blocks[height]!.header, namedKey('v2'))
    const before = peers.asked.length
    assert.equal(await validator.onHeader(forged(2), 'sender'), 'reject')
    const { header: next } = forged(2)
    for (const made of [{ height: 7 }, { prev_hash: 'ab'.repeat(32) }, { registry_root: 'ab'.repeat(32) }]) {
      assert.equal(await validator.onHeader(sealHeader({ ...next, ...made }, namedKey('v2')), 'sender'), 'ignore')
    }
    assert.deepEqual(peers.asked.slice(before), [])
    const { header } = chain.blocks[1]!
    const old = sealHeader({ ...header, timestamp: header.timestamp + 1 }, namedKey('v2'))
    const asked = peers.asked.length
    assert.equal(await validator.onHeader(old, 'sender'), 'reject')
    assert.equal(peers.asked.length, asked)
  })

  it('asks who sent a header for it once the block has come that brings the key of its seal', async () => {
    const base = street.start.grow('t0')
    const { publicKey } = namedKey('authority 2')
    const change = { action: 'rotate', subject_id: 'authority', public_key: publicKey } as const
    const rotated = base.add([street.change('rotate', namedKey('authority'), change)])
    const next = rotated.grow('t2')
    const peer = await addPeer('authority', base)
    await sync()
    await addPeer('sender', next)
    assert.equal(await validator.onHeader(sealedAt(next, 2), 'sender'), 'ignore')
    assert.equal(peers.asked.filter((asked) => asked.peer === 'sender').length, 0)
    await peer.acceptAll(rotated)
    assert.equal(await validator.onHeader(sealedAt(rotated, 1), 'authority'), 'accept')
    await validator.idle()
    assert.deepEqual(node.tip(), next.tip)
  })

  it('scores nobody down for a header of a branch on which another key may seal, below the final block neither', async () => {
    const base = street.start.grow('t0')
    const chain = base.grow('t1', 't2')
    const peer = await addPeer('authority', chain)
    await castAt(peer, chain.tip, 'v2', 'v3', 'v4')
    await sync()
    assert.equal(node.finalizer.finalHeight, 2)
    const rotate = street.change('rotate', namedKey('authority'), {
      action: 'rotate',
      subject_id: 'authority',
      public_key: namedKey('authority 2').publicKey,
    })
    const recover = street.change('recover', namedKey('authority recovery'), {
      action: 'recover',
      subject_id: 'authority',
      public_key: namedKey('authority 2').publicKey,
    })
    for (const branch of [base.add([rotate]).grow('x2'), base.grow('t1').add([recover])]) {
      assert.equal(await validator.onHeader(sealedAt(branch, 2), 'authority'), 'ignore')
    }
  })

  it('does not take a peer without blocks for one that it has caught up with', async () => {
    const mine = street.start.grow('t0', 'a1')
    await addPeer('empty')
    peers
      .of('household')
      .serve('status', () =>
        Promise.resolve({ mode: 'light', chain_id: street.chainId, tip: mine.tip, final_height: null }),
      )
    peers.connect('me', 'household')
    await sync()
    assert.deepEqual([...new Set(peers.asked.map(({ name }) => name))], ['status'])
    // Its disk was lost: what it has acked, a peer with blocks knows.
    const peer = await addPeer('authority', mine)
    await castAt(peer, mine.tip, 'v1')
    await sync()
    assert.deepEqual(acks(), [])
    assert.deepEqual((await node.store.voter.lastVote())?.header_hash, mine.tip.hash)
  })

  it('ignores a header whose block nobody shows', async () => {
    const chain = street.start.grow('t0')
    await addPeer('authority', chain)
    await sync()
    assert.equal(await validator.onHeader(sealedAt(chain.grow('t1'), 1), 'authority'), 'ignore')
    assert.equal(await validator.onHeader(sealedAt(chain.grow('t1', 't2'), 2), 'somebody'), 'ignore')
  })

  describe('acks no change of who decides that its operator has not allowed', () => {
    const base = street.start.grow('t0')
    const changed = base.add([enrolV5]).grow('t2')

    it('nor anything above it, until it is final by the others', async () => {
      const peer = await addPeer('authority', changed)
      await sync()
      assert.deepEqual(node.tip(), changed.tip)
      assert.deepEqual(acks(), [])
      assert.ok(
        log.some((line) => line.includes(`--allow-changes ${hashTransaction(enrolV5)}`)),
        log.join('\n'),
      )
      await castAt(peer, changed.at(2), 'v2', 'v3', 'v4')
      await sync()
      assert.deepEqual(ackedHashes(), [changed.tip.hash], 'those who were trusted before have allowed it')
      const next = changed.grow('t3')
      await peer.acceptAll(next)
      await sync()
      assert.deepEqual(ackedHashes(), [changed.tip.hash, next.tip.hash])
    })

    it('but what is named, or everything with `all`, and changes of households alone', async () => {
      const branch = changed.add([enrolHouse])
      await addPeer('authority', branch)
      for (const [key, allow] of [
        ['v1', ['another', hashTransaction(enrolV5)]],
        ['v2', 'all'],
      ] as const) {
        await validator.stop()
        own = await newFolder()
        await start({ allow, key })
        await sync()
        assert.deepEqual(ackedHashes(), [branch.tip.hash])
      }
    })

    it('nor another one that the authority seals under the name of the allowed one', async () => {
      const policy = { action: 'policy', subject_id: 'authority', finality: { policy: 'authority' } } as const
      const sealed = street.change('enrol-v5', namedKey('authority'), policy)
      await validator.stop()
      own = await newFolder()
      await start({ allow: [enrolV5.id, hashTransaction(enrolV5)] })
      await addPeer('authority', base.add([sealed]))
      await sync()
      assert.deepEqual(acks(), [])
      assert.ok(log.some((line) => line.includes(`--allow-changes ${hashTransaction(sealed)}`)))
    })

    it('although another branch, without it, was the chain when it was asked', async () => {
      const { store } = node
      const branch = base.add([enrolV5])
      const plain = base.grow('p1', 'p2')
      await addPeer('one', branch)
      const two = await addPeer('two', plain)
      await castAt(two, plain.at(1), 'v2', 'v3')
      await validator.sync()
      await validator.idle()
      assert.deepEqual(node.tip(), plain.tip)
      const unallowed = acks().filter(({ header_hash }) => header_hash === branch.tip.hash)
      assert.deepEqual(unallowed, [])
      assert.equal((await store.voter.lastVote())?.header_hash, plain.tip.hash)
    })
  })

  describe('that is shown a block without a body', () => {
    const chain = street.start.grow('t0', 't1', 't2')
    const [hidden] = chain.blocks[1]!.transactions
    /** It has whole blocks but for that body, and says that the block is final. */
    async function addHider(name: string): Promise<TestReplica> {
      const peer = await addPeer(name, chain)
      await peer.store.chain.redact([unknownRedaction(hashTransaction(hidden!), 1)])
      const status = { mode: 'validator', chain_id: street.chainId, final_height: 2 }
      const tip = { height: 2, header_hash: chain.tip.hash }
      peers.of(name).serve('status', () => Promise.resolve({ ...status, tip }))
      return peer
    }
    const refusal = /transaction [0-9a-f]{64} is redacted, and the block is not proven to be final/

    it('takes it once the votes prove it final, whatever the peer says before, and acks only then', async () => {
      const peer = await addHider('hider')
      await assert.rejects(sync(), refusal)
      await castAt(peer, chain.at(0), 'v2', 'v3', 'v4')
      await assert.rejects(sync(), /block 0 is the newest that it proves to be final/)
      assert.deepEqual([node.tip(), acks()], [chain.at(0), []])
      await castAt(peer, chain.at(1), 'v2', 'v3')
      await assert.rejects(sync(), refusal, 'two are no quorum')
      await castAt(peer, chain.at(1), 'v4')
      await sync()
      assert.deepEqual([node.tip(), node.finalizer.finalHeight], [chain.tip, 1])
      assert.deepEqual(ackedHashes(), [chain.tip.hash])
    })

    it('takes it where a later block is the one with the quorum, and asks once for the proof of all', async () => {
      const peer = await addHider('hider')
      const [first] = chain.blocks[0]!.transactions
      await peer.store.chain.redact([unknownRedaction(hashTransaction(first!), 0)])
      await castAt(peer, chain.tip, 'v2', 'v3', 'v4')
      await sync()
      assert.deepEqual([node.tip(), node.finalizer.finalHeight], [chain.tip, 2])
      assert.equal(peers.asked.filter(({ asker, name }) => asker === 'me' && name === 'anchor').length, 1)
    })

    it('goes on with the next peer, that came with it or later, and no hole is left', async () => {
      await addHider('hider')
      await assert.rejects(sync(), refusal)
      assert.deepEqual(acks(), [])
      await addPeer('honest', chain)
      await sync()
      assert.deepEqual([node.tip(), ackedHashes()], [chain.tip, [chain.tip.hash]])
      assert.deepEqual(await node.store.chain.redactions(0), [])
      assert.deepEqual((await node.chain.blockAt(1)).transactions, chain.blocks[1]!.transactions)
    })

    const asks = [
      ['an anchor that is none', 'anchor', () => Promise.resolve({ header: 'here' })],
      ['nothing', 'anchor', () => Promise.reject(ledgerError('not_ready', { reason: 'later' }))],
      [
        'a place in the history that is none',
        'history',
        () => Promise.resolve({ leaf_index: 1, tree_size: 2, path: [] }),
      ],
    ] as const
    for (const [what, name, answer] of asks) {
      it(`refuses it from a peer that proves it final by ${what}`, async () => {
        const peer = await addHider('hider')
        await castAt(peer, chain.tip, 'v2', 'v3', 'v4')
        peers.of('hider').serve(name, answer)
        await assert.rejects(sync(), refusal)
        assert.deepEqual([node.tip(), acks()], [chain.at(0), []])
      })
    }

    it('refuses it by a proof from which an ack was taken', async () => {
      await addHider('hider')
      const other = await addPeer('other', chain)
      peers.disconnect('me', 'other')
      await castAt(other, chain.tip, 'v2', 'v3', 'v4')
      const ask = peers.of('hider2')
      peers.connect('hider2', 'other')
      peers.of('hider').serve('anchor', async (params) => {
        const answer = (await ask.request('other', 'anchor', params as object)) as { readonly votes: readonly object[] }
        return { ...answer, votes: answer.votes.slice(1) }
      })
      await assert.rejects(sync(), refusal)
      assert.deepEqual([node.tip(), acks()], [chain.at(0), []])
    })

    it('refuses it by the proof of a branch that the block is not on', async () => {
      const peer = await addHider('hider')
      const other = await addPeer('other', street.start.grow('t0', 'x1', 'x2'))
      peers.disconnect('me', 'other')
      await castAt(other, other.tip(), 'v2', 'v3', 'v4')
      const ask = peers.of('hider2')
      peers.connect('hider2', 'other')
      for (const name of ['anchor', 'history'] as const) {
        peers.of('hider').serve(name, async (params) => (await ask.request('other', name, params as object)) as object)
      }
      assert.equal(peer.tip().hash, chain.tip.hash)
      await assert.rejects(sync(), refusal)
      assert.deepEqual([node.tip(), acks()], [chain.at(0), []])
    })
  })

  describe('that has lost what it acked', () => {
    it('asks peers for it, and acks nothing beside it', async () => {
      const base = street.start.grow('t0')
      const mine = base.grow('a1')
      const peer = await addPeer('authority', mine)
      await castAt(peer, mine.tip, 'v1', 'v2')
      await sync()
      assert.deepEqual(acks(), [], 'it has acked that tip in its earlier life')
      assert.deepEqual((await node.store.voter.lastVote())?.header_hash, mine.tip.hash)
      const next = mine.grow('a2')
      await peer.acceptAll(next)
      await sync()
      assert.deepEqual(ackedHashes(), [next.tip.hash])
    })

    it('takes no vote for its own that another key has signed, and follows nobody who shows one', async () => {
      const chain = street.start.grow('t0')
      await addPeer('liar', chain)
      const forged = { ...street.vote('v1', chain.tip), signature: street.vote('v2', chain.tip).signature }
      const [entry] = chain.state.registries[0].registry.entries
      peers.of('liar').serve('votes', () => Promise.resolve({ votes: [{ vote: forged, entry }] }))
      await assert.rejects(sync(), { code: 'peer_refused', message: /bad_signature/ })
      assert.deepEqual(acks(), [])
      await addPeer('authority', chain)
      await sync()
      assert.deepEqual(acks(), [street.vote('v1', chain.tip)])
    })

    it('looks at few of the votes that a peer has made up', async () => {
      const chain = street.start.grow('t0')
      await addPeer('liar', chain)
      const [entry] = chain.state.registries[0].registry.entries
      const vote = street.vote('v2', chain.tip)
      const made = Array.from({ length: 100 }, (_, at) => ({ ...vote, signature: `${at}`.padStart(128, '0') }))
      const votes = [...made, vote].map((shown) => ({ vote: shown, entry }))
      peers.of('liar').serve('votes', () => Promise.resolve({ votes }))
      await assert.rejects(sync(), { code: 'peer_refused', message: /bad_signature/ })
      assert.deepEqual(
        await node.store.finality.votesOf(chain.tip.hash),
        [],
        'the last one, which is right, is not read',
      )
    })
  })

  it('sends its last ack again to each peer that it syncs with', async () => {
    const chain = street.start.grow('t0')
    await addPeer('authority', chain)
    await sync()
    const late = await addPeer('late', chain)
    await sync()
    assert.deepEqual(await late.store.finality.votesOf(chain.tip.hash), acks())
  })

  it('alarms when a peer has another block where this one has a final one', async () => {
    const base = street.start.grow('t0')
    const mine = base.grow('a1')
    const first = await addPeer('first', mine)
    await castAt(first, mine.tip, 'v2', 'v3', 'v4')
    await sync()
    assert.equal(node.finalizer.finalHeight, 1)
    peers.disconnect('me', 'first')
    const theirs = base.grow('b1', 'b2')
    const second = await addPeer('second', theirs)
    await assert.rejects(validator.sync(), (error) => isSolarError(error, 'peer_refused'))
    assert.ok(
      log.every((line) => !line.startsWith('ALARM')),
      'it is only not final there yet',
    )
    await castAt(second, theirs.at(2), 'v2', 'v3', 'v4')
    await assert.rejects(validator.sync(), (error) => isSolarError(error, 'peer_refused'))
    assert.ok(
      log.some((line) => line.startsWith('ALARM')),
      log.join('\n'),
    )
    assert.deepEqual(node.tip(), mine.tip)
  })

  it('says why it cannot follow: peers show whole blocks to registered validators alone', async () => {
    await validator.stop()
    await start({ key: 'stranger' })
    await addPeer('authority', street.start.grow('t0'))
    await assert.rejects(validator.sync(), (error) => isSolarError(error, 'peer_refused'))
    validator.start()
    await validator.idle()
    assert.ok(
      log.some((line) => line.includes('unknown_voter')),
      log.join('\n'),
    )
    assert.deepEqual(acks(), [])
  })

  it('answers a vote on a block beside the chain as one on an orphaned block', async () => {
    const base = street.start.grow('t0')
    const [mine, theirs] = [base.grow('a1'), base.grow('b1')]
    const peer = await addPeer('authority', mine)
    await castAt(peer, mine.tip, 'v2')
    await sync()
    await addPeer('other', theirs)
    await sync()
    const { answer } = await validator.votes.cast(street.vote('v4', theirs.tip))
    assert.deepEqual([answer.status, answer.votes.ack], ['orphaned', 1])
  })

  it('hears votes and headers as the canonical bytes that it sends', async () => {
    const chain = street.start.grow('t0')
    await addPeer('authority', chain)
    await sync()
    const [first] = gossip.published
    assert.deepEqual(first?.payload, canonicalBytes(acks()[0]!))
  })

  for (const change of [
    street.change('rotate-v1', namedKey('v1'), {
      action: 'rotate',
      subject_id: 'v1',
      public_key: namedKey('v1 2').publicKey,
    }),
    street.change('revoke-v1', namedKey('authority'), { action: 'revoke', subject_id: 'v1' }),
  ]) {
    const base = street.start.grow('t0')
    const chain = base.add([change]).grow('t2', 't3')

    for (const [when, isRestarted] of [
      ['while it runs', false],
      ['after a restart', true],
    ] as const) {
      it(`acks the block that takes its key away although others are above it, ${when}: ${change.action}`, async () => {
        await validator.stop()
        await start({ allow: 'all' })
        await addPeer('early', base)
        await sync()
        peers.disconnect('me', 'early')
        if (isRestarted) {
          await validator.stop()
          await start({ allow: 'all' })
        }
        const late = await addPeer('late', chain)
        await castAt(late, chain.at(1), 'v2')
        // Peers show the old key the blocks that it is to ack, and none above.
        await assert.rejects(validator.sync(), (error) => isSolarError(error, 'peer_refused'))
        await validator.idle()
        assert.deepEqual(node.tip(), chain.at(1))
        assert.equal(ackedHashes().at(-1), chain.at(1).hash)
      })
    }

    it(`is shown no block any more once that one is final: ${change.action}`, async () => {
      await addPeer('early', base)
      await sync()
      peers.disconnect('me', 'early')
      const late = await addPeer('late', chain)
      await castAt(late, chain.at(1), 'v2', 'v3', 'v4')
      await assert.rejects(validator.sync(), (error) => isSolarError(error, 'peer_refused'))
      assert.deepEqual(node.tip(), base.tip)
    })
  }

  it('signs nothing about a header that nobody has sealed, whatever a peer says that its block begins with', async () => {
    const chain = street.start.grow('t0')
    await node.acceptAll(chain)
    const sealed = chain.grow('t1').blocks[1]!
    const liar = peers.of('liar')
    for (const tx_count of [1, 7]) {
      const header = { ...sealed.header, tx_count, merkle_root: 'ab'.repeat(32) }
      const madeUp = { header, signature: 'cd'.repeat(64) }
      const [{ height }, header_hash] = [header, hashHeader(header)]
      const tip = { height, header_hash }
      liar.serve('status', () =>
        Promise.resolve({ mode: 'validator', chain_id: street.chainId, tip, final_height: height }),
      )
      liar.serve('headers', (params) => {
        const { from_height } = headersParams(params, 'headers')
        return Promise.resolve({ headers: [from_height === height ? madeUp : sealedAt(chain, 0)] })
      })
      for (const name of ['registry', 'votes', 'block'] as const) {
        liar.serve(name, () => Promise.reject(ledgerError('not_ready', { reason: 'it has nothing to show' })))
      }
      peers.connect('me', 'liar')
      await assert.rejects(validator.sync(), /bad_seal/)
      peers.disconnect('me', 'liar')
    }
    assert.deepEqual(
      peers.asked.filter(({ params }) => 'credential' in params),
      [],
    )
  })
})
