import { inTurns } from '../../ports/turns.ts'
import type { Header } from '../../protocol/header.ts'
import type { ShownTransaction } from '../../protocol/transaction.ts'
import { corrupt } from '../decode.ts'
import type { ArchivedBodies } from './archived-bodies.ts'
import { decodeBody, decodeBodyInPieces } from './block-values.ts'
import { pageKey, pageKeys, pageOf, sizeOfPage, TRANSACTIONS_OF_PAGE } from './body-pages.ts'
import { HotPages, type Page } from './hot-pages.ts'
import { heightKey } from './keyspaces.ts'
import { readText, type TextLevel } from './level.ts'

type Counted = Pick<Header, 'height' | 'tx_count'>

/** Reads the bodies of blocks, from LevelDB or from where they were archived. */
export class StoredBodies {
  readonly #db: TextLevel
  readonly #archived: Pick<ArchivedBodies, 'body'> | undefined
  readonly #hot = new HotPages()

  constructor(db: TextLevel, archived: Pick<ArchivedBodies, 'body'> | undefined) {
    this.#db = db
    this.#archived = archived
  }

  /** Bodies or blocks have changed. */
  forgetHot(): void {
    this.#hot.clear()
  }

  /** All transactions of a block, page by page. Throws `corrupt`. */
  async all(header: Counted): Promise<readonly ShownTransaction[]> {
    return await this.part(header, 0, header.tx_count)
  }

  /** Those from index `from` on, no more than `count`. Throws `corrupt`. */
  async part(header: Counted, from: number, count: number): Promise<readonly ShownTransaction[]> {
    const transactions: ShownTransaction[] = []
    const end = Math.min(from + count, header.tx_count)
    let first = Math.floor(from / TRANSACTIONS_OF_PAGE)
    // A block without transactions has a page as well, which must be there.
    const last = header.tx_count === 0 ? 0 : Math.ceil(end / TRANSACTIONS_OF_PAGE) - 1
    for (; first <= last; first++) {
      const start = first * TRANSACTIONS_OF_PAGE
      const page = await this.#page(header, first)
      for (const tx of page.slice(Math.max(0, from - start), end - start)) transactions.push(tx)
    }
    return transactions
  }

  async #page(header: Counted, page: number): Promise<Page> {
    const key = pageKey(heightKey('body', header.height), page)
    const hot = this.#hot.get(key)
    if (hot !== undefined) return hot
    const { generation } = this.#hot
    const text = await readText(this.#db, key)
    if (text === undefined) return await this.#archivedPage(header, page, generation)
    const place = `level body of height ${header.height}`
    const transactions = decodeBody(place, text)
    const expected = sizeOfPage(page, header.tx_count)
    if (transactions.length !== expected) throw wrongCount(place, header, transactions.length, expected)
    this.#hot.put(key, transactions, text.length, generation)
    return transactions
  }

  async #archivedPage(header: Counted, page: number, generation: number): Promise<Page> {
    const place = `level body of height ${header.height}`
    const text = await this.#archived?.body(header.height)
    if (text === undefined) throw corrupt(place, 'the transactions of the block', 'nothing')
    const transactions = await inTurns(decodeBodyInPieces(place, text))
    if (transactions.length !== header.tx_count) throw wrongCount(place, header, transactions.length, header.tx_count)
    // Its neighbours are asked for next.
    const keys = pageKeys(heightKey('body', header.height), header.tx_count)
    for (const [at, key] of keys.entries())
      this.#hot.put(key, pageOf(transactions, at), text.length / keys.length, generation)
    return pageOf(transactions, page)
  }
}

const ADVICE = 'solar-node rebuild makes level/ anew from SQL; a validator takes an empty data directory and its key'

function wrongCount(place: string, { tx_count }: Counted, found: number, expected: number): Error {
  // An earlier version wrote the body of a large block as one value.
  if (found > expected && expected < tx_count) return corrupt(place, `${expected} transactions`, `${found} (${ADVICE})`)
  return corrupt(place, `${tx_count} transactions`, `${found}`)
}
