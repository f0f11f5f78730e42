import assert from 'node:assert/strict'
import type { PlatformRow } from '../../../src/ports/ledger.ts'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  type RunningAuthority,
  type RunningLight,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

const NOW = Date.now()
/** With names as long as they may be: many pages. */
const ROWS = 100_000
/** Of them ann is a party. */
const OWN = 6_000
const CORRECTED = 3_000
/** As long as an identifier may be: with it a row is as large as most platforms could make it. */
const longId = (name: string): string => name.padEnd(64, '-')

const tradeAt = (n: number): PlatformRow => ({
  ...{ kind: 'trade', id: longId(`trade-${n}`), kwh: '123456.123456', price_per_kwh: '0', total_amount: '0' },
  ...{ from_user_id: n < OWN ? 'ann' : longId('somebody'), to_user_id: longId('somebody-else'), timestamp: NOW },
})
const correctionAt = (n: number): PlatformRow => ({
  ...{ kind: 'correction', id: longId(`correction-${n}`), corrects: longId(`trade-${n}`), reason: 'r'.repeat(200) },
  ...{ kwh_delta: '-0.000001', amount_delta: '0', timestamp: NOW },
})

/** A validator checks and acks them, and a household that has to see 6,000 proofs first: by real nodes over libp2p. */
describe('large blocks', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let household: RunningLight

  before(async () => {
    network = await createValidatorNetwork({ finality: 'validators:1', validators: ['v1'], voters: ['ann'] })
    authority = await network.startAuthority()
    await network.startValidator('v1', [authority.address])
    household = await network.startHousehold('ann', [authority.address])
  })
  after(() => network.stop())

  async function seal(tick_id: string, transactions: readonly PlatformRow[]): Promise<void> {
    const { block_hash } = await authority.node.ledger.acceptTick({ tick_id, timestamp: NOW, transactions })
    const hash = block_hash ?? ''
    await eventually(`${tick_id} is final`, async () => {
      const { status } = await authority.node.ledger.blockStatus(hash)
      return status === 'final'
    })
    await eventually(`the household acks ${tick_id}`, () => {
      const acks = household.events.flatMap((event) => (event.type === 'vote' ? [event.vote] : []))
      return Promise.resolve(acks.some(({ header_hash, decision }) => header_hash === hash && decision === 'ack'))
    })
  }

  it('of 100,000 trades, 6,000 of them of one household, is final and acked', async () => {
    await seal(
      'trades',
      Array.from({ length: ROWS }, (_, n) => tradeAt(n)),
    )
    const { transactions } = await authority.node.ledger.transactions({ from: 0, to: NOW + 1, limit: 1 })
    assert.equal(transactions.length, 1)
  })

  it('of 3,000 corrections of as many trades, all of that household, is final and acked', async () => {
    await seal(
      'corrections',
      Array.from({ length: CORRECTED }, (_, n) => correctionAt(n)),
    )
  })
})
