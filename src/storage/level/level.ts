import { Level } from 'level'
import { driverCodes, storeGuard } from '../failure.ts'

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

/** The value of a key; `undefined` if there is none, which the types of `level` do not say. */
export const readText = (db: TextLevel, key: string): Promise<string | undefined> => db.get(key)
