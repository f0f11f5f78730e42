import assert from 'node:assert/strict'
import { canonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { verifyEvidence } from '../../../src/protocol/evidence.ts'
import { hashHeader, type Header, type SealedHeader } from '../../../src/protocol/header.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { RequestName } from '../../../src/ports/peer-requests.ts'
import { startCommunity, type Community, type Household } from '../../helpers/community.ts'
import { eventually } from '../../helpers/network.ts'
import { sealHeader, signingKeyFromSecret } from '../../helpers/sign-now.ts'
import { sideOf, startHostilePeer, type HostilePeer } from './hostile.ts'
import { sealTick, sealTicks } from './trades.ts'

interface Answer extends Record<string, unknown> {
  readonly trades: { transaction: Record<string, unknown>; merkle_proof: Proof }[]
  readonly headers: Sealed[]
}
interface Proof {
  index: number
  tx_count: number
  path: string[]
}
interface Sealed {
  header: Header
  signature: string
}
type Change = (answer: Answer) => void

const OTHER_HASH = '5a'.repeat(32)
const DAY_MS = 86_400_000

describe('a light node whose only peer is hostile', () => {
  let community: Community
  let hostile: HostilePeer
  let light: Household
  let ticks = 0

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
    hostile = await startHostilePeer(sideOf(community))
    light = await community.startHousehold('ann', { peers: [hostile.address] })
    await light.live()
    await sealTick(community, ticks++)
    await (await light.node.client).sync()
    await community.until('the first block is acked', () => cast().length === 1)
  })
  after(async () => {
    await (hostile as HostilePeer | undefined)?.stop()
    await (community as Community | undefined)?.stop()
  })
  afterEach(() => hostile.beHonest())

  const cast = () => light.events.flatMap((event) => (event.type === 'vote' ? [event.vote] : []))
  const alarms = () => light.events.filter((event) => event.type === 'alarm')
  const lieAbout = (name: RequestName, change: Change): void =>
    hostile.tell((asked, answer) => {
      if (asked === name) change(answer as Answer)
      return answer
    })
  const authorityKey = () => signingKeyFromSecret(community.keys.get('authority')!.secret)
  const votesOn = async (hash: string): Promise<string[]> => {
    const { body } = await community.call('GET', `/blocks/${hash}/votes/`)
    return (body.votes as { vote: { decision: string } }[]).map(({ vote }) => vote.decision)
  }

  const tradeLies: readonly (readonly [name: string, code: string, Change])[] = [
    ['a changed Merkle path', 'wrong_merkle_root', ({ trades }) => (trades[0]!.merkle_proof.path[0] = OTHER_HASH)],
    ['the place of another trade', 'wrong_merkle_root', ({ trades }) => (trades[0]!.merkle_proof.index = 1)],
    ['a place outside the block', 'bad_proof_position', ({ trades }) => (trades[0]!.merkle_proof.index = 3)],
    ['another number of trades', 'bad_proof_position', ({ trades }) => (trades[0]!.merkle_proof.tx_count = 4)],
    ['a path that is too long', 'bad_proof_length', ({ trades }) => trades[0]!.merkle_proof.path.push(OTHER_HASH)],
    ['a path that is too short', 'bad_proof_length', ({ trades }) => trades[0]!.merkle_proof.path.pop()],
    [
      'another node where the last one is doubled',
      'bad_proof_padding',
      ({ trades }) => (trades[2]!.merkle_proof.path[0] = OTHER_HASH),
    ],
    ['less energy for the same money', 'wrong_total', ({ trades }) => (trades[0]!.transaction.kwh = '1.4')],
    [
      'less energy and less money',
      'wrong_merkle_root',
      ({ trades }) => Object.assign(trades[0]!.transaction, { kwh: '1', total_amount: '0.2' }),
    ],
    ['another buyer', 'wrong_merkle_root', ({ trades }) => (trades[0]!.transaction.to_user_id = 'eve')],
    ['another nonce', 'wrong_merkle_root', ({ trades }) => (trades[0]!.transaction.nonce = '00'.repeat(16))],
  ]
  for (const [name, code, change] of tradeLies) {
    it(`rejects the block and names ${code} when it is shown ${name}`, async () => {
      lieAbout('trades', change)
      const [before, voted] = [alarms().length, cast().length]
      const { height, block_hash } = await sealTick(community, ticks++)
      await (await light.node.client).sync()
      await community.until('its vote', () => cast().length > voted)
      const raised = alarms().slice(before)
      assert.deepEqual(
        raised.map((alarm) => alarm.code),
        [code],
      )
      assert.match(raised[0]!.reason, new RegExp(`^block ${height}: trade tick-${height}\\.\\d`))
      assert.deepEqual(
        cast()
          .slice(voted)
          .map(({ header_hash, decision }) => [header_hash, decision]),
        [[block_hash, 'reject']],
      )
      assert.deepEqual(await votesOn(block_hash), ['reject'])
      assert.ok(hostile.votes.every((vote) => vote.header_hash !== block_hash || vote.decision === 'reject'))
    })
  }

  const malformedTrades: readonly (readonly [name: string, Change])[] = [
    ['a trade without energy', ({ trades }) => Reflect.deleteProperty(trades[0]!.transaction, 'kwh')],
    ['a field that is not in the protocol', ({ trades }) => (trades[0]!.transaction.note = 'trust me')],
    ['a quantity in a second spelling', ({ trades }) => (trades[0]!.transaction.kwh = '1.50')],
    ['no list of trades at all', (answer) => Reflect.deleteProperty(answer, 'trades')],
  ]
  for (const [name, change] of malformedTrades) {
    it(`does not vote when it is shown ${name}`, async () => {
      lieAbout('trades', change)
      const voted = cast().length
      const { height, block_hash } = await sealTick(community, ticks++)
      await (await light.node.client).sync()
      await community.until('it gave up on the block', () =>
        light.log.some(({ message }) => message.startsWith(`not voting on block ${height}`)),
      )
      assert.equal(cast().length, voted)
      assert.deepEqual(await votesOn(block_hash), [])
    })
  }

  /** The header, changed and sealed again by whom it names, as an authority that turned bad could do. */
  const reseal = (sealed: Sealed, changed: Partial<Header>): void => {
    Object.assign(sealed, sealHeader({ ...sealed.header, ...changed }, authorityKey()))
  }
  const headerLies: readonly (readonly [name: string, code: string, Change])[] = [
    ['with a changed count of trades', 'bad_seal', ({ headers }) => Object.assign(headers[0]!.header, { tx_count: 9 })],
    ['with a changed Merkle root', 'bad_seal', ({ headers }) => (headers[0]!.header = changedRoot(headers[0]!))],
    [
      'sealed by a household',
      'bad_seal',
      ({ headers }) => {
        const household = signingKeyFromSecret(community.keys.get('ben')!.secret)
        Object.assign(headers[0]!, sealHeader(changedRoot(headers[0]!), household))
      },
    ],
    [
      'that names a household as its sealer',
      'unknown_sealer',
      ({ headers }) => {
        const household = signingKeyFromSecret(community.keys.get('ben')!.secret)
        Object.assign(headers[0]!, sealHeader({ ...headers[0]!.header, miner_id: 'ben' }, household))
      },
    ],
    ['with another history', 'wrong_history', ({ headers }) => reseal(headers[0]!, { history_root: OTHER_HASH })],
    ['before its parent', 'wrong_timestamp', ({ headers }) => reseal(headers[0]!, { timestamp: 0 })],
    ['of another chain', 'wrong_chain', ({ headers }) => reseal(headers[0]!, { chain_id: OTHER_HASH })],
    ['from tomorrow', 'from_the_future', ({ headers }) => reseal(headers[0]!, { timestamp: Date.now() + DAY_MS })],
  ]
  for (const [name, code, change] of headerLies) {
    it(`follows no header ${name}, names ${code}, and goes on when it is shown the right one`, async () => {
      lieAbout('headers', change)
      const [voted, raised] = [cast().length, alarms().length]
      const tip = light.node.status().tip
      const { block_hash } = await sealTick(community, ticks++)
      const client = await light.node.client
      await assert.rejects(
        client.sync(),
        (error) => isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code,
      )
      assert.deepEqual(light.node.status().tip, tip)
      assert.equal(cast().length, voted)
      // A clock that is wrong is no attack: everything else is.
      const named = alarms().slice(raised)
      assert.deepEqual(
        named.map((alarm) => alarm.code),
        code === 'from_the_future' ? [] : [code],
      )

      hostile.beHonest()
      await client.sync()
      assert.equal(light.node.status().tip?.header_hash, block_hash)
      await community.until('its vote on the right one', () => cast().length > voted)
      assert.deepEqual(await votesOn(block_hash), ['ack'])
    })
  }

  it('moves by no changed proof over blocks that it missed, names the check, and moves by the right one', async () => {
    const client = await light.node.client
    const before = light.node.status().tip
    // The node asks for the tip by itself now and then: in the middle of these it would rightly follow.
    lieAbout('status', (answer) => (answer.tip = null))
    const missed = await sealTicks(community, ticks, (ticks += 9))
    const lies: readonly (readonly [code: string, Change])[] = [
      ['bad_consistency_proof', (a) => ((a.consistency as Proof).path[0] = OTHER_HASH)],
      ['bad_consistency_proof', (a) => (a.consistency as Proof).path.pop()],
      ['bad_inclusion_proof', (a) => ((a.inclusion as Proof).path[0] = OTHER_HASH)],
      ['missing_proof', (a) => (a.consistency = null)],
      ['missing_proof', (a) => (a.inclusion = null)],
      ['wrong_history', (a) => ((a.frontier as string[])[0] = OTHER_HASH)],
      ['wrong_parent', (a) => Object.assign(a.parent_header as Header, { tx_count: 9 })],
      ['bad_seal', (a) => (a.header = { ...(a.header as Header), tx_count: 9 })],
      ['bad_inclusion_proof', (a) => reseal(a as unknown as Sealed, { history_root: OTHER_HASH })],
    ]
    const [voted, raised] = [cast().length, alarms().length]
    for (const [code, change] of lies) {
      lieAbout('anchor', change)
      await assert.rejects(
        client.sync(),
        (error) => isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code,
        code,
      )
    }
    // A window that does not lead back from the proved tip is as bad as a false proof.
    lieAbout('headers', ({ headers }) => reseal(headers[1]!, { timestamp: headers[1]!.header.timestamp + 1 }))
    await assert.rejects(client.sync(), /wrong_parent/)
    // The node asks by itself as well, so that a lie may be told twice.
    const once = (codes: readonly string[]) => codes.filter((code, index) => code !== codes[index - 1])
    const named = alarms().slice(raised)
    assert.ok(named.length > lies.length)
    assert.deepEqual(once(named.map((alarm) => alarm.code)), once([...lies.map(([code]) => code), 'wrong_parent']))
    assert.deepEqual(light.node.status().tip, before)
    assert.equal(cast().length, voted)

    hostile.beHonest()
    await client.sync()
    assert.equal(light.node.status().tip?.header_hash, missed.at(-1)?.block_hash)
    await community.until('its vote on the newest', () => cast().length > voted)
  })

  const proofLies: readonly (readonly [name: string, code: string, Change])[] = [
    ['a changed Merkle path', 'wrong_merkle_root', (a) => ((a.merkle_proof as Proof).path[0] = OTHER_HASH)],
    ['another header', 'bad_inclusion_proof', (a) => Object.assign(a.header as Header, { timestamp: 1 })],
    ['another history path', 'bad_inclusion_proof', (a) => ((a.history_proof as Proof).path[0] = OTHER_HASH)],
    ['no history proof', 'missing_proof', (a) => (a.history_proof = null)],
    ['the proof of another transaction', 'wrong_transaction', (a) => (a.tx_hash = OTHER_HASH)],
  ]
  for (const [name, code, change] of proofLies) {
    it(`accepts no proof of an old trade with ${name}: ${code}`, async () => {
      const client = await light.node.client
      const honest = await client.prove({ tx_id: 'tick-0.1' })
      assert.equal(honest.answer.header.height, 0)
      lieAbout('proof', change)
      await assert.rejects(
        client.prove({ tx_hash: honest.answer.tx_hash }),
        (error) => isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code,
      )
    })
  }

  it('has evidence of a second header that the authority sealed for a height, and votes for that key no more', async () => {
    const client = await light.node.client
    await client.sync()
    const held = client.status().headers.at(-1)!
    const voted = cast().length
    const raised = alarms().length
    const second = sealHeader(changedRoot(held), authorityKey())
    const next = await sealTick(community, ticks++)
    const { body } = await community.call('GET', '/blocks/latest-headers/?n=1')
    const [{ header }] = body.headers as [SealedHeader]
    const onOther = sealHeader({ ...header, prev_hash: hashHeader(second.header) }, authorityKey())
    for (const sealed of [second, onOther]) {
      await eventually(
        'the light node listens to headers',
        async () => (await hostile.network.gossip.publish('headers', canonicalBytes(sealed))) > 0,
      )
    }
    await community.until('two alarms', () => alarms().length === raised + 2)
    assert.deepEqual(
      alarms()
        .slice(raised)
        .map((alarm) => alarm.code),
      ['conflict', 'evidence'],
    )
    assert.equal(client.status().headers.at(-1)?.header.height, held.header.height, 'it did not move to either')
    assert.equal(client.status().state, 'alarm')
    const [evidence] = await client.evidence(1)
    assert.ok(evidence)
    assert.ok(verifyEvidence(evidence, community.genesis, community.chainId).ok)
    await client.sync()
    const refusal = `not voting on block ${next.height}: there is evidence against authority`
    await community.until('its word on the one that follows', () =>
      light.log.some(({ message }) => message === refusal),
    )
    assert.equal(cast().length, voted)
  })
})

const changedRoot = ({ header }: Sealed): Header => ({ ...header, merkle_root: OTHER_HASH })
