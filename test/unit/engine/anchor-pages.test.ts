import assert from 'node:assert/strict'
import { buildAnchor } from '../../../src/engine/anchor-builder.ts'
import { provesFinalBy } from '../../../src/engine/final-proof.ts'
import { createLightClient, type LightClient } from '../../../src/engine/light-client.ts'
import { buildReceipt } from '../../../src/engine/receipt-builder.ts'
import type { LightStore } from '../../../src/ports/light-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { trustGenesis, verifyAdvance } from '../../../src/protocol/light-verify.ts'
import { anchorAnswer } from '../../../src/protocol/messages.ts'
import { MAX_HANDOVERS_PER_ANSWER } from '../../../src/protocol/limits.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import { createStreet, namedKey, type Branch } from '../../helpers/branches.ts'
import { createPeers, createTestGossip, type Peers } from '../../helpers/peers.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'
import { NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

describe('more handovers than one answer holds', () => {
  const street = createStreet()
  const folders: Awaited<ReturnType<typeof replicaFolder>>[] = []
  let branch: Branch
  let full: TestReplica
  let peers: Peers
  let opened: OpenedStore<LightStore>

  async function openReplica(): Promise<TestReplica> {
    const folder = await replicaFolder(street)
    folders.push(folder)
    return await folder.open()
  }

  // Every block but the first says anew which policy is in force: each is a handover that none can pass over.
  before(() => {
    branch = street.start.grow('t0')
    for (let n = 0; n < 2 * MAX_HANDOVERS_PER_ANSWER + 5; n++) {
      const finality = { policy: 'authority' } as const
      const fields = { action: 'policy', subject_id: 'authority', finality } as const
      branch = branch.add([street.change(`policy-${n}`, namedKey('authority'), fields)])
    }
    branch = branch.grow('last')
  })
  beforeEach(async () => {
    full = await openReplica()
    await full.acceptAll(branch)
    peers = createPeers()
    serveReplica(full, peers.of('full'))
    peers.connect('me', 'full')
    opened = await tempLightStore()
  })
  afterEach(async () => {
    await opened.cleanup()
    for (const folder of folders.splice(0)) await folder.remove()
  })

  const lightClient = (): Promise<LightClient> =>
    createLightClient({
      genesis: street.genesis,
      store: opened.store,
      gossip: createTestGossip(),
      requests: peers.of('me'),
      clock: createVirtualClock(NOW),
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      logger: silentLogger,
      key: null,
      windowSize: 5,
      staleAfterMs: 60_000,
      pollMs: 3_600_000,
      onEvent: () => undefined,
    })
  const asked = () => peers.asked.filter(({ name }) => name === 'anchor').map(({ params }) => params)

  it('take a light node to the newest final header, page by page', async () => {
    const client = await lightClient()
    await client.sync()
    const { trusted_height, tip } = client.status()
    assert.deepEqual([trusted_height, tip?.header_hash], [branch.tip.height, branch.tip.hash])
    const pages = [null, MAX_HANDOVERS_PER_ANSWER + 1, 2 * (MAX_HANDOVERS_PER_ANSWER + 1)]
    assert.deepEqual(
      asked(),
      pages.map((from_height) => ({ from_height })),
    )
    await client.stop()
  })

  it('are taken up where the last page ended, with another peer and after a restart', async () => {
    const other = peers.of('other')
    serveReplica(full, other)
    let pages = 0
    const { anchor } = answersOf(full)
    other.serve('anchor', (params) => {
      if (pages++ > 0) return Promise.reject(new Error('gone'))
      return anchor(params)
    })
    peers.disconnect('me', 'full')
    peers.connect('me', 'other')
    const client = await lightClient()
    await assert.rejects(client.sync())
    await client.stop()
    assert.equal((await opened.store.window())?.trusted.anchor?.header.height, MAX_HANDOVERS_PER_ANSWER + 1)
    peers.disconnect('me', 'other')
    peers.connect('me', 'full')
    const again = await lightClient()
    await again.sync()
    assert.equal(again.status().trusted_height, branch.tip.height)
    assert.deepEqual(asked().at(-2), { from_height: MAX_HANDOVERS_PER_ANSWER + 1 })
    await again.stop()
  })

  it('make no progress by a page that says there is more and leads nowhere', async () => {
    const liar = peers.of('liar')
    serveReplica(full, liar)
    const first = await answersOf(full).anchor({ from_height: null })
    liar.serve('anchor', () => Promise.resolve(first))
    peers.disconnect('me', 'full')
    peers.connect('me', 'liar')
    const client = await lightClient()
    await assert.rejects(client.sync(), /wrong_height/)
    assert.equal(asked().length, 2)
    await client.stop()
  })

  it('prove to a full node that has nothing yet that a block is final', async () => {
    const { chain, finalizer } = await openReplica()
    const requests = peers.of('me')
    const provesFinal = provesFinalBy('full', { chain, finalizer, requests, clock: { now: () => NOW } })
    for (const height of [0, MAX_HANDOVERS_PER_ANSWER, branch.tip.height]) {
      assert.deepEqual(await provesFinal(branch.blocks[height]!), { ok: true })
    }
    assert.equal(asked().length, 3)
  })

  it('come in shorter pages from a node that takes long for each, and always with one step', async () => {
    const { chain } = full
    const acks = { acksFrom: () => Promise.resolve([]) }
    const anchorHeight = () => branch.tip.height
    for (const [stepMs, steps] of [
      [900, 3],
      [5_000, 1],
    ] as const) {
      let now = NOW
      const clock = { now: () => (now += stepMs) - stepMs }
      const answer = await buildAnchor({ chain, acks, clock, anchorHeight }, { from_height: null })
      assert.deepEqual([answer.more, answer.handovers.length], [true, steps - 1])
    }
  })

  it('end where the votes of a node prove no more, though it has the rest for final', async () => {
    const voted = createStreet({ finality: { policy: 'validators', threshold: 2 }, validators: ['v1', 'v2', 'v3'] })
    const fields = {
      action: 'policy',
      subject_id: 'authority',
      finality: { policy: 'validators', threshold: 2 },
    } as const
    const change = voted.change('policy', namedKey('authority'), fields)
    const grown = voted.start.grow('t0').add([change]).grow('t2', 't3')
    const folder = await replicaFolder(voted)
    folders.push(folder)
    const node = await folder.open()
    await node.acceptAll(grown)
    const voteAt = (id: string, height: number) => voted.vote(id, grown.at(height))
    // As if the others were lost, or had been counted by another authority on the same database.
    const ask = (from_height: number | null, ...votes: readonly Vote[]) =>
      buildAnchor(
        {
          chain: node.chain,
          acks: { acksFrom: (height) => Promise.resolve(votes.filter((vote) => vote.height >= height)) },
          clock: { now: () => NOW },
          anchorHeight: () => 3,
        },
        { from_height },
      )
    const early = [voteAt('v1', 1), voteAt('v2', 1)]
    const first = await ask(null, ...early, voteAt('v3', 3))
    assert.deepEqual([first.header.height, first.more], [1, true])
    const genesis = trustGenesis(voted.genesis, voted.chainId)
    const context = { genesis: voted.genesis, chainId: voted.chainId, now: NOW }
    assert.ok(verifyAdvance(genesis, first, context).ok)
    const nothing = (words: RegExp) => (error: unknown) => isSolarError(error, 'not_ready') && words.test(error.message)
    await assert.rejects(ask(1, ...early, voteAt('v3', 3)), nothing(/1 of the 2 acks that prove block 3 final/))
    await assert.rejects(ask(null), nothing(/0 of the 2 acks that prove block 1 final/))
    assert.equal((await ask(null, voteAt('v1', 3), voteAt('v2', 3))).header.height, 3)
  })

  it('end a receipt at the last header that it can hold them up to', async () => {
    const { chain } = full
    const parts = { chain, acks: { acksFrom: () => Promise.resolve([]) }, anchorHeight: () => branch.tip.height }
    const limits = { maxSteps: 10, maxBytes: Number.MAX_SAFE_INTEGER }
    const whole = await buildReceipt(parts, 't0.1')
    assert.equal(whole.handovers.length, branch.size - 2)
    const short = await buildReceipt(parts, 't0.1', limits)
    assert.deepEqual([short.handovers.length, short.anchor?.header.height], [9, 10])
    for (const receipt of [whole, short]) {
      const verdict = verifyReceipt(receipt, street.chainId)
      assert.equal(verdict.ok && verdict.status, 'final')
    }
    await assert.rejects(
      buildReceipt(parts, 'last.1', limits),
      /no_receipt|last.1 would need more changes .* they lead to block 10, it is in block \d+; solar-node prove/,
    )
  })

  const answersOf = (node: TestReplica) => {
    const own = createPeers()
    serveReplica(node, own.of('it'))
    own.connect('me', 'it')
    return {
      anchor: async (params: unknown) =>
        anchorAnswer(await own.of('me').request('it', 'anchor', params as object), 'anchor'),
    }
  }
})
