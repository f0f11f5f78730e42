import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

/** A connection of one writer. */
export interface WriterConnection {
  begin(): Promise<void>
  insert(tick: object): Promise<void>
  commit(): Promise<void>
  rollback(): Promise<void>
  close(): Promise<void>
}

/** A tick that was committed. Moments are counted through, the same for all writers. */
export interface WrittenTick {
  readonly tick_id: string
  /** Just before its row was inserted. */
  readonly insertedAfter: number
  /** Just after its commit had returned. */
  readonly committedBefore: number
}

export interface Writers {
  readonly committed: readonly WrittenTick[]
  readonly rolledBack: readonly string[]
  /** Ends each writer after its transaction in hand. */
  stop(): Promise<void>
}

const ROLLED_BACK = 0.2
/** One transaction in this many stays open for so long that several others begin and commit meanwhile. */
const LONG_ONE_IN = 5
const LONG_MS = 300
const BETWEEN_MS = 1_000

/** Platforms that write tick after tick, each waiting for its commit, some of them rolling back, some taking their time. */
export function startWriters(count: number, connect: () => Promise<WriterConnection>): Writers {
  const committed: WrittenTick[] = []
  const rolledBack: string[] = []
  let moment = 0
  let stopping = false

  async function write(connection: WriterConnection, tick_id: string): Promise<void> {
    await connection.begin()
    const insertedAfter = ++moment
    await connection.insert(tickOf(tick_id))
    if (Math.random() * LONG_ONE_IN < 1) await pause(Math.random() * LONG_MS)
    if (Math.random() < ROLLED_BACK) {
      await connection.rollback()
      rolledBack.push(tick_id)
      return
    }
    await connection.commit()
    committed.push({ tick_id, insertedAfter, committedBefore: ++moment })
  }

  async function writer(name: string): Promise<void> {
    const connection = await connect()
    try {
      for (let n = 0; !stopping; n++) {
        await write(connection, `${name}:${n}`)
        await pause(Math.random() * BETWEEN_MS)
      }
    } finally {
      await connection.close()
    }
  }

  const done = Promise.all(Array.from({ length: count }, (_, n) => writer(`writer-${n}`)))
  done.catch(() => undefined)
  return {
    committed,
    rolledBack,
    stop: async () => {
      stopping = true
      await done
    },
  }
}

/** A tick of two trades; everything in it follows from its id. */
export function tickOf(tick_id: string): object {
  const timestamp = 1_760_000_000_000
  const trade = { from_user_id: 'roof-1', to_user_id: 'flat-2', kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3' }
  return { tick_id, timestamp, transactions: [1, 2].map((n) => ({ ...trade, id: `${tick_id}:${n}`, timestamp })) }
}

/**
 * The chain, as the ids of its ticks, has each committed tick once and nothing else; and a tick whose commit had returned
 * before another was inserted is below it. Throws an AssertionError that names the ticks.
 */
export function checkOrder(chain: readonly string[], committed: readonly WrittenTick[]): void {
  assert.deepEqual(chain.toSorted(), committed.map(({ tick_id }) => tick_id).sort())
  const heights = new Map(chain.map((tick_id, height) => [tick_id, height]))
  const heightOf = ({ tick_id }: WrittenTick): number => heights.get(tick_id) ?? -1
  for (const earlier of committed) {
    for (const later of committed) {
      if (earlier.committedBefore > later.insertedAfter || heightOf(earlier) < heightOf(later)) continue
      assert.fail(`${later.tick_id} was written after ${earlier.tick_id} was committed, and is sealed before it`)
    }
  }
}
