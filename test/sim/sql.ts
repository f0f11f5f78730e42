import { Kysely } from 'kysely'
import '../../src/network/node-shims.ts'
import { createSerial } from '../../src/engine/serial.ts'
import { ledgerError } from '../../src/ports/errors.ts'
import type { MarketStore } from '../../src/ports/market-store.ts'
import type { Evidence } from '../../src/protocol/evidence.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import type { Schema } from '../../src/storage/sql/schema.ts'
import { connectHere } from '../../src/storage/sql/sqlite-connection.ts'
import { kyselyOver } from '../../src/storage/sql/sqlite-driver.ts'
import { sqliteDialect } from '../../src/storage/sql/sqlite.ts'
import { createSqlStore } from '../../src/storage/sql/store.ts'
import type { SqlMirror } from './checker.ts'
import type { Loop } from './loop.ts'
import type { Port } from './network.ts'
import type { Random } from './random.ts'

/**
 * The database of the authorities, which outlives them: the real store over SQLite in memory. Calls take their time, and a
 * connection may break before a write, after it, or while it is under way. It is put back from a backup by doing again what
 * was done up to then.
 */
export interface SimSql {
  /** What is in it, for the checker. */
  readonly mirror: SqlMirror
  /** True if any row of any table has this text in it. */
  holds(text: string): Promise<boolean>
  /** The store as one life of a process sees it. */
  connect(port: Port): MarketStore
  /** The process is gone; what it had sent may be done all the same. */
  disconnect(port: Port): void
  /** What is in it now is what `restore` gives back. */
  backUp(): void
  /** Puts the last backup in its place. No process is connected. */
  restore(): Promise<void>
  /** From now on no connection breaks. */
  behave(): void
  close(): Promise<void>
}

type Call = readonly [name: WriteName, args: readonly unknown[]]
const WRITES = [
  'bindChain',
  'commitTick',
  'voidTick',
  'fence',
  'restoreBlock',
  'redact',
  'redactAgain',
  'putVotes',
  'finalizeUpTo',
  'putEvidence',
] as const satisfies readonly (keyof MarketStore)[]
type WriteName = (typeof WRITES)[number]
const isWrite = (name: string): name is WriteName => WRITES.some((write) => write === name)

/** Marks what is no fault of a node. */
export const BROKEN = 'the simulated connection is gone'
const broken = (operation: string) =>
  ledgerError('store_failed', { store: 'sql', operation, retryable: true, reason: BROKEN })

interface Sent {
  readonly port: Port
  readonly done: Promise<unknown>
  /** It does not reach the server any more. */
  lose(): void
}

export async function openSimSql(loop: Loop, random: Random, isShared: boolean): Promise<SimSql> {
  let database = await openDatabase()
  let backup = 0
  let isFaulty = true
  const underWay = new Set<Sent>()

  const within = (port: Port, delayMs: number): Promise<void> =>
    new Promise((resolve) => port.clock.after(delayMs, resolve))
  const pause = (port: Port, chance: number, longestMs: number): Promise<void> | undefined =>
    random.chance(chance) ? within(port, random.between(1, longestMs)) : undefined

  /** Reaches the server, and is done there whatever becomes of who sent it. */
  function send(port: Port, call: Call): Promise<unknown> {
    const to = database
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const land = (): void => {
      // Of a database that is not there any more nobody hears.
      if (underWay.delete(sent) && to === database) database.write(call).then(resolve, reject)
    }
    const lose = (): void => {
      if (underWay.delete(sent)) reject(broken(call[0]))
    }
    const sent: Sent = { port, done: promise, lose }
    underWay.add(sent)
    promise.catch(() => undefined)
    if (random.chance(0.95)) land()
    else loop.schedule(random.between(1, 2_000), land)
    return promise
  }

  async function write(port: Port, call: Call): Promise<unknown> {
    await pause(port, 0.1, 30)
    // A process that stands still here may have lost the lead meanwhile.
    if (isShared && isFaulty) await pause(port, 0.03, 6_000)
    const isBroken = isFaulty && random.chance(0.01)
    if (isBroken && random.chance(0.3)) throw broken(call[0])
    const done = send(port, call)
    if (isBroken) {
      await within(port, random.between(1, 30))
      throw broken(call[0])
    }
    const given = await done
    await pause(port, 0.1, 30)
    return given
  }

  async function read(port: Port, name: keyof MarketStore, args: readonly unknown[]): Promise<unknown> {
    await pause(port, 0.02, 30)
    if (isFaulty && random.chance(0.001)) throw broken(name)
    return await database.call(name, args)
  }

  async function settleWrites(): Promise<void> {
    await Promise.allSettled([...underWay].map(({ done }) => done))
  }

  function answer(port: Port, name: keyof MarketStore, args: readonly unknown[]): Promise<unknown> {
    if (name === 'now') return Promise.resolve(isShared ? loop.now : undefined)
    if (name === 'settleWrites') return settleWrites()
    return isWrite(name) ? write(port, [name, args]) : read(port, name, args)
  }

  return {
    get mirror() {
      return database.mirror
    },
    holds: (text) => database.holds(text),
    connect: (port) =>
      new Proxy(database.store, {
        get(store, name) {
          if (!Object.hasOwn(store, name)) return undefined
          return (...args: readonly unknown[]) => answer(port, name as keyof MarketStore, args)
        },
      }),
    disconnect(port) {
      for (const sent of underWay) if (sent.port === port && random.chance(0.5)) sent.lose()
    },
    backUp() {
      backup = database.journal.length
    },
    async restore() {
      const older = database
      database = await openDatabase()
      // The checker must see that it changed.
      database.mirror.version = older.mirror.version + 1
      for (const call of older.journal.slice(0, backup)) await database.write(call)
      underWay.clear()
      await older.store.close()
    },
    behave() {
      isFaulty = false
    },
    close: () => database.store.close(),
  }
}

