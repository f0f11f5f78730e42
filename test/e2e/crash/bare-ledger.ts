import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { auditStores } from '../../../src/engine/audit.ts'
import { Chain } from '../../../src/engine/chain.ts'
import { createEventHub } from '../../../src/engine/events.ts'
import { openFinalizer } from '../../../src/engine/finalizer.ts'
import { createFollower } from '../../../src/engine/follower.ts'
import { createLeadRight } from '../../../src/engine/lead-right.ts'
import { createPutBack } from '../../../src/engine/put-back.ts'
import { createSealGuard } from '../../../src/engine/seal-guard.ts'
import { createSealer } from '../../../src/engine/sealer.ts'
import { createSharedFinality } from '../../../src/engine/shared-finality.ts'
import { createTickRunner, type TickRunner } from '../../../src/engine/tick-runner.ts'
import { openHighWaterFile } from '../../../src/keys/high-water-file.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { createWorkMiner } from '../../../src/node/work-miner.ts'
import type { Gossip } from '../../../src/ports/gossip.ts'
import { SOLE_LEADERSHIP } from '../../../src/ports/leadership.ts'
import type { LedgerEvent, PlatformTick, TickAnswer } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { chainIdOf, decodeGenesis } from '../../../src/protocol/genesis.ts'
import { hashHeader, sealedHeaderShape } from '../../../src/protocol/header.ts'
import { parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { sha256 } from '../../../src/protocol/hash.ts'
import { openChainStore } from '../../../src/storage/level/chain-store.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { realClock } from '../../helpers/network.ts'
import { signingKeyFromSecret } from '../../helpers/sign-now.ts'
import { createFaults, type Faults } from './faults.ts'
import { idOf } from '../../helpers/shown.ts'

export const NOW = 1_760_000_000_000
const key = signingKeyFromSecret(sha256('the authority of the fault tests'))
const genesis = decodeGenesis({
  version: 1,
  name: 'Faulty street',
  origin: 'faulty.example',
  created_at: NOW,
  currency: 'EUR',
  amount_decimals: 6,
  seal: 'authority',
  difficulty: 0,
  finality: { policy: 'authority' },
  registry: [{ id: 'authority', role: 'authority', public_key: key.publicKey, recovery_key: null }],
})

/** A platform's tick of two trades; everything in it follows from its id. */
export const tickOf = (tick_id: string): PlatformTick => ({
  tick_id,
  timestamp: NOW,
  transactions: [1, 2].map((n) => ({
    kind: 'trade',
    id: `${tick_id}/${n}`.replace('/', '.'),
    from_user_id: 'ada',
    to_user_id: 'ben',
    kwh: '1.5',
    price_per_kwh: '0.2',
    total_amount: '0.3',
    timestamp: NOW,
  })),
})

/** What seals ticks, over a real SQL database and a real LevelDB, without network and HTTP. */
export interface BareLedger {
  readonly runner: TickRunner
  readonly store: MarketStore
  readonly faults: Faults
  /** Everything that was told, in order. */
  readonly events: readonly LedgerEvent[]
  /** Closes the stores and opens them again, as the next start does. */
  restart(): Promise<void>
  /**
   * Holds everything against these answers: each tick in its block and in no other, each trade once, one block a height
   * and one header ever told for it, and a clean audit.
   */
  check(answers: ReadonlyMap<string, TickAnswer>): Promise<void>
  close(): Promise<void>
}

/** @param database the SQL of this ledger alone; opened again with each restart */
export async function openBareLedger(
  folder: string,
  publish: Gossip['publish'],
  database: () => Promise<MarketStore> = () => openSqlite(join(folder, 'ledger.db')),
): Promise<BareLedger> {
  await mkdir(folder, { recursive: true })
  const faults = createFaults()
  const events: LedgerEvent[] = []
  const told = new Map<number, Set<string>>()
  const clock = { ...realClock(), now: () => NOW }

  const tell = (height: number, hash: string): void => {
    told.set(height, (told.get(height) ?? new Set()).add(hash))
  }
  const gossip: Gossip = {
    subscribe: () => undefined,
    publish: (topic, payload) => {
      const { header } = sealedHeaderShape(parseCanonicalBytes(payload), topic)
      tell(header.height, hashHeader(header))
      return publish(topic, payload)
    },
  }

  async function open() {
    const store = await database()
    await store.bindChain(chainIdOf(genesis))
    const chainStore = await openChainStore(join(folder, 'level'))
    const chain = await Chain.open(genesis, faults.wrapChainStore(chainStore))
    const file = await openHighWaterFile(join(folder, 'high-water'))
    const highWater = faults.wrapHighWater(file)
    const hub = createEventHub(silentLogger)
    hub.subscribe((event) => {
      events.push(event)
      if (event.type === 'header') tell(event.sealed.header.height, event.header_hash)
    })
    const faulty = faults.wrapMarketStore(store)
    const finalizer = await openFinalizer({ chain, store: faulty, events: hub, clock })
    const keyOf = () => Promise.resolve(key)
    const shared = { chain, store: faulty, finalizer, clock, logger: silentLogger }
    const putBack = createPutBack({ ...shared, bodies: chainStore })
    const guard = createSealGuard(chain, highWater)
    const follower = createFollower({ ...shared, putBack, guard, highWater })
    const finality = createSharedFinality({ ...shared, events: hub })
    const sealing = { guard, highWater, putBack, follower, finality, minerId: 'authority', keyOf }
    const parts = { ...shared, ...sealing, leadership: SOLE_LEADERSHIP, miner: createWorkMiner(), gossip, events: hub }
    const unlimited = { changeLimiter: { check: () => Promise.resolve() } }
    const runner = createTickRunner({
      ...parts,
      ...unlimited,
      sealer: createSealer(parts),
      right: createLeadRight(parts),
      randomBytes: systemRandomBytes,
    })
    return { runner, store, chainStore, file }
  }

  let now = await open()
  await now.runner.recover()

  async function close(): Promise<void> {
    await now.store.close()
    await now.chainStore.close()
    await now.file.close()
  }

  return {
    faults,
    events,
    get runner() {
      return now.runner
    },
    get store() {
      return now.store
    },
    async restart() {
      await close()
      now = await open()
      await now.runner.recover()
    },
    close,
    async check(answers) {
      const { store, chainStore } = now
      const report = await auditStores({ genesis, store, chainStore, onProgress: () => undefined })
      assert.deepEqual(report.findings, [])
      const rows = await store.blocks(0, 1_000)
      assert.deepEqual(
        rows.map(({ tick_id }) => tick_id).sort(),
        [...answers.values()].flatMap(({ tick_id, height }) => (height === null ? [] : [tick_id])).sort(),
      )
      for (const { height, block_hash, tick_id } of rows) {
        const answer = answers.get(tick_id)
        assert.deepEqual([height, block_hash], [answer?.height, answer?.header_hash])
        assert.deepEqual([...(told.get(height) ?? [block_hash])], [block_hash])
        for (const [index, { id, tx_hash }] of (answer?.transactions ?? []).entries()) {
          const place = await store.transaction(id)
          assert.deepEqual([place?.tick_id, place?.tx_hash, place?.height], [tick_id, tx_hash, height])
          assert.deepEqual(await chainStore.locate({ tx_id: id }), { height, index })
        }
      }
      const { transactions } = await store.transactions({ from: 0, to: NOW * 2, limit: 10_000 })
      const ids = transactions.map(({ transaction }) => idOf(transaction)).sort()
      assert.deepEqual(ids, [...answers.values()].flatMap((answer) => answer.transactions.map(({ id }) => id)).sort())
    },
  }
}
