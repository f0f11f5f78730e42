import assert from 'node:assert/strict'
import { join } from 'node:path'
import { auditDirectory } from '../../../src/node/audit.ts'
import type { MarketStore, TickSource } from '../../../src/ports/market-store.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import {
  decodePostedRegistryTransaction,
  type RegistryTransaction,
} from '../../../src/protocol/registry-transaction.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { namedKey } from '../../helpers/branches.ts'
import { eventually } from '../../helpers/network.ts'
import { tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import { signRegistryTransaction } from '../../helpers/sign-now.ts'
import { createValidatorNetwork, sealTick, type ValidatorNetwork } from '../../helpers/validator-network.ts'
import { endLeading, leaderSessions } from './sessions.ts'

/** The same enrolment, asked for once more with every nonce. */
function enrolment({ chainId }: ValidatorNetwork, nonce: string): RegistryTransaction {
  const key = namedKey('house-18')
  return decodePostedRegistryTransaction(
    signRegistryTransaction(
      {
        ...{ kind: 'registry', id: `enrol-${nonce}`, action: 'enrol', subject_id: 'house-18', role: 'voter' },
        ...{ public_key: key.publicKey, timestamp: Date.now(), nonce: nonce.repeat(16) },
      },
      chainId,
      key,
    ),
  )
}

describe('a leader that stands still between its checks and the commit', () => {
  let network: ValidatorNetwork
  let database: TempDatabase
  let release: (value: undefined) => void
  beforeEach(async () => {
    release = () => undefined
    database = await tempDatabase()
    network = await createValidatorNetwork({ finality: 'authority', validators: [], authorities: ['second'] })
  })
  afterEach(async () => {
    release(undefined)
    await network.stop()
    await database.drop()
  })

  /** A store whose next commit of this source waits until it is released. */
  function held(source: TickSource) {
    const arrived = Promise.withResolvers<undefined>()
    const go = Promise.withResolvers<undefined>()
    release = go.resolve
    const wrapMarketStore = (store: MarketStore): MarketStore => ({
      ...store,
      commitTick: async (tick) => {
        if (tick.source === source && tick.tick_id !== 't0') {
          arrived.resolve(undefined)
          await go.promise
        }
        return await store.commitTick(tick)
      },
    })
    return { wrapMarketStore, arrived: arrived.promise }
  }

  for (const source of ['registry', 'platform'] as const) {
    it(`commits nothing when another has led in the meantime, and nothing is stuck (${source})`, async () => {
      const { wrapMarketStore, arrived } = held(source)
      const flags = { database: database.url }
      const first = await network.startAuthority('authority', { wrapMarketStore }, flags)
      const second = await network.startAuthority('second', {}, { ...flags, peer: [first.address] })
      await sealTick(first, 't0')
      await eventually('the second follows', async () => (await second.node.ledger.latestHeaders(1)).tip_height === 0)
      const ask = (at: typeof first, what: string) =>
        source === 'registry' ? at.node.ledger.register(enrolment(network, what)) : sealTick(at, what)

      const asked = ask(first, 'aa').catch((error: unknown) => error)
      await arrived
      const standby = await leaderSessions(database.url, 'not holds')
      await eventually('the second leads', async () => {
        await endLeading(database.url, standby)
        return await ask(second, 'bb').then(
          () => true,
          () => false,
        )
      })
      release(undefined)
      const error = await asked
      assert.ok(isSolarError(error, 'not_leading'), String(error))

      assert.equal((await sealTick(second, 't2')).height, 2)
      await eventually('the first follows', async () => (await first.node.ledger.latestHeaders(1)).tip_height === 2)
      for (const { node } of [first, second]) assert.deepEqual(await node.ledger.evidence(10), [])
    })
  }
})

describe('a tick in the database that can never be sealed', () => {
  let network: ValidatorNetwork
  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'authority', validators: [] })
  })
  afterEach(() => network.stop())

  it('is set aside by the next start, told by metrics and audit, and the ticks behind it are sealed', async () => {
    const first = await network.startAuthority()
    const first18 = enrolment(network, 'aa')
    await first.node.ledger.register(first18, 'ann')
    assert.equal(await first.node.ledger.userOf('house-18'), 'ann')
    await first.node.ledger.register(first18, 'ann')
    await assert.rejects(first.node.ledger.register(first18, 'mallory'), /house-18 was not enrolled for that user/)
    assert.equal(await first.node.ledger.userOf('house-18'), 'ann')
    await first.node.stop()

    // As an older version could commit it; the store does not judge changes of the registry.
    const data = join(network.folder, 'authority')
    const store = await openSqlite(join(data, 'ledger.db'))
    const poison = enrolment(network, 'bb')
    const tx_hash = hashTransaction(poison)
    await store.commitTick({
      ...{ tick_id: poison.tick_id, timestamp: poison.timestamp, transactions: [poison], tx_hashes: [tx_hash] },
      ...{
        source: 'registry',
        content_hash: tx_hash,
        fills: [],
        parent: (await store.lastBlock())?.block_hash ?? null,
      },
    })
    await store.close()

    const again = await network.startAuthority()
    assert.equal((await sealTick(again, 't1')).height, 1)
    // The registry would refuse it by now for another reason; it is the void tick that whoever posted it is
    // told of.
    await assert.rejects(again.node.ledger.register(poison, undefined), (error) => {
      assert.ok(isSolarError(error, 'tick_void'), String(error))
      assert.match(error.message, /house-18 is registered already/)
      return true
    })
    const metrics = await (await fetch(`${again.url}/metrics`)).text()
    assert.match(metrics, /^solar_void_ticks 1$/m)
    await again.node.stop()
    const { findings, void_ticks } = await auditDirectory(
      data,
      { kind: 'sqlite', path: join(data, 'ledger.db') },
      () => undefined,
    )
    assert.deepEqual(findings, [])
    assert.deepEqual(
      void_ticks?.map(({ tick_id, reason }) => [tick_id, reason.includes('house-18')]),
      [[poison.tick_id, true]],
    )
  })
})
