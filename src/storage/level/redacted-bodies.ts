import { inTurns } from '../../ports/turns.ts'
import { shownBlockShape } from '../../protocol/block.ts'
import type { Hash } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { redactionShape, type Redaction } from '../../protocol/redaction.ts'
import { leafOf, type ShownTransaction } from '../../protocol/transaction.ts'
import { corrupt, decodeText } from '../decode.ts'
import type { ArchivedBodies } from './archived-bodies.ts'
import { decodeBody, decodeBodyInPieces, decodeHeader } from './block-values.ts'
import { pageKey, pageOfKey, pageRange, TRANSACTIONS_OF_PAGE } from './body-pages.ts'
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

/** See `ChainStore.firstUnknownId`. */
export async function firstUnknownId(db: TextLevel, from: number, below: number): Promise<number | undefined> {
  const range = { gte: keyOf('redaction', sortable(from)), lt: keyOf('redaction', sortable(below)) }
  for await (const [key, text] of db.iterator(range)) {
    const { tx_id, height } = decodeText(`level ${key}`, text, redactionShape)
    if (tx_id === null) return height
  }
  return undefined
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
    const { entries, pages } = await redactPages(db, archived, height, hashes)
    for (const { key, value } of entries) batch.put(key, value)
    const beside = pages.length === 0 ? '' : await keyBeside(db, height)
    for (const page of pages) touched.push(pageKey(heightKey('body', height), page), pageKey(beside, page))
    await archived?.removeStrays(height)
  }
  const all = new Set(redactions.map(({ tx_hash }) => tx_hash))
  for (const { key, value, height } of await besideWithHoles(db, all)) {
    batch.put(key, value)
    // A block that was on the chain, and was given up, has left old values there.
    touched.push(key, pageKey(heightKey('body', height), pageOfKey(key)))
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

interface Entry {
  readonly key: string
  readonly value: string
}

/**
 * Takes these transactions out of a body: of one in a file there, of one in LevelDB by the entries that it gives back. Gives the pages,
 * too, that have, or had in LevelDB, one of the bodies. Throws `corrupt` if one of the transactions is not in the body.
 */
async function redactPages(
  db: TextLevel,
  archived: ArchivedBodies | undefined,
  height: number,
  hashes: ReadonlySet<Hash>,
): Promise<{ readonly entries: readonly Entry[]; readonly pages: readonly number[] }> {
  const place = `level body of height ${height}`
  const missing = new Set(hashes)
  const entries: Entry[] = []
  const keys = await db.keys(pageRange(heightKey('body', height))).all()
  for (const key of keys) {
    const page = decodeBody(place, (await readText(db, key)) ?? '')
    const shown = withHoles(page, hashes, missing)
    // Else it came without these bodies: LevelDB never had them.
    if (shown !== undefined) entries.push({ key, value: JSON.stringify(shown) })
  }
  const pages = keys.length > 0 ? entries.map(({ key }) => pageOfKey(key)) : await redactFile()
  for (const hash of missing) throw corrupt(place, `transaction ${hash}`, 'nothing')
  return { entries, pages }

  async function redactFile(): Promise<readonly number[]> {
    const body = await archived?.body(height)
    if (body === undefined) throw corrupt(place, 'the transactions of the block', 'nothing')
    const transactions = await inTurns(decodeBodyInPieces(place, body))
    const shown = withHoles(transactions, hashes, missing) ?? transactions
    if (missing.size === 0) await archived?.replace(height, JSON.stringify(shown))
    const at = transactions.flatMap((tx, index) =>
      hashes.has(leafOf(tx)) ? [Math.floor(index / TRANSACTIONS_OF_PAGE)] : [],
    )
    return [...new Set(at)]
  }
}

/**
 * These transactions without the bodies of those with one of the hashes; `undefined` if none has.
 *
 * @param missing loses the hashes that were found
 */
function withHoles(
  transactions: readonly ShownTransaction[],
  hashes: ReadonlySet<Hash>,
  missing = new Set<Hash>(),
): readonly ShownTransaction[] | undefined {
  const shown = transactions.map((tx): ShownTransaction => {
    const tx_hash = leafOf(tx)
    if (!hashes.has(tx_hash)) return tx
    missing.delete(tx_hash)
    return tx.kind === 'redacted' ? tx : { kind: 'redacted', tx_hash }
  })
  return shown.some((tx, index) => tx !== transactions[index]) ? shown : undefined
}

/** A block that lost against one of the chain may hold the same transactions. */
async function besideWithHoles(
  db: TextLevel,
  hashes: ReadonlySet<Hash>,
): Promise<readonly (Entry & { readonly height: number })[]> {
  const changed: (Entry & { readonly height: number })[] = []
  // Its first page, which has the header, comes before the others of a block.
  let height = -1
  for await (const [key, text] of db.iterator({ gte: keyOf('beside'), lte: keyOf('beside', '~') })) {
    const place = `level ${key}`
    const block = pageOfKey(key) > 0 ? undefined : decodeText(place, text, shownBlockShape)
    height = block?.header.height ?? height
    const transactions = withHoles(block?.transactions ?? decodeBody(place, text), hashes)
    if (transactions === undefined) continue
    const value = block ? canonicalText({ ...block, transactions }) : JSON.stringify(transactions)
    changed.push({ key, value, height })
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
