import assert from 'node:assert/strict'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { HighWaterMark } from '../../../src/ports/high-water.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Header } from '../../../src/protocol/header.ts'
import type { SigningKey } from '../../../src/protocol/signature.ts'
import type { LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { namedKey, STREET_TIME } from '../../helpers/branches.ts'
import { tempChainStore, tempSqlite, type OpenedStore } from '../../helpers/stores.ts'
import {
  refusalWith,
  rememberingSigner,
  signerThat,
  startSealing,
  street,
  tick,
  untroubled,
} from './sealing-harness.ts'

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

  /** @param key that of the authority, as a signer may have it */
  async function runner(raise: (mark: HighWaterMark) => Promise<void>, key: SigningKey = namedKey('authority')) {
    const started = await startSealing(sql.store, level.store, { raise, keyOf: () => key })
    await started.ticks.recover()
    return started
  }

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

  it('asks its signer for the oldest tick where who led before has committed one late, though the answer is lost', async () => {
    const { key, signed } = rememberingSigner()
    let isLost = true
    const losing: SigningKey = {
      publicKey: key.publicKey,
      async sign(message) {
        const signature = await key.sign(message)
        if (!isLost) return signature
        isLost = false
        throw ledgerError('not_ready', { reason: 'the signer does not answer: not within 4 s' })
      },
    }
    const { chain, ticks, store } = await runner(untroubled, losing)
    const transactions = tick('t0').transactions.map((row) => ({ ...row, tick_id: 't0', nonce: '0'.repeat(32) }))
    const tx_hashes = transactions.map((row) => hashTransaction(row))
    const late = { tick_id: 't0', timestamp: STREET_TIME, transactions, tx_hashes, parent: null, fills: [] }
    await store.commitTick({ ...late, source: 'platform', content_hash: 'ab'.repeat(32) })
    await assert.rejects(ticks.accept(tick('t1')), /does not answer/)
    await ticks.recover()
    assert.deepEqual([await chain.heightOfTick('t0'), await chain.heightOfTick('t1')], [0, 1])
    assert.deepEqual(
      signed.map(({ height }) => height),
      [0, 1],
    )
  })

  it('is not at odds with a block that another key has sealed, where a signer has signed one of that height', async () => {
    const { ticks, guard } = await runner(untroubled)
    const seen = { height: 0, hash: 'ab'.repeat(32), miner_id: 'authority' }
    const { publicKey } = namedKey('another')
    guard.saw({ ...seen, shownBy: 'the signer', public_key: publicKey, named: publicKey })
    await ticks.accept(tick('t0'))
    await guard.reached()
    assert.equal(guard.reason(), undefined)
  })
})
