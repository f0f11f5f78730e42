import { inTurns } from '../../ports/turns.ts'
import { shownBlockShape, type ShownBlock } from '../../protocol/block.ts'
import type { Hash } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import type { SealedHeader } from '../../protocol/header.ts'
import type { Pieces } from '../../protocol/pieces.ts'
import type { ShownTransaction } from '../../protocol/transaction.ts'
import { corrupt, decodeText } from '../decode.ts'
import type { Batch } from './block-entries.ts'
import { decodeBody } from './block-values.ts'
import { pageKey, pageKeys, pageOf, sizeOfPage, TRANSACTIONS_OF_PAGE } from './body-pages.ts'
import { keyOf } from './keyspaces.ts'
import { readText, type TextLevel } from './level.ts'
import { withoutRemoved } from './removed-before.ts'

/** Blocks that are kept beside the chain: header and first page of the body in one value, the other pages behind it. */
export class BlocksBeside {
  readonly #db: TextLevel

  constructor(db: TextLevel) {
    this.#db = db
  }

  async put(block: ShownBlock, hash: Hash): Promise<void> {
    const transactions = await withoutRemoved(this.#db, block.transactions)
    const batch = this.#db.batch()
    await inTurns(this.putInto(batch, { ...block, transactions }, hash))
    await batch.write()
  }

  *putInto(batch: Batch, { header, signature, transactions }: ShownBlock, hash: Hash): Pieces<void> {
    const [first = '', ...others] = pageKeys(keyOf('beside', hash), transactions.length)
    batch.put(first, canonicalText({ header, signature, transactions: pageOf(transactions, 0) }))
    for (const [at, key] of others.entries()) {
      yield
      batch.put(key, JSON.stringify(pageOf(transactions, at + 1)))
    }
  }

  remove(batch: Batch, hash: Hash, count: number): void {
    for (const key of pageKeys(keyOf('beside', hash), count)) batch.del(key)
  }

  async header(hash: Hash): Promise<SealedHeader | undefined> {
    const block = await this.#first(hash)
    return block && { header: block.header, signature: block.signature }
  }

  async read(hash: Hash): Promise<ShownBlock | undefined> {
    const first = await this.#first(hash)
    if (first === undefined) return undefined
    const { header, signature } = first
    return { header, signature, transactions: await this.#part(first, hash, 0, header.tx_count) }
  }

  /** Transactions from index `from` on, no more than `count`; none of a block that is not here. */
  async part(hash: Hash, from: number, count: number): Promise<readonly ShownTransaction[]> {
    const first = await this.#first(hash)
    return first === undefined ? [] : await this.#part(first, hash, from, count)
  }

  async #first(hash: Hash): Promise<ShownBlock | undefined> {
    const place = placeOf(hash)
    const text = await readText(this.#db, keyOf('beside', hash))
    if (text === undefined) return undefined
    const block = decodeText(place, text, shownBlockShape)
    const expected = sizeOfPage(0, block.header.tx_count)
    if (block.transactions.length === expected) return block
    throw corrupt(place, `${expected} transactions`, `${block.transactions.length}`)
  }

  async #part({ header, transactions: first }: ShownBlock, hash: Hash, from: number, count: number) {
    const transactions: ShownTransaction[] = []
    const end = Math.min(from + count, header.tx_count)
    for (let page = Math.floor(from / TRANSACTIONS_OF_PAGE); page * TRANSACTIONS_OF_PAGE < end; page++) {
      const start = page * TRANSACTIONS_OF_PAGE
      const here = page === 0 ? first : await this.#page(hash, page, sizeOfPage(page, header.tx_count))
      for (const tx of here.slice(Math.max(0, from - start), end - start)) transactions.push(tx)
    }
    return transactions
  }

  async #page(hash: Hash, page: number, expected: number): Promise<readonly ShownTransaction[]> {
    const text = await readText(this.#db, pageKey(keyOf('beside', hash), page))
    const transactions = text === undefined ? [] : decodeBody(placeOf(hash), text)
    if (transactions.length === expected) return transactions
    throw corrupt(placeOf(hash), `${expected} transactions in page ${page}`, `${transactions.length}`)
  }
}

const placeOf = (hash: Hash): string => `level block ${hash} beside the chain`
