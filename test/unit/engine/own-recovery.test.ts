import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Chain } from '../../../src/engine/chain.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { BlockRow, MarketStore } from '../../../src/ports/market-store.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashHeader, verifySeal, type Header } from '../../../src/protocol/header.ts'
import type { RegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import type { SigningKey } from '../../../src/protocol/signature.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { openChainStore, type LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { openReplicaStore } from '../../../src/storage/level/replica-store.ts'
import { namedKey, STREET_TIME } from '../../helpers/branches.ts'
import { tempChainStore, tempSqlite, type OpenedStore } from '../../helpers/stores.ts'
import { tempDir } from '../../helpers/temp.ts'
import { refusalWith, rememberingSigner, signerThat, startSealing, street, tick } from './sealing-harness.ts'

describe('an authority that seals the recovery of its own key', () => {
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

  /** With block 0, sealed by the first key. Of `keys` those count that are there at the time. */
  async function start(keys: SigningKey[], store: MarketStore = sql.store) {
    const old = namedKey('authority')
    keys.push(old)
    const keyOf = (publicKey: string) => keys.find((key) => key.publicKey === publicKey)
    const started = await startSealing(store, level.store, { keyOf })
    await started.ticks.accept(tick('t0'))
    const loseKey = () => void keys.splice(keys.indexOf(old), 1)
    return { ...started, loseKey }
  }
  /** The recovery that brings the key `authority <number>`. */
  const recovery = (name: string, number = 2): RegistryTransaction =>
    street.change(name, namedKey('authority recovery'), {
      action: 'recover',
      subject_id: 'authority',
      public_key: namedKey(`authority ${number}`).publicKey,
    })
  /** Commits a tick and seals it not, as where the machine with the key is lost just then. */
  async function commit(store: MarketStore, id: string, parent: string): Promise<void> {
    const transactions = tick(id).transactions.map((row) => ({ ...row, tick_id: id, nonce: '0'.repeat(32) }))
    const tx_hashes = transactions.map((row) => hashTransaction(row))
    const committed = { tick_id: id, timestamp: STREET_TIME, transactions, tx_hashes, parent }
    await store.commitTick({ ...committed, source: 'platform', content_hash: 'ab'.repeat(32), fills: [] })
  }
  /** A store whose fence fails so often, before it has stored anything. */
  function failingFence(failures: { left: number }): MarketStore {
    const fence = (row: BlockRow): Promise<void> => {
      if (row.height === 0 || failures.left-- <= 0) return sql.store.fence(row)
      return Promise.reject(
        ledgerError('store_failed', { store: 'sql', operation: 'fence', reason: 'gone', retryable: true }),
      )
    }
    return new Proxy(sql.store, {
      get: (store, name) => (name === 'fence' ? fence : (Reflect.get(store, name) as unknown)),
    })
  }
  const shown = (height: number) => ({ height, hash: 'ab'.repeat(32), miner_id: 'authority' })
  const { publicKey: first } = namedKey('authority')
  const bySigner = (height: number) =>
    ({ ...shown(height), shownBy: 'the signer', public_key: first, named: first }) as const
  const heights = (headers: readonly Header[]) => headers.map(({ height }) => height)

  it('seals it before a tick that waits for the lost key, and that one next', async () => {
    const { chain, ticks, store, loseKey } = await start([namedKey('authority 2')])
    await commit(store, 't1', chain.tip!.hash)
    loseKey()
    await assert.rejects(ticks.recover(), /the registry has the key/)
    assert.equal((await ticks.register(recovery('r'), undefined)).height, 1)
    assert.equal((await ticks.accept(tick('t2'))).height, 3)
    assert.equal((await store.tick('t1'))?.block?.height, 2)
    for (const height of [1, 2, 3]) {
      const [sealed] = await chain.headers(height, 1)
      assert.ok(verifySeal(sealed!, namedKey('authority 2').publicKey).ok, `${height}`)
    }
  })

  it('seals it whatever a signer shows of the key that is stolen, and goes on past that', async () => {
    const { chain, ticks, guard } = await start([namedKey('authority 2')])
    guard.saw(bySigner(3))
    await assert.rejects(ticks.accept(tick('t1')), /not ready: the signer has block 3/)
    assert.equal((await ticks.register(recovery('r'), undefined)).height, 1)
    for (const id of ['t1', 't2', 't3']) await ticks.accept(tick(id))
    assert.equal(chain.size, 5)
    assert.equal(guard.reason(), undefined)
  })

  it('seals nothing else by the stolen key: no other change, and no recovery that somebody else has signed', async () => {
    const { chain, ticks, guard } = await start([namedKey('authority 2')])
    guard.saw(bySigner(3))
    const forged = { ...recovery('r'), signature: recovery('other').signature }
    await assert.rejects(ticks.register(forged, undefined), (error) => isSolarError(error, 'registry_refused'))
    const enrolment = street.change('e', namedKey('ann'), {
      ...{ action: 'enrol', role: 'voter', subject_id: 'ann', public_key: namedKey('ann').publicKey },
    })
    await assert.rejects(ticks.register(enrolment, undefined), /the signer has block 3/)
    assert.equal(chain.size, 1)
  })

  it('seals it not below a block that a peer has, though the signer shows a higher one', async () => {
    const { chain, ticks, guard } = await start([namedKey('authority 2')])
    guard.saw(bySigner(1_000_000))
    guard.saw({ ...shown(1), shownBy: 'a peer' })
    await assert.rejects(ticks.register(recovery('r'), undefined), /not ready: a peer has block 1 /)
    assert.equal(chain.size, 1)
    assert.equal(await sql.store.waitingRecovery('authority'), undefined)
  })

  it('seals it not below what the high-water file has: the database is an older backup', async () => {
    const second = namedKey('authority 2')
    const { chain, ticks } = await startSealing(sql.store, level.store, {
      mark: { height: 4, hash: 'ab'.repeat(32) },
      keyOf: (publicKey) => (publicKey === second.publicKey ? second : undefined),
    })
    await assert.rejects(ticks.register(recovery('r'), undefined), /this authority has sealed block 4 .* before/)
    assert.equal(chain.size, 0)
  })

  it('signs no second one of a height with one new key: the one that waits is sealed', async () => {
    const signed: Header[] = []
    const second = signerThat((header) => void signed.push(header), 'authority 2')
    const { chain, ticks, loseKey, store } = await start([second], failingFence({ left: 1 }))
    await commit(store, 't1', chain.tip!.hash)
    loseKey()
    await assert.rejects(ticks.register(recovery('r1'), undefined), /gone/)
    await assert.rejects(ticks.register(recovery('r2'), undefined), (error) => {
      assert.ok(isSolarError(error, 'registry_refused'), String(error))
      return error.message.includes('was registered before')
    })
    assert.equal(await chain.heightOfTick(recovery('r1').tick_id), 1)
    assert.deepEqual(heights(signed.slice(0, 2)), [1, 1])
    assert.equal(new Set(signed.filter(({ height }) => height === 1).map(hashHeader)).size, 1)
  })

  it('seals the one that waits where it is posted again', async () => {
    const { ticks, loseKey, chain, store } = await start([namedKey('authority 2')], failingFence({ left: 1 }))
    await commit(store, 't1', chain.tip!.hash)
    loseKey()
    await assert.rejects(ticks.register(recovery('r1'), undefined), /gone/)
    assert.equal((await ticks.register(recovery('r1'), undefined)).height, 1)
  })

  it('keeps the one that waits where another is posted that does not hold, or brings a key that is not here', async () => {
    const { ticks, chain, store } = await start([namedKey('authority 2')], failingFence({ left: 1 }))
    await assert.rejects(ticks.register(recovery('r1'), undefined), /gone/)
    const forged = { ...recovery('r2', 3), signature: recovery('other').signature }
    // What was left half-done is sealed first, as before any other change.
    await assert.rejects(ticks.register(forged, undefined), (error) => isSolarError(error, 'registry_refused'))
    assert.equal(await chain.heightOfTick(recovery('r1').tick_id), 1)
    assert.deepEqual(await store.voidTicks(), [])
  })

  it('keeps the one that waits for its signer, whatever others post', async () => {
    let isAway = true
    const second = signerThat(() => {
      if (isAway) throw ledgerError('not_ready', { reason: 'the signer does not answer' })
    }, 'authority 2')
    const { ticks, chain, store, loseKey } = await start([second])
    loseKey()
    await assert.rejects(ticks.register(recovery('r1'), undefined), /does not answer/)
    const forged = { ...recovery('r2', 3), signature: recovery('other').signature }
    await assert.rejects(ticks.register(forged, undefined))
    await assert.rejects(ticks.register(recovery('r2', 3), undefined), /put its key file into the data directory/)
    assert.deepEqual(await store.voidTicks(), [])
    isAway = false
    assert.equal((await ticks.register(recovery('r1'), undefined)).height, 1)
    assert.equal(chain.size, 2)
  })

  it('takes another new key where a thief has used up the first one, which then comes back no more', async () => {
    const second = rememberingSigner('authority 2')
    const keys: SigningKey[] = [second.key, namedKey('authority 3')]
    const { chain, ticks, loseKey, store } = await start(keys)
    const far = { ...chain.tip!.header, height: 1_000_000 }
    second.signed.push(far)
    loseKey()
    await assert.rejects(ticks.register(recovery('r1'), undefined), /not ready: the signer refuses block 1/)
    assert.equal((await ticks.register(recovery('r2', 3), undefined)).height, 1)
    const [voided] = await store.voidTicks()
    assert.deepEqual([voided?.tick_id, voided?.reason], [recovery('r1').tick_id, 'the recovery r2 takes its place'])
    assert.equal((await ticks.accept(tick('t1'))).height, 2)
    await assert.rejects(ticks.register(recovery('r3'), undefined), /which may have signed: make another new key/)
    assert.deepEqual(second.signed, [far])
  })

  it('keeps what a signer has shown of the present key, whatever it shows of the new one', async () => {
    const second = signerThat((header) => {
      throw refusalWith({ ...header, height: 9 }, 'authority 2')
    }, 'authority 2')
    const { ticks, guard } = await start([second])
    guard.saw(bySigner(3))
    await assert.rejects(ticks.register(recovery('r'), undefined), /the signer refuses block 1/)
    assert.match(guard.reason() ?? '', /the signer has block 3 /)
  })

  it('seals it above what a validator has, where the database is gone as well and level/ is a copy of the validator’s', async () => {
    const folder = await tempDir()
    try {
      const path = join(folder.path, 'level')
      const shared = street.start.grow('t0', 't1')
      const replica = await openReplicaStore(path)
      const copied = await Chain.open(street.genesis, replica.chain)
      for (const block of shared.blocks) await copied.append(block, block.transactions.map(hashTransaction))
      await replica.finality.putVotes([street.vote('ann', shared.at(0))])
      await replica.close()
      const store = await openChainStore(path)
      const second = namedKey('authority 2')
      const keyOf = (publicKey: string) => (publicKey === second.publicKey ? second : undefined)
      const { ticks, chain } = await startSealing(sql.store, store, { keyOf })
      assert.equal((await ticks.register(recovery('r'), undefined)).height, 2)
      assert.equal((await ticks.accept(tick('t2'))).height, 3)
      assert.equal((await sql.store.tick('t1'))?.block?.height, 1)
      assert.equal(chain.size, 4)
      await store.close()
    } finally {
      await folder.remove()
    }
  })
})
