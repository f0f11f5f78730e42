import type { Registration, RegistryCheckpoint, RegistryPage, StoredChange } from '../../ports/chain-store.ts'
import { registryTransactionsOf, type ShownBlock } from '../../protocol/block.ts'
import type { Hash, Hex } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { keysNamedBy, registryEntryShape, registryPolicyShape, type RegistryLeaf } from '../../protocol/registry.ts'
import { array, hash32, isJsonObject, type Shape } from '../../protocol/shape.ts'
import { corrupt, decodeText } from '../decode.ts'
import { decodeHeightKey, decodeInteger } from './block-values.ts'
import { heightKey, keyOf, sortable } from './keyspaces.ts'
import type { TextLevel } from './level.ts'

/** What is kept of the registry beside the blocks that change it: see `ChainStore`. */

/** A key, and the heights at which it was named: the first of them is where it was registered. */
const registrationKey = (key: Hex, height: number): string => keyOf('registeredKey', `${key}/${sortable(height)}`)

/** What an append writes of a change, and a rewind takes out again; pages stay, under the hash of what they hold. */
export function changeEntries(
  { header, transactions }: ShownBlock,
  change: StoredChange | undefined,
): [string, string][] {
  const { height } = header
  const changes = registryTransactionsOf(transactions)
  if (changes.length === 0) return []
  const entries: [string, string][] = [[heightKey('registryHeight', height), '']]
  for (const tx of changes) {
    for (const key of keysNamedBy([tx])) entries.push([registrationKey(key, height), tx.subject_id])
  }
  if (change?.guarded === true) entries.push([heightKey('guardedHeight', height), ''])
  if (change?.checkpoint !== undefined)
    entries.push([heightKey('registryCheckpoint', height), String(change.checkpoint.size)])
  return entries
}

/** Keys of `changeEntries`, whatever was written of them. */
export const changeKeys = (block: ShownBlock): readonly string[] =>
  changeEntries(block, { guarded: true, checkpoint: { size: 0, pages: [] } }).map(([key]) => key)

export const pageEntry = ({ hash, items }: RegistryPage): [string, string] => [
  keyOf('registryPage', hash),
  canonicalText(items),
]

/** Ascending heights of a keyspace. */
export async function heightsIn(
  db: TextLevel,
  space: 'registryHeight' | 'guardedHeight',
  range: { readonly from: number; readonly below: number; readonly limit?: number; readonly reverse?: boolean },
): Promise<readonly number[]> {
  const { from, below, limit = -1, reverse = false } = range
  const start = from > 0 ? heightKey(space, from) : keyOf(space)
  const keys = { gte: start, lt: heightKey(space, Math.max(0, below)), limit, reverse }
  return (await db.keys(keys).all()).map(decodeHeightKey)
}

/** Below a height only: a key above the tip is of a block that was cut off and will be appended again. */
export async function registrationsIn(
  db: TextLevel,
  keys: readonly Hex[],
  below: number,
): Promise<readonly (Registration | undefined)[]> {
  return await Promise.all(
    keys.map(async (key) => {
      const range = { gte: registrationKey(key, 0), lt: registrationKey(key, below), limit: 1 }
      const [found] = await db.iterator(range).all()
      if (found === undefined) return undefined
      const [at, id] = found
      return { height: Number.parseInt(at.slice(-sortable(0).length), 16), id }
    }),
  )
}

export async function checkpointIn(db: TextLevel, below: number): Promise<RegistryCheckpoint | undefined> {
  const range = {
    gte: keyOf('registryCheckpoint'),
    lt: heightKey('registryCheckpoint', below),
    limit: 1,
    reverse: true,
  }
  const [found] = await db.iterator(range).all()
  if (found === undefined) return undefined
  const [key, text] = found
  return { height: decodeHeightKey(key), size: decodeInteger(`level ${key}`, text) }
}

const leafShape: Shape<RegistryLeaf> = (value, path) =>
  isJsonObject(value) && 'slot' in value ? registryEntryShape(value, path) : registryPolicyShape(value, path)
const itemShape: Shape<Hash | RegistryLeaf> = (value, path) =>
  typeof value === 'string' ? hash32(value, path) : leafShape(value, path)
/** Three levels of a binary tree. */
const itemsShape = array(itemShape, 8)

/** Pages asked for together: what they hold is in memory at once. */
const PAGES_AT_ONCE = 1_000

export async function pagesIn(db: TextLevel, hashes: readonly Hash[]): Promise<readonly RegistryPage['items'][]> {
  const pages: RegistryPage['items'][] = []
  for (let from = 0; from < hashes.length; from += PAGES_AT_ONCE) {
    const part = hashes.slice(from, from + PAGES_AT_ONCE)
    const texts = await db.getMany(part.map((hash) => keyOf('registryPage', hash)))
    for (const [at, hash] of part.entries()) {
      const text = texts[at]
      if (text === undefined) throw corrupt(`level registry page ${hash}`, 'a part of the registry', 'nothing')
      pages.push(decodeText(`level registry page ${hash}`, text, itemsShape))
    }
  }
  return pages
}

/**
 * Refuses a folder of a version that kept no keys: which were registered before could not be told. Throws `corrupt`.
 */
export async function refuseWithoutKeys(db: TextLevel): Promise<void> {
  const [old] = await db.keys({ gte: FORMER_HEIGHT, lte: `${FORMER_HEIGHT}~`, limit: 1 }).all()
  if (old === undefined) return
  const advice = 'solar-node rebuild makes level/ anew from SQL; a validator takes an empty data directory and its key'
  throw corrupt('level registry heights', 'the keys that were registered', `those of an earlier version (${advice})`)
}
/** The keyspace that is retired. */
const FORMER_HEIGHT = 'r'
