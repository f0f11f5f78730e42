import assert from 'node:assert/strict'
import { Chain } from '../../../src/engine/chain.ts'
import { createEventHub } from '../../../src/engine/events.ts'
import { openFinalizer } from '../../../src/engine/finalizer.ts'
import { createFollower } from '../../../src/engine/follower.ts'
import { createPutBack } from '../../../src/engine/put-back.ts'
import { createSealGuard } from '../../../src/engine/seal-guard.ts'
import { createSealer } from '../../../src/engine/sealer.ts'
import { createSharedFinality } from '../../../src/engine/shared-finality.ts'
import { createTickRunner } from '../../../src/engine/tick-runner.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { HighWater, HighWaterMark } from '../../../src/ports/high-water.ts'
import { SOLE_LEADERSHIP } from '../../../src/ports/leadership.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { headerShape, type Header } from '../../../src/protocol/header.ts'
import type { SigningKey } from '../../../src/protocol/signature.ts'
import type { LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { createStreet, namedKey, STREET_TIME } from '../../helpers/branches.ts'
import { createTestGossip } from '../../helpers/peers.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { tempChainStore, tempSqlite, type OpenedStore } from '../../helpers/stores.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

const street = createStreet()
const { genesis, chainId } = street
const untroubled = () => Promise.resolve()

/** The authority's key in a signer, which does `before` it signs a header. */
const signerThat = (before: (header: Header) => void | Promise<void>): SigningKey => ({
  publicKey: namedKey('authority').publicKey,
  async sign(message) {
    const [, , body = ''] = new TextDecoder().decode(message).split('\n')
    await before(headerShape(JSON.parse(body), 'header'))
    return namedKey('authority').signNow(message)
  },
})

/** What a signer says that has signed this header before. */
const refusalWith = (header: Header) =>
  ledgerError('already_signed', { reason: 'signed before', sealed: sealHeader(header, namedKey('authority')) })

describe('an authority that seals', () => {
  let sql: OpenedStore<MarketStore>
  let level: OpenedStore<LevelChainStore>

  beforeEach(async () => {
    sql = await tempSqlite()
    level = await tempChainStore()
  })
  afterEach(async () => {
    await sql.cleanup()
    await level.cleanup()
  })

  /**
   * @param raise called with each mark, before it counts as durable
   * @param key that of the authority, as a signer may have it
   */
  async function runner(raise: (mark: HighWaterMark) => Promise<void>, key: SigningKey = namedKey('authority')) {
    const store = sql.store
    const clock = createVirtualClock(STREET_TIME)
    await store.bindChain(chainId)
    const chain = await Chain.open(genesis, level.store)
    const events = createEventHub(silentLogger)
    const finalizer = await openFinalizer({ chain, store, events, clock })
    let mark: HighWaterMark | null = null
    const highWater: HighWater = {
      get mark() {
        return mark
      },
      raisedAt: null,
      async raise(higher) {
        await raise(higher)
        mark = higher
      },
    }
    const shared = { chain, store, finalizer, clock, logger: silentLogger, highWater, leadership: SOLE_LEADERSHIP }
    const putBack = createPutBack({ ...shared, bodies: level.store })
    const guard = createSealGuard(chain, highWater)
    const sealer = createSealer({
      ...shared,
      gossip: createTestGossip(),
      events,
      putBack,
      guard,
      follower: createFollower({ ...shared, putBack, guard }),
      finality: createSharedFinality({ chain, store, finalizer, events }),
      miner: { mine: (header) => Promise.resolve(header), stop: () => Promise.resolve() },
      minerId: 'authority',
      keyOf: () => Promise.resolve(key),
    })
    const changeLimiter = { check: () => Promise.resolve() }
    const randomBytes = (length: number) => new Uint8Array(length)
    const ticks = createTickRunner({ ...shared, sealer, changeLimiter, randomBytes })
    await ticks.recover()
    return { chain, ticks, guard, store }
  }

  const tick = (id: string) => ({
    tick_id: id,
    timestamp: STREET_TIME,
    transactions: [
      {
        kind: 'trade' as const,
        id: `${id}.1`,
        from_user_id: 'ann',
        to_user_id: 'ben',
        kwh: '2.5',
        price_per_kwh: '0.2',
        total_amount: '0.5',
        timestamp: STREET_TIME,
      },
    ],
  })

  it('shows a block to nobody before its height is in the high-water file', async () => {
    const seen: string[] = []
    const { chain, ticks } = await runner(async ({ height, hash }) => {
      const shown = [chain.size, (await chain.headers(height, 1)).length, await chain.heightOf(hash)]
      seen.push(`${height}: ${shown.join(' ')}`)
    })
    for (const id of ['t0', 't1']) await ticks.accept(tick(id))
    assert.deepEqual(seen, ['0: 0 0 ', '1: 1 0 '])
    assert.equal(chain.size, 2)
  })

  it('takes no id that is kept for what has lost its own, from nobody', async () => {
    const { chain, ticks } = await runner(() => Promise.resolve())
    const taken = `redacted:${'0'.repeat(48)}`
    const reserved = (error: unknown) => isSolarError(error, 'refused_row') && error.message.startsWith(taken)
    await assert.rejects(ticks.accept(tick(taken)), reserved)
    const { transactions, ...named } = tick('t0')
    await assert.rejects(
      ticks.accept({ ...named, transactions: transactions.map((row) => ({ ...row, id: taken })) }),
      reserved,
    )
    await assert.rejects(ticks.run({ tick_id: taken }), reserved)
    const enrolment = street.change(taken, namedKey('ann'), {
      action: 'enrol',
      role: 'voter',
      subject_id: 'ann',
      public_key: namedKey('ann').publicKey,
    })
    await assert.rejects(ticks.register(enrolment, undefined), reserved)
    assert.equal(chain.size, 0)
    assert.equal((await ticks.accept(tick('t0'))).height, 0)
  })

  it('fences no block of a height that was seen sealed while a signer took its time', async () => {
    const sealing: { saw: (header: Header) => void } = { saw: () => undefined }
    const { chain, ticks, guard, store } = await runner(
      untroubled,
      signerThat((header) => sealing.saw(header)),
    )
    sealing.saw = ({ height, miner_id }) => {
      guard.saw({ height, miner_id, hash: 'ab'.repeat(32), shownBy: 'a peer' })
    }
    await assert.rejects(ticks.accept(tick('t0')), /a peer has block 0/)
    assert.equal(await store.lastBlock(), undefined)
    assert.equal(chain.size, 0)
  })

  it('seals nothing any more where a signer has signed another block of its height, or one above', async () => {
    const others: ((header: Header) => Header)[] = [
      (header) => ({ ...header, timestamp: header.timestamp + 1 }),
      (header) => ({ ...header, merkle_root: 'ab'.repeat(32) }),
      (header) => ({ ...header, height: 7 }),
      (header) => ({ ...header, nonce: 7 }),
    ]
    for (const [index, other] of others.entries()) {
      const { chain, ticks, guard } = await runner(
        untroubled,
        signerThat((header) => Promise.reject(refusalWith(other(header)))),
      ).catch((error: unknown) => assert.fail(`${index}: ${String(error)}`))
      await assert.rejects(ticks.accept(tick('t0')), /^SolarError: not ready: the signer has block [07] /)
      assert.match(guard.reason() ?? '', /this database has none: restoring/)
      await assert.rejects(ticks.accept(tick('t1')), /the signer has block/)
      assert.equal(chain.size, 0)
      await sql.cleanup()
      sql = await tempSqlite()
    }
  })

  it('is not ready where its signer refuses a height and shows nothing', async () => {
    const refusal = ledgerError('already_signed', { reason: 'its keys have signed up to block 9 before' })
    const { chain, ticks } = await runner(
      untroubled,
      signerThat(() => Promise.reject(refusal)),
    )
    const expected = {
      code: 'not_ready',
      message: /the signer refuses block 0: its keys have signed up to block 9 before/,
    }
    await assert.rejects(ticks.accept(tick('t0')), expected)
    assert.equal(chain.size, 0)
  })

  it('seals the block all the same once the file can be written', async () => {
    let failures = 1
    const { chain, ticks } = await runner(() =>
      failures-- > 0 ? Promise.reject(new Error('the disk is full')) : Promise.resolve(),
    )
    await assert.rejects(ticks.accept(tick('t0')))
    assert.equal(chain.size, 0)
    const { height } = await ticks.accept(tick('t1'))
    assert.deepEqual([height, chain.size], [1, 2])
  })
})
