import assert from 'node:assert/strict'
import { systemClock } from '../../../src/node/clock.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { eventually } from '../../helpers/network.ts'
import { createValidatorNetwork, sealTick, type ValidatorNetwork } from '../../helpers/validator-network.ts'

const DAY = 24 * 3_600_000

describe('an authority whose clock jumps a day ahead', () => {
  let network: ValidatorNetwork
  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'validators:1', validators: ['v1'] })
  })
  afterEach(() => network.stop())

  it('seals nothing and says why, and goes on by itself once the clock is right', async () => {
    let ahead = 0
    const clock = { ...systemClock, now: () => systemClock.now() + ahead }
    const authority = await network.startAuthority('authority', { clock })
    await network.startValidator('v1', [authority.address])
    await sealTick(authority, 't0')
    const reasons = async () => {
      const answer = await fetch(`${authority.url}/ready`)
      return JSON.stringify([answer.status, await answer.json()])
    }
    ahead = DAY
    const refused = (error: unknown) => isSolarError(error, 'not_ready') && error.message.includes("node's clock")
    await assert.rejects(authority.node.ledger.runTick({ tick_id: 'm1' }), refused)
    await eventually('the validator is named', async () => (await reasons()).includes(' says '))
    assert.match(await reasons(), /^\[503,.*this node's clock is 86\d{3} s ahead/)
    await assert.rejects(authority.node.ledger.runTick({ tick_id: 'm1' }), refused)
    ahead = 0
    await eventually('it is ready', async () => (await reasons()).startsWith('[200,'))
    const { block_hash } = await sealTick(authority, 't1')
    await eventually(
      'it is final',
      async () => (await authority.node.ledger.blockStatus(block_hash)).status === 'final',
    )
  })
})
