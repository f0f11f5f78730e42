import { Level } from 'level'
import type { Shape } from '../../protocol/shape.ts'
import { decodeText } from '../decode.ts'
import { driverCodes, storeGuard } from '../failure.ts'
import { keyOf, type Keyspace } from './keyspaces.ts'

/** Keys and values are text, which is the same bytes in Node (LevelDB) and in browsers (IndexedDB). */
export type TextLevel = Level

/** Names operations in errors. A lock passes when its holder goes; anything else that LevelDB says does not. */
export const guardLevel = storeGuard('level', (error) => driverCodes(error).includes('LEVEL_LOCKED'))

/** Opens a database at a folder (Node) or by name (browsers). Throws `store_failed`. */
export const openLevel: (location: string) => Promise<TextLevel> = guardLevel('open', async (location: string) => {
  const db = new Level(location)
  await db.open()
  return db
})

/** What a node cannot ask anybody for again must be on the disk before the call returns. */
export const DURABLE = { sync: true }

/** The value of a key; `undefined` if there is none, which the types of `level` do not say. */
export const readText = (db: TextLevel, key: string): Promise<string | undefined> => db.get(key)

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
