import { shownBlockShape } from '../../protocol/block.ts'
import type { Hash } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { redactionShape, type Redaction } from '../../protocol/redaction.ts'
import { leafOf, type ShownTransaction } from '../../protocol/transaction.ts'
import { corrupt, decodeText } from '../decode.ts'
import type { ArchivedBodies } from './archived-bodies.ts'
import { decodeBody, decodeHeader } from './block-values.ts'
import { heightKey, keyOf, sortable } from './keyspaces.ts'
import { DURABLE, readText, type TextLevel } from './level.ts'

/** By height, then hash. */
export const redactionKey = ({ height, tx_hash }: Pick<Redaction, 'height' | 'tx_hash'>): string =>
  keyOf('redaction', `${sortable(height)}/${tx_hash}`)

/** See `BodyRedaction.redactions`. */
export async function readRedactions(db: TextLevel, fromHeight: number): Promise<readonly Redaction[]> {
  const range = { gte: keyOf('redaction', sortable(fromHeight)), lte: keyOf('redaction', '~') }
  const entries = await db.iterator(range).all()
  return entries.map(([key, text]) => decodeText(`level ${key}`, text, redactionShape))
}

/** See `ChainStore.hasUnknownIds`. */
export async function hasUnknownIds(db: TextLevel, from: number, below: number): Promise<boolean> {
  const range = { gte: keyOf('redaction', sortable(from)), lt: keyOf('redaction', sortable(below)) }
  for await (const [key, text] of db.iterator(range)) {
    if (decodeText(`level ${key}`, text, redactionShape).tx_id === null) return true
  }
  return false
}

/**
 * See `BodyRedaction.redact`. Files first, then LevelDB in one batch with the records: without the record it is done again, and
 * finds the bodies that are gone already as hashes. What is to be forgotten is in that batch too (`finishForgetting`).
 */
export async function redactBodies(
  db: TextLevel,
  archived: ArchivedBodies | undefined,
  redactions: readonly Redaction[],
): Promise<void> {
  const batch = db.batch()
  const touched: string[] = []
  for (const height of new Set(redactions.map((redaction) => redaction.height))) {
    const hashes = new Set(redactions.filter((one) => one.height === height).map(({ tx_hash }) => tx_hash))
    const place = `level body of height ${height}`
    const text = await readText(db, heightKey('body', height))
    const body = text ?? (await archived?.body(height))
    if (body === undefined) throw corrupt(place, 'the transactions of the block', 'nothing')
    const transactions = decodeBody(place, body)
    const shown = withHoles(place, transactions, hashes)
    // It came without these bodies: LevelDB never had them.
    const isSame = text !== undefined && shown.every((tx, index) => tx === transactions[index])
    if (text === undefined) await archived?.replace(height, JSON.stringify(shown))
    else if (!isSame) batch.put(heightKey('body', height), JSON.stringify(shown))
    if (!isSame) touched.push(heightKey('body', height), await keyBeside(db, height))
    await archived?.removeStrays(height)
  }
  const all = new Set(redactions.map(({ tx_hash }) => tx_hash))
  for (const { key, value, height } of await besideWithHoles(db, all)) {
    batch.put(key, value)
    // A block that was on the chain, and was given up, has left old values there.
    touched.push(key, heightKey('body', height))
  }
  for (const redaction of redactions) {
    batch.put(redactionKey(redaction), canonicalText(redaction))
    const { tx_id, height } = redaction
    // Where a correction is stays known: what is left of its trade cannot be said without it.
    if (tx_id !== null) batch.del(keyOf('placeById', tx_id)).put(keyOf('redactedId', tx_id), String(height))
  }
  for (const key of touched) batch.put(keyOf('forgetting', key), '')
  await batch.write(DURABLE)
  await finishForgetting(db)
}

/** Where the block of a height was, if it was kept beside the chain before: its old values may still be in the files. */
async function keyBeside(db: TextLevel, height: number): Promise<string> {
  const head = await readText(db, heightKey('header', height))
  if (head === undefined) throw corrupt(`level header of height ${height}`, 'a header', 'nothing')
  return keyOf('beside', decodeHeader(head, height).hash)
}

/** Takes out of LevelDB's files what a redaction has overwritten: after a kill in between, the next start does. */
export async function finishForgetting(db: TextLevel): Promise<void> {
  const marks = await db.keys({ gte: keyOf('forgetting'), lt: keyOf('forgetting', '~') }).all()
  if (marks.length === 0) return
  await forget(
    db,
    marks.map((mark) => mark.slice(keyOf('forgetting').length)),
  )
  const done = db.batch()
  for (const mark of marks) done.del(mark)
  await done.write(DURABLE)
}

/** Throws `corrupt` if one of the hashes is not among them. */
function withHoles(place: string, transactions: readonly ShownTransaction[], hashes: ReadonlySet<Hash>) {
  const found = new Set<Hash>()
  const shown = transactions.map((tx): ShownTransaction => {
    const tx_hash = leafOf(tx)
    if (!hashes.has(tx_hash)) return tx
    found.add(tx_hash)
    return tx.kind === 'redacted' ? tx : { kind: 'redacted', tx_hash }
  })
  for (const hash of hashes) if (!found.has(hash)) throw corrupt(place, `transaction ${hash}`, 'nothing')
  return shown
}

/** A block that lost against one of the chain may hold the same transactions. */
async function besideWithHoles(db: TextLevel, hashes: ReadonlySet<Hash>) {
  const changed: { readonly key: string; readonly value: string; readonly height: number }[] = []
  for await (const [key, text] of db.iterator({ gte: keyOf('beside'), lte: keyOf('beside', '~') })) {
    const block = decodeText(`level ${key}`, text, shownBlockShape)
    if (!block.transactions.some((tx) => tx.kind !== 'redacted' && hashes.has(leafOf(tx)))) continue
    const transactions = block.transactions.map((tx): ShownTransaction =>
      hashes.has(leafOf(tx)) ? { kind: 'redacted', tx_hash: leafOf(tx) } : tx,
    )
    changed.push({ key, value: canonicalText({ ...block, transactions }), height: block.header.height })
  }
  return changed
}

/** LevelDB on disk can write its files anew without what was overwritten; a browser's database has no such call. */
interface Compacting {
  compactRange(start: string, end: string): Promise<void>
}

/**
 * Takes old values of these keys out of LevelDB's files. The first compaction writes what is in memory, old versions too, into a file
 * of its own; the same values once more, above it, make the second one merge that file, and with it go the old versions.
 */
async function forget(db: TextLevel | (TextLevel & Compacting), keys: readonly string[]): Promise<void> {
  if (!('compactRange' in db)) return
  for (const key of keys) await db.compactRange(key, key)
  const again = db.batch()
  for (const key of keys) {
    const value = await readText(db, key)
    if (value === undefined) again.del(key)
    else again.put(key, value)
  }
  await again.write(DURABLE)
  for (const key of keys) await db.compactRange(key, key)
}
