import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import type { RequestName } from '../../../src/ports/peer-requests.ts'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  type RunningAuthority,
  type RunningLight,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'
import { startHostilePeer, type HostilePeer } from '../main-job/hostile.ts'
import { readTestKey } from '../../helpers/sign-now.ts'

interface Shown extends Record<string, unknown> {
  readonly trades: { readonly merkle_proof: { readonly path: string[] } }[]
  readonly transactions: Record<string, unknown>[]
}

const OTHER_HASH = '5a'.repeat(32)

describe('a household whose peer gives it trades that cannot be right', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let hostile: HostilePeer
  let shownBlocks: Shown[]

  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'authority', validators: ['v1'], voters: ['ann', 'ben', 'cem'] })
    authority = await network.startAuthority()
    hostile = await startHostilePeer(
      {
        chainId: network.chainId,
        addressOf: () => authority.address,
        keyOf: (id) => readTestKey(join(network.folder, id, DATA_FILES.voterKey)),
      },
      ['block'],
    )
    shownBlocks = []
  })
  afterEach(async () => {
    await hostile.stop()
    await network.stop()
  })

  const lieAbout = (...lies: readonly (readonly [RequestName, (answer: Shown) => void])[]): void =>
    hostile.tell((name, answer) => {
      if (name === 'block') shownBlocks.push(structuredClone(answer) as Shown)
      for (const [about, change] of lies) if (about === name) change(answer as Shown)
      return answer
    })

  /** Two trades of ann, and two that are none of her business. */
  async function sealTrades(): Promise<{ readonly height: number }> {
    const timestamp = Date.UTC(2015, 0, 2)
    const between = (from_user_id: string, to_user_id: string, n: number) => ({
      ...{ kind: 'trade' as const, id: `trade-${n}`, from_user_id, to_user_id },
      ...{ kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3', timestamp },
    })
    const transactions = [
      between('ann', 'ben', 0),
      between('ben', 'cem', 1),
      between('cem', 'ann', 2),
      between('cem', 'ben', 3),
    ]
    const { height } = await authority.node.ledger.acceptTick({ tick_id: 'tick', timestamp, transactions })
    return { height: height ?? -1 }
  }

  async function startAnn(...peers: readonly string[]): Promise<RunningLight> {
    const ann = await network.startHousehold('ann', peers)
    await eventually('ann is live', () => ann.node.status().peers === peers.length)
    await eventually('ann is live', () => ann.node.status().state === 'live')
    return ann
  }
  const voteOf = async ({ events }: RunningLight): Promise<string> => {
    await eventually('ann has voted', () => events.some(({ type }) => type === 'vote'))
    return events.flatMap((event) => (event.type === 'vote' ? [event.vote.decision] : [])).join()
  }
  const verified = ({ events }: RunningLight): readonly string[] =>
    events.flatMap((event) => (event.type === 'verified' ? event.trades.map(({ transaction }) => transaction.id) : []))
  const alarms = ({ events }: RunningLight): readonly string[] =>
    events.flatMap((event) => (event.type === 'alarm' ? [event.code] : []))

  it('asks for the whole block, in which the trades of others are redacted, and that settles it', async () => {
    const ann = await startAnn(hostile.address)
    lieAbout(['trades', ({ trades }) => (trades[0]!.merkle_proof.path[0] = OTHER_HASH)])
    await sealTrades()
    assert.equal(await voteOf(ann), 'ack')
    assert.deepEqual(verified(ann), ['trade-0', 'trade-2'])
    assert.deepEqual(alarms(ann), ['wrong_merkle_root'], 'who lied is told of')
    const [shown] = shownBlocks
    assert.deepEqual(
      shown?.transactions.map(({ kind, id }) => id ?? kind),
      ['trade-0', 'redacted', 'trade-2', 'redacted'],
    )
    for (const { kind, ...rest } of shown.transactions) {
      if (kind === 'redacted') assert.deepEqual(Object.keys(rest), ['tx_hash'])
    }
  })

  it('rejects the block if nobody shows one that leads to its root', async () => {
    const ann = await startAnn(hostile.address)
    lieAbout(
      ['trades', ({ trades }) => (trades[0]!.merkle_proof.path[0] = OTHER_HASH)],
      ['block', ({ transactions }) => (transactions[1]!.tx_hash = OTHER_HASH)],
    )
    await sealTrades()
    assert.equal(await voteOf(ann), 'reject')
    assert.deepEqual(verified(ann), [])
    assert.deepEqual(alarms(ann), ['wrong_merkle_root'])
  })

  it('believes an honest peer beside the lying one, and needs no block', async () => {
    const ann = await startAnn(hostile.address, authority.address)
    lieAbout(['trades', ({ trades }) => (trades[0]!.merkle_proof.path[0] = OTHER_HASH)])
    await sealTrades()
    assert.equal(await voteOf(ann), 'ack')
    assert.deepEqual(verified(ann), ['trade-0', 'trade-2'])
    assert.deepEqual(alarms(ann), ['wrong_merkle_root'])
    assert.deepEqual(shownBlocks, [])
  })

  it('has the trade that one peer leaves out from another', async () => {
    const v1 = await network.startValidator('v1', [authority.address])
    const ann = await startAnn(hostile.address, v1.address)
    lieAbout(['trades', ({ trades }) => trades.splice(0, 1)])
    await sealTrades()
    assert.equal(await voteOf(ann), 'ack')
    assert.deepEqual(verified(ann).toSorted(), ['trade-0', 'trade-2'])
    assert.deepEqual(alarms(ann), [], 'a trade that is left out is no proof of a lie')
  })
})
