import assert from 'node:assert/strict'
import { createPseudonyms, type Pseudonyms } from '../../../src/engine/pseudonyms.ts'
import type { PlatformTick } from '../../../src/ports/ledger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { isPseudonym, pseudonymOf, tellsUser } from '../../../src/protocol/pseudonym.ts'
import { identifier } from '../../../src/protocol/shape.ts'
import { tempSqlite, type OpenedStore } from '../../helpers/stores.ts'
import { CHAIN_ID } from '../../vectors/chain-cases.ts'
import { testSecret } from '../../vectors/keys.ts'

const SECRET = testSecret('pseudonyms')
const [ANN, BEN] = ['ann', 'ben'].map((user) => pseudonymOf(SECRET, CHAIN_ID, user)) as [string, string]

const TICK: PlatformTick = {
  tick_id: 'tick-1',
  timestamp: 1,
  transactions: [
    {
      ...{ kind: 'trade', id: 'trade-1', from_user_id: 'ann', to_user_id: 'ben', timestamp: 1 },
      ...{ kwh: '1', price_per_kwh: '0.2', total_amount: '0.2' },
    },
    {
      ...{ kind: 'correction', id: 'fix-1', corrects: 'ann', reason: 'late', timestamp: 1 },
      ...{ kwh_delta: '-1', amount_delta: '0' },
    },
  ],
}

describe('pseudonyms of users', () => {
  let opened: OpenedStore<MarketStore>
  let pseudonyms: Pseudonyms
  beforeEach(async () => {
    opened = await tempSqlite()
    pseudonyms = createPseudonyms(SECRET, CHAIN_ID, opened.store)
  })
  afterEach(() => opened.cleanup())

  const knownUsers = async () => (await opened.store.usersOfPseudonyms([ANN, BEN])).map(({ user_id }) => user_id).sort()

  it('are identifiers, and others for each secret, chain and user', () => {
    const all = [
      pseudonymOf(SECRET, CHAIN_ID, 'ann'),
      pseudonymOf(SECRET, CHAIN_ID, 'Ann'),
      pseudonymOf(SECRET, '0'.repeat(64), 'ann'),
      pseudonymOf(testSecret('other pseudonyms'), CHAIN_ID, 'ann'),
    ]
    assert.equal(new Set(all).size, all.length)
    for (const one of all) assert.equal(isPseudonym(identifier(one, 'pseudonym')), true)
  })

  it('are asked for without a trace, and remembered of who is written of', async () => {
    assert.equal(pseudonyms.of('ann'), ANN)
    assert.deepEqual(await knownUsers(), [])
    assert.equal(await pseudonyms.isUser('ann'), false)
    assert.equal(await pseudonyms.take('ann'), ANN)
    assert.deepEqual(await knownUsers(), ['ann'])
    assert.equal(await pseudonyms.isUser('ann'), true)
    assert.equal(await pseudonyms.isUser(ANN), false)
  })

  it('take the place of the parties of a tick, and of nothing else', async () => {
    const taken = await pseudonyms.takeTick(TICK)
    const [trade, correction] = TICK.transactions
    assert.deepEqual(taken, {
      ...TICK,
      transactions: [{ ...trade, from_user_id: ANN, to_user_id: BEN }, correction],
    })
    assert.deepEqual(await knownUsers(), ['ann', 'ben'])
  })

  it('are never taken for names: who is called by that of another user is not that one', async () => {
    const refused = (error: unknown) =>
      isSolarError(error, 'refused_row') && error.message.includes('kept for pseudonyms')
    assert.throws(() => pseudonyms.of(ANN), refused)
    await assert.rejects(pseudonyms.take(ANN), refused)
    const [trade] = TICK.transactions as [PlatformTick['transactions'][number]]
    await assert.rejects(
      pseudonyms.takeTick({ ...TICK, transactions: [{ ...trade, to_user_id: BEN } as typeof trade] }),
      refused,
    )
    assert.deepEqual(await knownUsers(), [])
  })

  it('of a tick of 20,000 rows are made without holding anybody up', async () => {
    const [trade] = TICK.transactions as [PlatformTick['transactions'][number]]
    const transactions = Array.from(
      { length: 20_000 },
      (_, i) => ({ ...trade, id: `t-${i}`, from_user_id: `u${i}`, to_user_id: `v${i % 9}` }) as typeof trade,
    )
    let turns = 0
    const ticking = setInterval(() => turns++, 1)
    try {
      const taken = await pseudonyms.takeTick({ ...TICK, transactions })
      assert.equal(taken.transactions.length, 20_000)
      assert.ok(turns > 10, `${turns} turns of others`)
    } finally {
      clearInterval(ticking)
    }
  })
})

describe('the id of a device tells its user', () => {
  it('where it is the user, or has it in it between separators', () => {
    for (const id of [
      'ann',
      'ann.phone',
      'ann-1',
      'phone.ann',
      'ann:x',
      'ann@home',
      'my_ann',
      'x+ann',
      'x-ann-y',
      'anna-ann',
    ])
      assert.equal(tellsUser(id, 'ann'), true, id)
    for (const id of ['anna', 'joann', 'phone-17', 'u-1', 'an', ANN]) assert.equal(tellsUser(id, 'ann'), false, id)
  })
})
