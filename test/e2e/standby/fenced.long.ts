import assert from 'node:assert/strict'
import type { Gossip } from '../../../src/ports/gossip.ts'
import type { LedgerEvent } from '../../../src/ports/ledger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { sealedHeaderShape } from '../../../src/protocol/header.ts'
import { eventually } from '../../helpers/network.ts'
import { tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import { createValidatorNetwork, sealTick, type ValidatorNetwork } from '../../helpers/validator-network.ts'
import { endLeading, leaderSessions } from './sessions.ts'

describe('a leader that stands still between signing a header and the fence', () => {
  let network: ValidatorNetwork
  let database: TempDatabase
  let held: ReturnType<typeof barrier>
  beforeEach(async () => {
    held = barrier()
    database = await tempDatabase()
    network = await createValidatorNetwork({ finality: 'authority', validators: [], authorities: ['second'] })
  })
  afterEach(async () => {
    held.release(undefined)
    await network.stop()
    await database.drop()
  })

  /** Holds the next block of a store back at the fence. */
  function barrier() {
    const arrived = Promise.withResolvers<undefined>()
    const release = Promise.withResolvers<undefined>()
    let isSet = false
    const wrapMarketStore = (store: MarketStore): MarketStore => ({
      ...store,
      fence: async (row) => {
        if (isSet) {
          isSet = false
          arrived.resolve(undefined)
          await release.promise
        }
        await store.fence(row)
      },
    })
    return { wrapMarketStore, set: () => (isSet = true), arrived: arrived.promise, release: release.resolve }
  }

  it('is refused by the fence when another has sealed the height, tells nobody of what it signed, and steps back', async () => {
    const published: string[] = []
    const wrapGossip = (gossip: Gossip): Gossip => ({
      subscribe: (topic, handler) => gossip.subscribe(topic, handler),
      publish: (topic, payload) => {
        const { header } = sealedHeaderShape(parseCanonicalBytes(payload), topic)
        published.push(`${header.height} by ${header.miner_id}`)
        return gossip.publish(topic, payload)
      },
    })
    const flags = { database: database.url }
    const first = await network.startAuthority(
      'authority',
      { wrapMarketStore: held.wrapMarketStore, wrapGossip },
      flags,
    )
    const second = await network.startAuthority('second', {}, { ...flags, peer: [first.address] })
    const told: LedgerEvent[] = []
    first.node.ledger.subscribe((event) => told.push(event))
    await sealTick(first, 't0')
    await eventually('the second follows', async () => (await second.node.ledger.latestHeaders(1)).tip_height === 0)

    held.set()
    const refused = sealTick(first, 't1').catch((error: unknown) => error)
    await held.arrived
    const standby = await leaderSessions(database.url, 'not holds')
    await eventually('the second has sealed the tick', async () => {
      await endLeading(database.url, standby)
      const { headers } = await second.node.ledger.latestHeaders(1)
      return headers[0]?.header.height === 1
    })
    held.release(undefined)
    const error = await refused
    assert.ok(isSolarError(error, 'not_leading'), String(error))

    const { height } = await sealTick(second, 't2')
    const chainOf = async ({ node }: typeof first) => JSON.stringify(await node.ledger.latestHeaders(10))
    await eventually('the first follows', async () => (await chainOf(first)) === (await chainOf(second)))
    const { headers, tip_height } = await first.node.ledger.latestHeaders(10)
    assert.equal(tip_height, height)
    assert.deepEqual(
      headers.map(({ header }) => `${header.height} by ${header.miner_id}`),
      ['0 by authority', '1 by second', '2 by second'],
    )
    const headersTold = told.flatMap((event) => (event.type === 'header' ? [event.sealed.header] : []))
    assert.deepEqual(
      headersTold.map(({ height, miner_id }) => `${height} by ${miner_id}`),
      ['0 by authority', '1 by second', '2 by second'],
    )
    assert.ok(!published.includes('1 by authority'), published.join())
    for (const { node } of [first, second]) assert.deepEqual(await node.ledger.evidence(10), [])
  })
})
