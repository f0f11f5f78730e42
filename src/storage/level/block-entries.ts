import type { ShownBlock } from '../../protocol/block.ts'
import type { Hash } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { endsPiece, type Pieces } from '../../protocol/pieces.ts'
import { leafOf } from '../../protocol/transaction.ts'
import { ownKeys } from './block-index.ts'
import { pageKeys, pageOf, TRANSACTIONS_OF_PAGE } from './body-pages.ts'
import { heightKey, keyOf } from './keyspaces.ts'
import type { TextLevel } from './level.ts'
import { finishForgetting } from './redacted-bodies.ts'
import { changeKeys } from './registry-index.ts'

export type Batch = ReturnType<TextLevel['batch']>

/**
 * Pages of a body that are written at once. As a batch grows LevelDB copies it, and at the largest block that took longer than anything
 * else: so what is more than this is written before its block, which alone makes it part of the chain.
 */
const PAGES_AT_ONCE = 8

/** Writes the body of a large block, in several batches; nothing of a smaller one. What comes of it is the body of no block yet. */
export async function writeAhead(db: TextLevel, { header, transactions }: ShownBlock): Promise<void> {
  const keys = pageKeys(heightKey('body', header.height), transactions.length)
  if (keys.length <= PAGES_AT_ONCE) return
  for (let start = 0; start < keys.length; start += PAGES_AT_ONCE) {
    const batch = db.batch()
    for (const [at, key] of keys.slice(start, start + PAGES_AT_ONCE).entries()) {
      batch.put(key, JSON.stringify(pageOf(transactions, start + at)))
    }
    await batch.write()
  }
}

/**
 * Removes bodies that were written ahead, from a height on that the chain does not have; from LevelDB's files too: the block may come
 * again without a body that was redacted elsewhere, and nothing would take it out of them then.
 */
export async function removeAhead(db: TextLevel, size: number): Promise<void> {
  const keys = await db.keys({ gte: heightKey('body', size), lte: keyOf('body', '~') }).all()
  if (keys.length === 0) return
  const batch = db.batch()
  for (const key of keys) batch.del(key).put(keyOf('forgetting', key), '')
  await batch.write()
  await finishForgetting(db)
}

/** Puts a block, and what it and its transactions are found by, into a batch; its body, unless that was written ahead. */
export function* putBlock(batch: Batch, block: ShownBlock, hash: Hash, txHashes: readonly Hash[]): Pieces<void> {
  const { header, signature, transactions } = block
  const { height } = header
  batch.put(heightKey('header', height), canonicalText({ header, signature, hash }))
  batch.put(keyOf('heightByHash', hash), String(height))
  const keys = pageKeys(heightKey('body', height), transactions.length)
  for (const [page, key] of keys.entries()) {
    if (keys.length <= PAGES_AT_ONCE) batch.put(key, JSON.stringify(pageOf(transactions, page)))
    const start = page * TRANSACTIONS_OF_PAGE
    for (const [at, tx] of pageOf(transactions, page).entries()) {
      const place = `${height}/${start + at}`
      batch.put(keyOf('placeByHash', txHashes[start + at] ?? ''), place)
      if (tx.kind !== 'redacted') batch.put(keyOf('placeById', tx.id), place)
    }
    if (page > 0) yield
  }
  for (const [index, { key, value }] of ownKeys(block).entries()) {
    batch.put(key, value)
    if (endsPiece(index)) yield
  }
}

/** Takes all that was written of a block out again. */
export function* deleteBlock(batch: Batch, block: ShownBlock, hash: Hash): Pieces<void> {
  const { header, transactions } = block
  batch.del(heightKey('header', header.height)).del(keyOf('heightByHash', hash))
  for (const key of pageKeys(heightKey('body', header.height), transactions.length)) batch.del(key)
  for (const [index, tx] of transactions.entries()) {
    batch.del(keyOf('placeByHash', leafOf(tx)))
    if (tx.kind !== 'redacted') batch.del(keyOf('placeById', tx.id))
    if (endsPiece(index)) yield
  }
  for (const [index, { key }] of ownKeys(block).entries()) {
    batch.del(key)
    if (endsPiece(index)) yield
  }
  for (const key of changeKeys(block)) batch.del(key)
}
