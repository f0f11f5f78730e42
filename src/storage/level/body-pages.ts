import type { ShownTransaction } from '../../protocol/transaction.ts'

/**
 * A body is stored in pages: the first has the key of the body, those that follow sort behind it and before everything else. So
 * one transaction of a large block is read without the others, and no value takes long to read or write.
 */
export const TRANSACTIONS_OF_PAGE = 500

/** @param body the key of the body */
export const pageKey = (body: string, page: number): string =>
  page === 0 ? body : `${body}/${page.toString(16).padStart(4, '0')}`

/** Which page this is the key of. */
export const pageOfKey = (key: string): number => Number.parseInt(key.split('/')[1] ?? '0', 16)

/** All pages of a body. */
export const pageRange = (body: string): { readonly gte: string; readonly lt: string } => ({
  gte: body,
  lt: `${body}0`,
})

/** The keys of a body of so many transactions; a block without any has an empty page. */
export const pageKeys = (body: string, count: number): readonly string[] =>
  Array.from({ length: Math.max(1, Math.ceil(count / TRANSACTIONS_OF_PAGE)) }, (_, page) => pageKey(body, page))

/** Transactions of a page of a body of `count`. */
export const sizeOfPage = (page: number, count: number): number =>
  Math.min(TRANSACTIONS_OF_PAGE, count - page * TRANSACTIONS_OF_PAGE)

export const pageOf = (transactions: readonly ShownTransaction[], page: number): readonly ShownTransaction[] =>
  transactions.slice(page * TRANSACTIONS_OF_PAGE, (page + 1) * TRANSACTIONS_OF_PAGE)

/** The JSON text of a body whose pages are these JSON texts. */
export const joinPages = (pages: readonly string[]): string =>
  pages.length === 1 ? (pages[0] ?? '') : `[${pages.map((page) => page.slice(1, -1)).join(',')}]`
