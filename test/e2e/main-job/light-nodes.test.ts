import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import { joinChain } from '../../../src/engine/join-chain.ts'
import type { LightClient, LightEvent } from '../../../src/engine/light-client.ts'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import { systemClock, systemRandomBytes } from '../../../src/node/clock.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { canonicalText, parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { hashHeader, sealedHeaderShape, type SealedHeader } from '../../../src/protocol/header.ts'
import { headersAnswer, proofAnswer, statusAnswer } from '../../../src/protocol/messages.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { keyOf } from '../../../src/storage/level/keyspaces.ts'
import { openLightStore } from '../../../src/storage/level/light-store.ts'
import { startCommunity, type Community, type Household } from '../../helpers/community.ts'
import { eventually, TCP } from '../../helpers/network.ts'
import { sealTick, sealTicks } from './trades.ts'

const votesOf = ({ events }: Household) => events.flatMap((event) => (event.type === 'vote' ? [event.vote] : []))
const heightsOf = ({ events }: Household) =>
  events.flatMap((event) => (event.type === 'header' ? [event.sealed.header.height] : []))
const alarmsOf = ({ events }: Household) => events.filter(({ type }) => type === 'alarm')

describe('light nodes of a community', () => {
  let community: Community
  beforeEach(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
  })
  afterEach(async () => {
    await community.stop()
  })

  const counted = (voter: string, height: number): boolean =>
    community.events.some(
      (event) => event.type === 'vote' && event.vote.voter_id === voter && event.vote.height === height,
    )
  const start = async (id: string, transport: 'tcp' | 'ws' = 'tcp'): Promise<Household> => {
    const household = await community.startHousehold(id, { transport })
    await household.live()
    return household
  }

  it('catch up by a consistency proof after 60 missed blocks, with far fewer bytes than the headers have', async () => {
    const present = await start('ann')
    const absent = await start('ben', 'ws')
    await sealTicks(community, 0, 8)
    await community.until('both voted on block 7', () => counted('ann', 7) && counted('ben', 7))
    await absent.stop()
    const missed = await sealTicks(community, 8, 68)
    await community.until('ann voted on all', () => counted('ann', 67))
    assert.deepEqual(
      heightsOf(present),
      Array.from({ length: 68 }, (_, height) => height),
    )

    const back = await start('ben', 'ws')
    await community.until('ben voted on the tip', () => counted('ben', 67))
    assert.equal(back.node.status().tip?.header_hash, missed.at(-1)?.block_hash)
    const caughtUp = back.log.find(({ message }) => message.startsWith('caught up 60 blocks by proofs'))
    assert.ok(caughtUp, back.log.map(({ message }) => message).join('\n'))
    const { bytes } = caughtUp.fields as { bytes: number }
    const { body } = await community.call('GET', '/blocks/latest-headers/?n=60')
    const headers = (body.headers as SealedHeader[]).map(({ header, signature }) => ({ header, signature }))
    const headerBytes = canonicalText({ headers }).length
    console.log(`        60 blocks missed: ${bytes} bytes by proofs, ${headerBytes} bytes as headers`)
    assert.ok(bytes > 0 && bytes * 5 < headerBytes, `${bytes} bytes, the headers have ${headerBytes}`)
    const how = back.events.flatMap((event) =>
      event.type === 'header' ? [[event.sealed.header.height, event.how]] : [],
    )
    assert.deepEqual(how, [[67, 'proved']])

    // It can prove what it missed, however old, and follows header by header from here.
    const proof = await (await back.node.client).prove({ tx_id: 'tick-3.1' })
    assert.equal(proof.answer.header.height, 3)
    await sealTick(community, 68)
    await community.until('ben voted on the next', () => counted('ben', 68))
    assert.deepEqual(heightsOf(back), [67, 68])
    assert.deepEqual([...alarmsOf(present), ...alarmsOf(absent), ...alarmsOf(back)], [])
  })

  it('fetch the headers that gossip did not bring, check and vote on each of them', async () => {
    const lost = new Set([1, 2, 3])
    const withheld: number[] = []
    await community.stopAuthority()
    await community.startAuthority({
      wrapGossip: (gossip) => ({
        ...gossip,
        publish: (topic, payload) => {
          const height =
            topic === 'headers' ? sealedHeaderShape(parseCanonicalBytes(payload), 'header').header.height : -1
          if (!lost.has(height)) return gossip.publish(topic, payload)
          withheld.push(height)
          return Promise.resolve(0)
        },
      }),
    })
    const ann = await start('ann')
    const ben = await start('ben', 'ws')
    await sealTick(community, 0)
    await community.until('both voted on block 0', () => counted('ann', 0) && counted('ben', 0))
    await sealTicks(community, 1, 4)
    assert.deepEqual(withheld, [1, 2, 3])
    await sealTick(community, 4)
    await community.until('both voted on block 4', () => counted('ann', 4) && counted('ben', 4))
    for (const household of [ann, ben]) {
      assert.deepEqual(heightsOf(household), [0, 1, 2, 3, 4])
      assert.deepEqual(
        votesOf(household).map(({ height, decision }) => [height, decision]),
        [0, 1, 2, 3, 4].map((height) => [height, 'ack']),
      )
      assert.deepEqual(alarmsOf(household), [])
    }
  })

  it('find their window, their trades and their last vote again after a restart, with nobody there', async () => {
    const ann = await start('ann')
    const sealed = await sealTicks(community, 0, 8)
    await community.until('ann voted on block 7', () => counted('ann', 7))
    const { headers } = ann.node.status()
    assert.deepEqual(
      headers.map(({ header }) => hashHeader(header)),
      sealed.slice(-5).map(({ block_hash }) => block_hash),
    )
    await ann.stop()
    await community.stopAuthority()

    const again = await community.startHousehold('ann')
    await again.node.client
    assert.deepEqual(again.node.status().headers, headers)
    assert.equal(again.node.status().state, 'syncing')

    await community.startAuthority()
    await again.live()
    await sealTick(community, 8)
    await community.until('ann voted on block 8', () => counted('ann', 8))
    assert.deepEqual(heightsOf(again), [8])
    assert.deepEqual(
      votesOf(again).map(({ height }) => height),
      [8],
    )
  })

  it('never vote twice on a height, also when all but their last vote is lost', async () => {
    const ann = await start('ann')
    await sealTicks(community, 0, 4)
    await community.until('ann voted on block 3', () => counted('ann', 3))
    const last = votesOf(ann).at(-1)
    await ann.stop()
    const level = new Level(join(community.folderOf('ann'), 'level'))
    assert.equal(await level.get(keyOf('vote')), canonicalText(last))
    await level.del(keyOf('window'))
    await level.close()

    const again = await start('ann')
    await community.until('it follows the chain anew', () => heightsOf(again).length === 4)
    await sealTick(community, 4)
    await community.until('ann voted on block 4', () => counted('ann', 4))
    assert.deepEqual(heightsOf(again), [0, 1, 2, 3, 4])
    assert.deepEqual(
      votesOf(again).map(({ height }) => height),
      [4],
    )
    const heights = community.events.flatMap((event) => (event.type === 'vote' ? [event.vote.height] : []))
    assert.deepEqual(heights, [0, 1, 2, 3, 4])
  })

  it('send the last vote again, the same bytes, to an authority that lost it', async () => {
    const ann = await start('ann')
    const { block_hash } = await sealTick(community, 0)
    await community.until('ann voted on block 0', () => counted('ann', 0))
    const { body: before } = await community.call('GET', `/blocks/${block_hash}/votes/`)
    await community.stopAuthority()
    const { changeRows } = await import('./database.ts')
    assert.equal(changeRows(community.database, 'delete from votes'), 1)
    const heard = community.events.length
    await community.startAuthority()
    await community.until('the vote is there again', () =>
      community.events.slice(heard).some(({ type }) => type === 'vote'),
    )
    const { body: after } = await community.call('GET', `/blocks/${block_hash}/votes/`)
    assert.deepEqual(after, before)
    assert.equal(votesOf(ann).length, 1)
  })

  describe('with each other', () => {
    let network: PeerNetwork
    beforeEach(async () => {
      network = await createNodeNetwork({
        chainId: community.chainId,
        privateKey: systemRandomBytes(32),
        listen: [TCP],
        peers: [],
        hub: false,
        clock: systemClock,
        logger: silentLogger,
      })
    })
    afterEach(() => network.stop())

    it('answer with the headers they hold and the proofs of their own trades', async () => {
      await network.start()
      const peers = [community.addressOf('tcp'), network.multiaddrs()[0] ?? '']
      const ann = await community.startHousehold('ann', { peers })
      await ann.live()
      const sealed = await sealTicks(community, 0, 7)
      await community.until('ann voted on block 6', () => counted('ann', 6))
      await eventually('ann is connected', () => network.requests.peers().length === 1)
      const [peer = ''] = network.requests.peers()
      const ask = (...[name, params]: [Parameters<typeof network.requests.request>[1], object]) =>
        network.requests.request(peer, name, params)
      assert.deepEqual(statusAnswer(await ask('status', {}), 'status'), {
        mode: 'light',
        chain_id: community.chainId,
        tip: { height: 6, header_hash: sealed[6]?.block_hash },
        final_height: 6,
      })
      assert.deepEqual(await ask('genesis', {}), { genesis: community.genesis })
      const { headers } = headersAnswer(await ask('headers', { from_height: 2, count: 5 }), 'headers')
      assert.deepEqual(headers, ann.node.status().headers)
      assert.deepEqual(await ask('headers', { from_height: 1, count: 5 }), { headers: [] })
      const proof = proofAnswer(await ask('proof', { tx_id: 'tick-6.1', at_height: null }), 'proof')
      assert.equal(proof.tx_hash, sealed[6]?.transactions[1]?.tx_hash)
      assert.equal(hashHeader(proof.header), sealed[6]?.block_hash)
      const refused = async (...request: Parameters<typeof ask>): Promise<string> => {
        const error: unknown = await ask(...request).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        assert.ok(isSolarError(error, 'peer_refused'), String(error))
        return (error.fields as { code: string }).code
      }
      assert.equal(await refused('proof', { tx_id: 'nothing', at_height: null }), 'unknown_transaction')
      assert.equal(await refused('proof', { tx_id: 'tick-0.1', at_height: 6 }), 'not_ready')
      assert.equal(await refused('headers', { from_height: 0, count: 0 }), 'malformed')
    })

    it('are enough for a newcomer that knows no authority: genesis, headers and a proof, all checked', async () => {
      const data = join(community.folder, 'newcomer')
      const store = await openLightStore(data)
      const stopping = new AbortController()
      const events: LightEvent[] = []
      let client: LightClient | undefined
      try {
        // The listening side of two light nodes: its network comes first, so that the other has an address to dial.
        const joining = joinChain({
          store,
          clock: systemClock,
          randomBytes: systemRandomBytes,
          logger: silentLogger,
          createNetwork: () => Promise.resolve({ ...network, stop: () => Promise.resolve() }),
          pin: community.chainId,
          key: null,
          signal: stopping.signal,
          windowSize: 5,
          staleAfterMs: 60_000,
          pollMs: 60_000,
          onEvent: (event) => events.push(event),
        })
        await eventually('it listens', () => network.multiaddrs().length > 0)
        const ann = await community.startHousehold('ann', {
          peers: [community.addressOf('tcp'), network.multiaddrs()[0] ?? ''],
        })
        await ann.live()
        client = (await joining).client
        const sealed = await sealTicks(community, 0, 4)
        await community.until('ann voted on block 3', () => counted('ann', 3))
        await community.stopAuthority()
        await eventually('only the light node is connected', () => network.requests.peers().length === 1)
        await client.sync()
        assert.equal(client.status().tip?.header_hash, sealed[3]?.block_hash)
        const { answer, trusted } = await client.prove({ tx_id: 'tick-3.0' })
        assert.equal(answer.tx_hash, sealed[3]?.transactions[0]?.tx_hash)
        assert.equal(trusted?.header_hash, sealed[3]?.block_hash)
        assert.ok(events.length > 0 && events.every(({ type }) => type === 'header'))
      } finally {
        stopping.abort()
        await client?.stop()
        await network.stop()
        await store.close()
        await rm(data, { recursive: true })
      }
    })
  })
})
