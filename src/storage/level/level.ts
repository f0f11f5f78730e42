import { Level } from 'level'
import { saysDiskFull } from '../../ports/file-trouble.ts'
import type { Shape } from '../../protocol/shape.ts'
import { decodeText } from '../decode.ts'
import { driverCodes, storeGuard } from '../failure.ts'
import { serialTasks } from '../serial.ts'
import { keyOf, type Keyspace } from './keyspaces.ts'

/** Keys and values are text, which is the same bytes in Node (LevelDB) and in browsers (IndexedDB). */
export type TextLevel = Level

/** Names operations in errors. A lock passes when its holder goes, a full disk when there is room again. */
export const guardLevel = storeGuard('level', (error) => {
  const codes = driverCodes(error)
  if (codes.includes('LEVEL_LOCKED') || error instanceof ReopenedError) return true
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
  return saysDiskFull(cause)
})

/** Rejects, with the reason, while the disk has no room for a database to be opened anew. Browsers do not tell. */
export type CheckRoom = () => Promise<void>

/** Opens a database at a folder (Node) or by name (browsers). Throws `store_failed`. */
export const openLevel: (location: string, checkRoom?: CheckRoom) => Promise<TextLevel> = guardLevel(
  'open',
  async (location, checkRoom = () => Promise.resolve()) => {
    const db = new Level(location)
    await db.open()
    return reopenAfterFailure(db, checkRoom)
  },
)

class ReopenedError extends Error {}

/**
 * A write that fails (the disk is full) may leave part of a record in LevelDB's log. LevelDB would go on behind it, and
 * whoever opens the database next loses all that follows, although it was synced. So nothing is written any more until the
 * database has been opened anew: that reads the log as far as it is whole, and begins another. The write that finds it so
 * is refused once, since what it was made of may be of before. Opening writes as well: while there is no room for that the database
 * stays open as it is, and everything that it has is read.
 */
function reopenAfterFailure(db: Level, checkRoom: CheckRoom): TextLevel {
  const inTurn = serialTasks()
  let isTorn = false
  const written = (write: () => Promise<void>): Promise<void> =>
    inTurn(async () => {
      if (isTorn) {
        await checkRoom()
        await db.close()
        await db.open()
        isTorn = false
        throw new ReopenedError('opened anew after a write that failed')
      }
      try {
        await write()
      } catch (error) {
        // A batch of before an opening was not written at all.
        isTorn = !driverCodes(error).includes('LEVEL_BATCH_NOT_OPEN')
        throw error
      }
    })
  const batch = () => {
    const made = db.batch()
    const write = made.write.bind(made)
    made.write = (options?: object) => written(() => write(options ?? {}))
    return made
  }
  const own: Pick<TextLevel, 'put' | 'close'> & { readonly batch: () => unknown } = {
    put: (key: string, value: string, options?: object) => written(() => db.put(key, value, options ?? {})),
    batch,
    close() {
      isTorn = false
      return db.close()
    },
  }
  /** Opening needs room as well: where it failed, the next call tries it again, and a read waits for it. */
  function openAgain(): void {
    db.open().then(
      () => (isTorn = false),
      () => undefined,
    )
  }
  return new Proxy(db, {
    get(target, name) {
      if (isTorn && db.status === 'closed' && name !== 'close') openAgain()
      if (name === 'put' || name === 'batch' || name === 'close') return own[name]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** What a node cannot ask anybody for again must be on the disk before the call returns. */
export const DURABLE = { sync: true }

/** The value of a key; `undefined` if there is none, which the types of `level` do not say. */
export const readText = (db: TextLevel, key: string): Promise<string | undefined> => db.get(key)

/** Keys of one read: their values come back in one turn of the event loop. */
const KEYS_AT_ONCE = 1_000

/** The values of many keys, in their order. */
export async function readMany(db: TextLevel, keys: readonly string[]): Promise<readonly (string | undefined)[]> {
  const values: (string | undefined)[] = []
  for (let start = 0; start < keys.length; start += KEYS_AT_ONCE) {
    values.push(...(await db.getMany(keys.slice(start, start + KEYS_AT_ONCE))))
  }
  return values
}

/** The decoded value of `id` in a keyspace. Throws `corrupt`. */
export async function readValue<T>(
  db: TextLevel,
  space: Keyspace,
  id: string,
  shape: Shape<T>,
): Promise<T | undefined> {
  const text = await readText(db, keyOf(space, id))
  return text === undefined ? undefined : decodeText(`level ${space} ${id}`.trim(), text, shape)
}
