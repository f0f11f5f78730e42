import assert from 'node:assert/strict'
import { hashHeader, meetsDifficulty, type Header, type SealedHeader } from '../../../src/protocol/header.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { searchNonce } from '../../../src/protocol/work.ts'
import { startCommunity, type Community, type Household } from '../../helpers/community.ts'
import { sideOf, startHostilePeer, type HostilePeer } from '../main-job/hostile.ts'
import { sealTick, sealTicks } from '../main-job/trades.ts'
import { sealHeader, signingKeyFromSecret } from '../../helpers/sign-now.ts'

const DIFFICULTY = 3

describe('light nodes of a community that seals by work', () => {
  let community: Community
  let hostile: HostilePeer
  let light: Household

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'], seal: `work:${DIFFICULTY}` })
    hostile = await startHostilePeer(sideOf(community))
    light = await community.startHousehold('ann', { peers: [hostile.address] })
    await light.live()
  })
  after(async () => {
    await (hostile as HostilePeer | undefined)?.stop()
    await (community as Community | undefined)?.stop()
  })

  const acks = () => light.events.flatMap((event) => (event.type === 'vote' ? [event.vote.header_hash] : []))

  it('follow headers with enough work and the seal of the authority, and vote for them', async () => {
    const sealed = await sealTicks(community, 0, 3)
    const { block_hash: tip } = sealed[2]!
    await (await light.node.client).sync()
    await community.until('the tip is acked', () => acks().includes(tip))
    const { body } = await community.call('GET', '/blocks/latest-headers/')
    for (const { header, header_hash } of body.headers as { header: Header; header_hash: string }[]) {
      assert.ok(meetsDifficulty(header_hash, DIFFICULTY), header_hash)
      assert.equal(header.difficulty, DIFFICULTY)
      assert.equal(header.nonce, searchNonce(header, 0, 1_000_000), 'the smallest nonce')
    }
  })

  /** The nonce changed until it is not worth the difficulty. */
  function withoutWork(header: Header): Header {
    let changed = header
    do changed = { ...changed, nonce: changed.nonce + 1 }
    while (meetsDifficulty(hashHeader(changed), DIFFICULTY))
    return changed
  }
  const lies: readonly (readonly [name: string, code: string, change: (header: Header) => Header])[] = [
    ['without enough work', 'missing_work', withoutWork],
    ['that asks for less work than the genesis', 'wrong_difficulty', (header) => ({ ...header, difficulty: 1 })],
  ]
  for (const [name, code, change] of lies) {
    it(`follow no header ${name}, although the authority sealed it, and name ${code}`, async () => {
      const key = signingKeyFromSecret(community.keys.get('authority')!.secret)
      hostile.tell((asked, answer) => {
        if (asked !== 'headers') return answer
        const headers = answer.headers as SealedHeader[]
        return { headers: headers.map(({ header }) => sealHeader(change(header), key)) }
      })
      const before = light.node.status().tip
      const { block_hash } = await sealTick(community, (before?.height ?? 0) + 1)
      const client = await light.node.client
      await assert.rejects(
        client.sync(),
        (error) => isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code,
      )
      assert.deepEqual(light.node.status().tip, before)
      hostile.beHonest()
      await client.sync()
      assert.equal(light.node.status().tip?.header_hash, block_hash)
    })
  }
})