interface Database {
  readonly store: MarketStore
  readonly mirror: { -readonly [Key in keyof SqlMirror]: SqlMirror[Key] }
  /** What was written, in order. */
  readonly journal: readonly Call[]
  holds(text: string): Promise<boolean>
  call(name: keyof MarketStore, args: readonly unknown[]): Promise<unknown>
  write(call: Call): Promise<unknown>
}

async function openDatabase(): Promise<Database> {
  const connection = await connectHere(':memory:')
  const store = await createSqlStore(new Kysely<Schema>({ dialect: kyselyOver(connection) }), sqliteDialect)
  const mirror: Database['mirror'] = { version: 0, votes: [], finalHeight: -1, evidence: [] }
  const journal: Call[] = []
  // Their order in the journal is that in the database.
  const inTurn = createSerial()
  const call = async (name: keyof MarketStore, args: readonly unknown[]): Promise<unknown> =>
    await (store[name] as (...given: readonly unknown[]) => unknown)(...args)
  const finalizeUpTo = (height: number): void => {
    mirror.finalHeight = Math.max(mirror.finalHeight, height)
  }

  /** Past the store, which might leave out what is there. */
  async function holds(text: string): Promise<boolean> {
    const select = async (query: string) => (await connection.execute(query, [])).rows as Record<string, unknown>[]
    for (const { name } of await select("select name from sqlite_master where type = 'table'")) {
      const rows = await select(`select * from "${String(name)}"`)
      if (rows.some((row) => Object.values(row).some((value) => String(value).includes(text)))) return true
    }
    return false
  }

  function reflect([name, args]: Call, given: unknown): void {
    const [first] = args
    if (name === 'putVotes') {
      const outcomes = given as Awaited<ReturnType<MarketStore['putVotes']>>
      const stored = (first as readonly Vote[]).filter((_, index) => outcomes[index]?.outcome === 'stored')
      mirror.votes = [...mirror.votes, ...stored]
    }
    if (name === 'putEvidence' && given === 'stored') mirror.evidence = [...mirror.evidence, first as Evidence]
    if (name === 'finalizeUpTo') finalizeUpTo(first as number)
    if (name === 'fence' || name === 'restoreBlock') {
      const row = first as Parameters<MarketStore['fence']>[0]
      if (row.finalized_at !== null) finalizeUpTo(row.height)
    }
  }

  return {
    store,
    mirror,
    journal,
    holds,
    call,
    write: (written) =>
      inTurn(async () => {
        const given = await call(...written)
        journal.push(written)
        reflect(written, given)
        mirror.version += 1
        return given
      }),
  }
}
