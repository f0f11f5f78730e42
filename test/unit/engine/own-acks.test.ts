import assert from 'node:assert/strict'
import { createCredentialSigner } from '../../../src/engine/credential-signer.ts'
import { PATIENCE_MS } from '../../../src/engine/own-acks.ts'
import { createValidator, type Validator, type ValidatorParts } from '../../../src/engine/validator.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import type { Hash } from '../../../src/protocol/bytes.ts'
import { parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import type { BlockPoint } from '../../../src/protocol/finality.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import type { AcksParams } from '../../../src/protocol/messages.ts'
import { hash32 } from '../../../src/protocol/shape.ts'
import { voteShape, type Vote } from '../../../src/protocol/vote.ts'
import { createStreet, namedKey, type Branch } from '../../helpers/branches.ts'
import { createPeers, createTestGossip, type Peers } from '../../helpers/peers.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { ledgerOf, NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 3 },
  validators: ['v1', 'v2', 'v3', 'v4'],
})
const base = street.start.grow('t0')
const [ours, theirs] = [base.grow('a1', 'a2'), base.grow('b1', 'b2')]
type Folder = Awaited<ReturnType<typeof replicaFolder>>

/** v1 before its first ack after a start. */
describe('what a validator has acked before', () => {
  let folders: Folder[]
  let peers: Peers
  let clock: VirtualClock
  let running: Validator[]
  /** Who has acked the branch that a peer follows. */
  let ackers: string[]

  beforeEach(() => {
    folders = []
    running = []
    ackers = ['v3', 'v4']
    peers = createPeers()
    clock = createVirtualClock(NOW)
  })
  afterEach(async () => {
    for (const validator of running) await validator.stop()
    for (const folder of folders) await folder.remove()
  })

  async function newFolder(): Promise<Folder> {
    const folder = await replicaFolder(street)
    folders.push(folder)
    return folder
  }

  /** A life of v1 over a folder; a new one is that of a lost disk. */
  async function start(folder: Folder, changes: Partial<ValidatorParts> = {}) {
    const node = await folder.open()
    const gossip = createTestGossip()
    const log: string[] = []
    const note = (_fields: object, message: string): void => void log.push(message)
    const logger: Logger = { debug: () => undefined, info: note, warn: note, error: note }
    const { chain, store, finalizer, evidence, hub } = node
    const key = changes.key ?? namedKey('v1')
    const validator = createValidator({
      chain,
      store: store.chain,
      finalityStore: store.finality,
      voterStore: store.voter,
      finalizer,
      evidence,
      events: hub,
      gossip,
      requests: peers.of('me'),
      // What is gathered for some milliseconds is not waited for by this clock.
      clock: { now: () => clock.now(), after: (ms, task) => (ms < 100 ? node.clock : clock).after(ms, task) },
      logger,
      key,
      sign: createCredentialSigner({
        chainId: street.chainId,
        requests: peers.of('me'),
        voterId: () => 'v1',
        key: () => Promise.resolve(key),
        clock,
        randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      }),
      allowedChanges: 'all',
      explainRefusal: () => undefined,
      pollMs: 3_600_000,
      ...changes,
    })
    running.push(validator)
    const acks = (): string[] =>
      gossip.published
        .filter(({ topic }) => topic === 'votes')
        .map(({ payload }) => voteShape(parseCanonicalBytes(payload), 'vote').header_hash)
    const sync = async (): Promise<void> => {
      await validator.sync().catch((error: unknown) => log.push(String(error)))
      await validator.idle()
    }
    return { validator, node, log, acks, sync }
  }

  /** A validator that follows the first of these branches and keeps the others beside it. */
  async function addPeer(name: string, ...branches: readonly Branch[]): Promise<TestReplica> {
    const peer = await (await newFolder()).open()
    const [followed] = branches
    if (followed !== undefined) {
      await peer.acceptAll(followed)
      await peer.cast(...ackers.map((id) => street.vote(id, followed.tip)))
    }
    for (const branch of branches.slice(1)) await peer.acceptAll(branch)
    serveReplica(peer, peers.of(name))
    peers.connect('me', name)
    return peer
  }
  const acked = (peer: TestReplica, ...points: readonly BlockPoint[]) =>
    peer.cast(...points.map((point) => street.vote('v1', point)))

  it('is asked for on every branch that a peer keeps, and binds it', async () => {
    const peer = await addPeer('one', theirs, ours)
    await acked(peer, ours.tip)
    assert.deepEqual(peer.tip(), theirs.tip)
    const { node, sync, acks, log } = await start(await newFolder())
    await sync()
    assert.deepEqual(node.tip(), theirs.tip)
    assert.deepEqual(acks(), [])
    assert.equal((await node.store.voter.lastVote())?.header_hash, ours.tip.hash)
    assert.ok(
      log.some((line) => line.includes('does not know of, up to height 2')),
      log.join('\n'),
    )
  })

  it('is what its signer has signed, though no peer that answers knows of it', async () => {
    await addPeer('one', theirs)
    const { node, sync, acks, log } = await start(await newFolder(), { signedBefore: street.vote('v1', ours.tip) })
    await sync()
    assert.deepEqual(node.tip(), theirs.tip)
    assert.deepEqual(acks(), [])
    assert.equal((await node.store.voter.lastVote())?.header_hash, ours.tip.hash)
    assert.ok(
      log.some((line) => line.startsWith('the signer has acked block 2 ')),
      log.join('\n'),
    )
  })

  it('is asked of every peer that is connected, before the first ack', async () => {
    await addPeer('one', theirs)
    await addPeer('two', theirs)
    const three = await addPeer('three', theirs, ours)
    await acked(three, ours.tip)
    const { sync, acks } = await start(await newFolder())
    await sync()
    assert.deepEqual(acks(), [])
  })

  it('is waited for at most so long, where a peer is connected and silent', async () => {
    await addPeer('one', theirs)
    peers.of('silent').serve('status', () => new Promise<object>(() => undefined))
    peers.connect('me', 'silent')
    const { validator, acks } = await start(await newFolder())
    validator.start()
    for (let turns = 0; acks().length === 0; turns++) {
      assert.ok(turns < 5_000, 'it never acks')
      await new Promise((resolve) => setTimeout(resolve, 1))
      clock.advance(100)
    }
    assert.ok(clock.now() - NOW >= PATIENCE_MS)
    assert.deepEqual(acks(), [theirs.tip.hash])
  })

  it('is asked of each peer by itself: one that does not come to its end holds up no other', async () => {
    const slow = await addPeer('slow', theirs)
    const whole = ledgerOf(slow)
    peers.of('slow').serve('votes', async (params) => {
      if (Object.hasOwn(params as object, 'voter_id')) return await new Promise<object>(() => undefined)
      return { votes: await whole.votes((params as { header_hash: string }).header_hash) }
    })
    const { validator, acks } = await start(await newFolder())
    validator.start()
    while (!peers.asked.some(({ params }) => 'voter_id' in params))
      await new Promise((resolve) => setTimeout(resolve, 1))
    await addPeer('one', theirs)
    for (const end = Date.now() + 5_000; acks().length === 0 && Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      clock.advance(100)
    }
    assert.deepEqual(acks(), [theirs.tip.hash])
  })

  it('is asked for also where an older backup of its store knows of acks', async () => {
    const folder = await newFolder()
    await addPeer('old', base)
    const before = await start(folder)
    await before.sync()
    assert.deepEqual(before.acks(), [base.tip.hash])
    await before.validator.stop()
    peers.disconnect('me', 'old')
    const peer = await addPeer('one', theirs, ours)
    await acked(peer, base.tip, ours.tip)
    const { node, sync, acks } = await start(folder)
    await sync()
    assert.deepEqual(acks(), [])
    assert.deepEqual(
      (await node.store.voter.ownVotesFrom(0)).map(({ header_hash }) => header_hash),
      [base.tip.hash, ours.tip.hash],
    )
  })

  it('binds it whichever of its keys has signed', async () => {
    const rotate = street.change('rotate-v1', namedKey('v1'), {
      action: 'rotate',
      subject_id: 'v1',
      public_key: namedKey('v1 2').publicKey,
    })
    const rotated = base.add([rotate]).grow('b2')
    const peer = await addPeer('one', rotated, ours)
    await acked(peer, ours.tip)
    const { sync, acks } = await start(await newFolder(), { key: namedKey('v1 2') })
    await sync()
    assert.deepEqual(acks(), [])
  })

  it('is no more than the key has signed, whatever a peer says', async () => {
    const peer = await addPeer('liar', theirs)
    const entry = street.start.state.registries[0].registry.entry('v1')!
    const forged: Vote[] = [
      { ...street.vote('v1', ours.tip), signature: street.vote('v2', ours.tip).signature },
      street.vote('v2', ours.tip),
      street.vote('v1', ours.tip, 'reject'),
    ]
    peers.of('liar').serve('votes', () => Promise.resolve({ votes: forged.map((vote) => ({ vote, entry })) }))
    const { sync, acks } = await start(await newFolder())
    await sync()
    assert.deepEqual(acks(), [peer.tip().hash])
  })

  it("is nothing that a key signs which was given up in a final block: it may be in anybody's hands", async () => {
    const rotate = street.change('rotate-v1', namedKey('v1'), {
      action: 'rotate',
      subject_id: 'v1',
      public_key: namedKey('v1 2').publicKey,
    })
    const rotated = base.add([rotate]).grow('b2')
    ackers = ['v2', 'v3', 'v4']
    const peer = await addPeer('thief', rotated)
    await peer.store.finality.putVotes([street.vote('v1', { hash: hash32('ab'.repeat(32), ''), height: 2 ** 52 })])
    const { node, sync, acks } = await start(await newFolder(), { key: namedKey('v1 2') })
    await sync()
    assert.equal(node.finalizer.finalHeight, rotated.tip.height)
    assert.deepEqual(acks(), [rotated.tip.hash])
    assert.equal((await node.store.voter.lastVote())?.height, rotated.tip.height)
  })

  it('is not looked for among many acks that nobody has signed', async () => {
    await addPeer('liar', theirs)
    const entry = street.start.state.registries[0].registry.entry('v1')!
    const made = Array.from({ length: 100 }, (_, height) => {
      const point = { hash: hash32(`${height}`.padStart(64, '0'), ''), height }
      return { vote: { ...street.vote('v1', point), signature: street.vote('v2', point).signature }, entry }
    })
    peers.of('liar').serve('votes', (params) => {
      const isByVoter = Object.hasOwn(params as object, 'voter_id')
      return Promise.resolve({ votes: isByVoter ? made : [] })
    })
    const { sync, acks, log } = await start(await newFolder())
    await sync()
    assert.deepEqual(acks(), [])
    assert.ok(
      log.some((line) => line.includes('that none of its keys has signed')),
      log.join('\n'),
    )
  })

  it('is not learnt from a peer whose pages do not end', async () => {
    await addPeer('endless', theirs)
    peers.of('endless').serve('votes', (params) => {
      const from = (params as { from_height?: number }).from_height
      return Promise.resolve(from === undefined ? { votes: [] } : { votes: [], next_height: from + 1 })
    })
    const { sync, acks, log } = await start(await newFolder())
    await sync()
    assert.deepEqual(acks(), [])
    assert.ok(
      log.some((line) => line.includes('do not end')),
      log.join('\n'),
    )
  })

  it('comes in pages from a peer that keeps many', async () => {
    ackers = ['v3']
    const peer = await addPeer('one', theirs, ours)
    await acked(peer, theirs.at(1), ours.tip)
    const whole = ledgerOf(peer)
    peers.of('one').serve('votes', async (params) => {
      if (!Object.hasOwn(params as object, 'voter_id'))
        return { votes: await whole.votes((params as { header_hash: string }).header_hash) }
      const { votes } = await whole.acksOf(params as AcksParams)
      const [first, second] = votes
      return { votes: votes.slice(0, 1), ...(first && second && { next_height: second.vote.height }) }
    })
    const { node, sync } = await start(await newFolder())
    await sync()
    assert.equal((await node.store.voter.lastVote())?.header_hash, ours.tip.hash)
    const asked = peers.asked.filter(({ name, params }) => name === 'votes' && 'voter_id' in params)
    assert.deepEqual(
      asked.map(({ params }) => (params as AcksParams).from_height),
      [0, ours.tip.height],
    )
  })

  describe('on a branch where it has another key', () => {
    const second = namedKey('v1 2')
    const rotation = street.change('rotate-v1', namedKey('v1'), {
      action: 'rotate',
      subject_id: 'v1',
      public_key: second.publicKey,
    })
    const rotated = base.add([rotation]).grow('b2')

    it('binds it, though it is shown the header alone', async () => {
      const peer = await addPeer('one', ours)
      await peer.cast(street.vote('v1', ours.tip))
      await addPeer('two', rotated)
      const { node, sync, acks, log } = await start(await newFolder(), { key: second })
      // Before it follows the other one it does not know whose acks to ask for.
      await sync()
      await sync()
      clock.advance(PATIENCE_MS)
      await sync()
      assert.deepEqual(acks(), [], log.join('\n'))
      assert.deepEqual(
        (await node.store.voter.ownVotesFrom(0)).map(({ header_hash }) => header_hash),
        [ours.tip.hash],
      )
    })

    it('binds it by each ack, also where the peer is far ahead of the chain here', async () => {
      const far = ours.grow(...Array.from({ length: 20 }, (_, n) => `far-${n}`))
      const peer = await addPeer('one', far)
      await peer.cast(...[ours.tip, far.at(9), far.tip].map((point) => street.vote('v1', point)))
      await addPeer('two', rotated)
      const { node, sync, acks } = await start(await newFolder(), { key: second })
      await sync()
      await sync()
      clock.advance(PATIENCE_MS)
      await sync()
      assert.deepEqual(acks(), [])
      assert.deepEqual(
        (await node.store.voter.ownVotesFrom(0)).map(({ height }) => height),
        [ours.tip.height, 9, far.tip.height],
      )
    })

    const [, next, last] = ours.blocks.map(({ header }) => header)
    for (const [what, made] of [
      ['no authority has sealed the header', sealHeader({ ...next!, timestamp: NOW }, namedKey('thief'))],
      [
        'the header leads to no block that is known here',
        sealHeader({ ...last!, height: 2 ** 40, prev_hash: hash32('ab'.repeat(32), '') }, namedKey('authority')),
      ],
    ] as const) {
      it(`does not if ${what}`, async () => {
        const [hash, { height }] = [hashHeader(made.header), made.header]
        const peer = await addPeer('one', ours)
        await peer.store.finality.putVotes([street.vote('v1', { hash, height })])
        peers.of('one').serve('headers', () => Promise.resolve({ headers: [made] }))
        peers.of('one').serve('block', () => Promise.reject(ledgerError('forbidden', { reason: 'another key' })))
        await addPeer('two', rotated)
        const { sync, acks } = await start(await newFolder(), { key: second })
        await sync()
        await sync()
        clock.advance(PATIENCE_MS)
        await sync()
        assert.deepEqual(acks(), [rotated.tip.hash])
      })
    }

    it('does not at another height than that of the header that is shown for it', async () => {
      const peer = await addPeer('one', ours)
      await peer.store.finality.putVotes([street.vote('v1', { ...ours.tip, height: 2 ** 52 })])
      const headers = ours.blocks.map(({ header, signature }) => ({ header, signature }))
      // Any header that an authority has sealed, and that is not known here, would do.
      peers.of('one').serve('headers', (params) => {
        const { from_height, count } = params as { from_height: number; count: number }
        const shown = from_height < headers.length ? headers.slice(from_height, from_height + count) : headers.slice(-1)
        return Promise.resolve({ headers: shown })
      })
      await addPeer('two', rotated)
      const { node, sync, acks, log } = await start(await newFolder(), { key: second })
      await sync()
      await sync()
      clock.advance(PATIENCE_MS)
      await sync()
      assert.deepEqual(acks(), [rotated.tip.hash], log.join('\n'))
      assert.equal((await node.store.voter.lastVote())?.height, rotated.tip.height)
    })
  })

  /** What a thief signs with the key of v1 says nothing without a header that an authority has sealed. */
  describe('is nothing that is shown without its sealed header', () => {
    const planted = (header_hash: Hash, height = 2 ** 52) => street.vote('v1', { hash: header_hash, height })
    const unknown = hash32('ab'.repeat(32), '')
    const rotate = base.add([
      street.change('rotate-v1', namedKey('v1'), {
        action: 'rotate',
        subject_id: 'v1',
        public_key: namedKey('v1 2').publicKey,
      }),
    ])
    const revoke = base.add([street.change('revoke-v1', namedKey('v1'), { action: 'revoke', subject_id: 'v1' })])

    const shapes: readonly (readonly [name: string, chain: Branch, key: string, acked: BlockPoint])[] = [
      ['while the key is in force', theirs, 'v1', theirs.tip],
      ['while its rotation is not final, for the new key', rotate.grow('b2'), 'v1 2', rotate.grow('b2').tip],
      ['while its rotation is not final, for the old key', rotate.grow('b2'), 'v1', rotate.tip],
      ['while its revocation is not final', revoke, 'v1', revoke.tip],
    ]
    for (const [name, chain, key, expected] of shapes) {
      it(name, async () => {
        ackers = ['v3']
        const peer = await addPeer('thief', chain)
        await peer.store.finality.putVotes([planted(unknown)])
        await addPeer('honest', chain)
        const { node, sync, acks } = await start(await newFolder(), { key: namedKey(key) })
        await sync()
        clock.advance(PATIENCE_MS)
        await sync()
        assert.equal(node.finalizer.finalHeight, -1)
        assert.deepEqual(acks(), [expected.hash])
        assert.deepEqual(await node.store.voter.ownVotesFrom(expected.height + 1), [])
      })
    }

    it('also where a peer shows a header that no authority has sealed', async () => {
      const [, , last] = theirs.blocks
      const made = [2 ** 52, theirs.size].map((height) => {
        const header = { ...last!.header, height, prev_hash: theirs.tip.hash }
        return { ...last!, ...sealHeader(header, namedKey('thief')) }
      })
      const byHash = new Map(made.map((block) => [hashHeader(block.header), block]))
      for (const [hash, block] of byHash) {
        const thief = `thief ${block.header.height}`
        const peer = await addPeer(thief, theirs)
        await peer.store.finality.putVotes([planted(hash, block.header.height)])
        peers.of(thief).serve('block', (params) => {
          const { block_hash } = params as { block_hash: string }
          const shown = byHash.get(block_hash) ?? theirs.blocks.find(({ header }) => hashHeader(header) === block_hash)!
          const { header, signature, transactions } = shown
          return Promise.resolve({ header, signature, transactions, next_index: null })
        })
      }
      await addPeer('honest', theirs)
      const { node, sync, acks, log } = await start(await newFolder())
      await sync()
      clock.advance(PATIENCE_MS)
      await sync()
      assert.deepEqual(acks(), [theirs.tip.hash], log.join('\n'))
      assert.equal((await node.store.voter.lastVote())?.height, theirs.tip.height)
      assert.equal(await node.store.chain.besideChain(planted(unknown).header_hash), undefined)
      for (const hash of byHash.keys()) assert.equal(await node.store.chain.besideChain(hash), undefined)
    })

    it('nor by a key that its voter no longer had at that header', async () => {
      const chain = rotate.grow('b2', 'b3')
      ackers = ['v3']
      await addPeer('thief', chain)
      const entry = chain.state.registries.at(-1)!.registry.entry('v1')!
      const votes = [{ vote: planted(chain.tip.hash, chain.tip.height), entry }]
      peers
        .of('thief')
        .serve('votes', (params) =>
          Promise.resolve({ votes: Object.hasOwn(params as object, 'voter_id') ? votes : [] }),
        )
      const { node, sync, acks } = await start(await newFolder(), { key: namedKey('v1 2') })
      await sync()
      assert.deepEqual(acks(), [chain.tip.hash])
      const own = await node.store.voter.ownVotesFrom(0)
      assert.deepEqual(own, [street.vote('v1', chain.tip, 'ack', namedKey('v1 2'))])
    })

    it('but who keeps the block to itself, and does not say that it has none, has not answered', async () => {
      const peer = await addPeer('one', theirs, ours)
      await acked(peer, ours.tip)
      const hidden = ours.blocks.map(({ header }) => hashHeader(header))
      let isSilent = true
      peers.of('one').serve('block', async (params) => {
        const { block_hash } = params as { block_hash: string }
        if (isSilent && hidden.includes(block_hash) && block_hash !== base.at(0).hash) {
          throw ledgerError('not_ready', { reason: 'another time' })
        }
        const { header, signature, transactions } = await ledgerOf(peer).block(block_hash)
        return { header, signature, transactions, next_index: null }
      })
      const { sync, acks, node } = await start(await newFolder())
      await sync()
      clock.advance(PATIENCE_MS)
      await sync()
      assert.deepEqual(acks(), [], 'nobody has said what it has acked')
      isSilent = false
      await sync()
      assert.equal((await node.store.voter.lastVote())?.header_hash, ours.tip.hash)
      assert.deepEqual(acks(), [])
    })

    it('and who shows many of them is asked no more, and has not answered', async () => {
      const peer = await addPeer('thief', theirs)
      await peer.store.finality.putVotes(
        Array.from({ length: 20 }, (_, index) => planted(hash32(`${index}`.padStart(64, '0'), ''), 100 + index)),
      )
      const { sync, acks, log } = await start(await newFolder())
      await sync()
      assert.deepEqual(acks(), [])
      assert.ok(
        log.some((line) => line.includes('of blocks that it does not show')),
        log.join('\n'),
      )
      const asked = peers.asked.filter(({ name }) => name === 'block')
      assert.ok(asked.length < 20, `${asked.length} blocks were asked for`)
    })
  })

  it('binds it by each of several acks that are on no one chain, until a final block contradicts them', async () => {
    ackers = ['v3']
    const peer = await addPeer('one', theirs, ours)
    await peer.store.finality.putVotes(
      [ours.at(1), theirs.at(1), theirs.at(2)].map((point) => street.vote('v1', point)),
    )
    const folder = await newFolder()
    const { validator, sync, acks } = await start(folder)
    await sync()
    await peer.acceptAll(theirs.grow('b3'))
    await sync()
    assert.deepEqual(acks(), [], 'an ack of block 3 would contradict the one of block a1')
    await validator.stop()
    const again = await start(folder)
    await again.sync()
    assert.deepEqual(again.acks(), [], 'after a restart as well')
    await peer.cast(street.vote('v2', theirs.at(1)))
    await again.sync()
    assert.equal(again.node.finalizer.finalHeight, 1)
    assert.deepEqual(again.acks(), [theirs.grow('b3').tip.hash])
  })

  it('sets it free by what it goes on from, although its branch is above the last final block and is followed by nobody', async () => {
    const long = base.grow('a1', 'a2', 'a3', 'a4')
    const peer = await addPeer('one', theirs, long)
    await acked(peer, long.tip)
    await peer.cast(...['v2', 'v3', 'v4'].map((id) => street.vote(id, theirs.at(1))))
    const { node, sync, acks } = await start(await newFolder())
    await sync()
    assert.deepEqual(acks(), [theirs.tip.hash], 'what is below block 4 of the other branch lies beside the final one')
    assert.equal(node.finalizer.finalHeight, 2)
  })

  it('keeps it from an ack of the last final block itself, if it has acked another one of that height', async () => {
    const peer = await addPeer('one', theirs, ours)
    await acked(peer, ours.tip)
    await peer.cast(street.vote('v2', theirs.tip))
    const { node, sync, acks } = await start(await newFolder())
    await sync()
    assert.equal(node.finalizer.finalHeight, theirs.tip.height)
    assert.deepEqual(acks(), [], 'it would be evidence against it')
    await peer.acceptAll(theirs.grow('b3'))
    await sync()
    assert.deepEqual(acks(), [theirs.grow('b3').tip.hash])
  })

  it('binds it as well when it comes as a vote that somebody passes on', async () => {
    await addPeer('one', theirs)
    ackers = ['v2']
    await addPeer('two', ours)
    const folder = await newFolder()
    const first = await start(folder, { recallPeers: 2 })
    first.validator.start()
    await first.sync()
    await first.validator.votes.cast(street.vote('v1', ours.tip))
    await first.validator.idle()
    assert.equal((await first.node.store.voter.lastVote())?.header_hash, ours.tip.hash)
    await first.validator.stop()
    const { sync, acks, node } = await start(folder)
    await sync()
    assert.deepEqual(node.tip(), theirs.tip)
    assert.deepEqual(acks(), [])
  })

  describe('is asked of more peers once a peer knows more of it than the store', () => {
    const reached = new Map([
      ['address 1', 'one'],
      ['address 2', 'two'],
    ])
    const named = (addresses: number): Partial<ValidatorParts> => ({
      namedPeers: { addresses, reached: () => reached },
    })

    it('namely of those that the operator has named, and it says that it waits, also after a restart', async () => {
      const next = ours.grow('a3')
      ackers = ['v3']
      const peer = await addPeer('one', next, theirs)
      await acked(peer, ours.tip)
      await addPeer('two', next)
      await addPeer('stranger', next)
      const folder = await newFolder()
      const first = await start(folder, named(4))
      await first.sync()
      clock.advance(PATIENCE_MS)
      await first.sync()
      assert.deepEqual(first.acks(), [])
      assert.match(first.validator.trouble() ?? '', /2 of the 4 named peers/)
      await first.validator.stop()
      const again = await start(folder, named(4))
      await again.sync()
      clock.advance(PATIENCE_MS)
      await again.sync()
      assert.deepEqual(again.acks(), [])
      await again.validator.stop()
      const told = await start(folder, { ...named(4), recallPeers: 2 })
      await told.sync()
      clock.advance(PATIENCE_MS)
      await told.sync()
      assert.deepEqual(told.acks(), [next.tip.hash], "by the operator's word")
      assert.equal(told.validator.trouble(), undefined)
    })

    it('of whom one on a branch that contradicts what is final has answered, too', async () => {
      const [forgotten, next] = [theirs.grow('b3').tip, theirs.grow('b3', 'b4')]
      ackers = []
      for (const name of ['one', 'two']) {
        const peer = await addPeer(name, next)
        await peer.cast(...['v2', 'v3', 'v4'].map((id) => street.vote(id, theirs.tip)), street.vote('v1', forgotten))
      }
      const reachable = new Map([...reached, ['address 3', 'three']])
      const namedPeers = { addresses: 3, reached: () => reachable }
      const { node, sync, acks, validator } = await start(await newFolder(), { namedPeers })
      await sync()
      assert.equal(node.finalizer.finalHeight, theirs.tip.height)
      clock.advance(PATIENCE_MS)
      await sync()
      assert.match(validator.trouble() ?? '', /2 of the 3 named peers/)
      await addPeer('three', ours)
      await sync()
      assert.equal(validator.trouble(), undefined)
      assert.deepEqual(acks(), [next.tip.hash])
    })

    it('also where that peer fails before it has shown all of it', async () => {
      const next = ours.grow('a3')
      ackers = ['v3']
      await addPeer('one', next)
      const { node, sync, acks } = await start(await newFolder(), named(4))
      await sync()
      const peer = await addPeer('two', next)
      const hidden = street.start.grow('x0').tip
      await acked(peer, ours.tip)
      await peer.store.finality.putVotes([street.vote('v1', hidden)])
      peers.of('two').serve('block', () => Promise.reject(ledgerError('not_ready', { reason: 'another time' })))
      await sync()
      assert.equal((await node.store.voter.lastVote())?.header_hash, ours.tip.hash)
      clock.advance(PATIENCE_MS)
      await sync()
      assert.deepEqual(acks(), [], 'one of the 4 has answered')
    })

    it('also where all that a peer shows of it is final by now: more may be forgotten above', async () => {
      const [b3, c3] = [theirs.grow('b3'), theirs.grow('c3')]
      // v1, v2 and the faulty v4 have made b3 final.
      ackers = ['v1', 'v2', 'v4']
      const two = await addPeer('two', b3)
      peers.disconnect('me', 'two')
      // v3 is honest, was cut off, and has c3 from the two-faced authority, with an ack of the faulty v4.
      ackers = ['v3', 'v4']
      const one = await addPeer('one', c3)
      await one.cast(...['v1', 'v2', 'v3'].map((id) => street.vote(id, theirs.tip)))
      const { node, sync, acks, validator, log } = await start(await newFolder(), named(4))
      await sync()
      clock.advance(PATIENCE_MS)
      await sync()
      assert.equal(two.finalizer.finalHeight, 3)
      assert.equal(node.finalizer.finalHeight, 2)
      assert.match(validator.trouble() ?? '', /1 of the 4 named peers/)
      assert.ok(log.some((line) => line.includes('does not know of, up to height 2')))
      assert.deepEqual(acks(), [], 'one of 4 named peers has answered, and it has shown an ack that was forgotten')
    })

    it('but in an ordinary start of one, and of the others for a moment', async () => {
      await addPeer('one', ours)
      const { sync, acks, validator } = await start(await newFolder(), named(4))
      await sync()
      assert.deepEqual(acks(), [], 'the others may be there in a moment')
      clock.advance(PATIENCE_MS)
      await sync()
      assert.deepEqual(acks(), [ours.tip.hash])
      assert.equal(validator.trouble(), undefined)
    })
  })
})
