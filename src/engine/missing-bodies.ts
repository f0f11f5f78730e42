import { steadyNow } from '../ports/clock.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { Header } from '../protocol/header.ts'
import { statusAnswer } from '../protocol/messages.ts'
import { leafOf, type ShownTransaction } from '../protocol/transaction.ts'
import { fetchPage, type FetchParts } from './block-pages.ts'

/** So many peers are asked side by side: one that is slow holds up none of the others, and all pages have room. */
const AT_ONCE = 8
/** A peer has so long for the bodies that it can show. */
const PEER_MS = 20_000

/** And all together so long: whoever was not asked by then is one that has not answered. */
const ALL_MS = 60_000

/** A block with the bodies that peers have shown. */
export interface FilledBlock {
  readonly transactions: readonly ShownTransaction[]
  /** Peers that may have a body that is missing and have not answered. */
  readonly silent: readonly string[]
}

/**
 * Looks at other peers for the bodies that a block lacks, page by page from each that is missing: a body is taken by its hash, so
 * that it does not matter who shows it. Nobody is asked or waited for once nothing is missing. Never throws.
 */
export async function fillFrom(
  parts: FetchParts,
  peers: readonly string[],
  block: { readonly header: Header; readonly transactions: readonly ShownTransaction[] },
): Promise<FilledBlock> {
  const transactions = [...block.transactions]
  const silent: string[] = []
  const waiting = [...peers]
  const isWhole = (): boolean => holeFrom(transactions, 0) === undefined
  const startedAt = steadyNow(parts.clock)
  const isOver = (): boolean => isWhole() || steadyNow(parts.clock) - startedAt > ALL_MS
  await new Promise<void>((resolve) => {
    const askInTurn = async (): Promise<void> => {
      while (waiting.length > 0 && !isOver()) {
        const peer = waiting.shift() ?? ''
        if ((await fillBy(peer, parts, block.header, transactions)) === 'silent') silent.push(peer)
        if (isWhole()) resolve()
      }
    }
    void Promise.all(Array.from({ length: AT_ONCE }, askInTurn)).then(() => resolve())
  })
  return { transactions, silent: [...silent, ...waiting] }
}

/** Codes of who has no such block, or shows none to this key, and of what is no answer to wait for. */
const SAYS_NO: readonly unknown[] = ['unknown_block', 'forbidden', 'unknown_voter', 'wrong_header', 'malformed']

/** A peer that was reached and failed, by its disk or because it was asked too much, may have the body all the same. */
const saysNo = (error: unknown): boolean =>
  isSolarError(error, 'peer_refused') && SAYS_NO.includes((error.fields as { readonly code: unknown }).code)

const holeFrom = (transactions: readonly ShownTransaction[], from: number): number | undefined => {
  const found = transactions.findIndex((tx, index) => index >= from && tx.kind === 'redacted')
  return found < 0 ? undefined : found
}

/** Puts in what this peer has. A light node has no bodies, and does not answer; who else does not may have them. */
async function fillBy(
  peer: string,
  parts: FetchParts,
  header: Header,
  transactions: ShownTransaction[],
): Promise<'asked' | 'silent'> {
  const startedAt = steadyNow(parts.clock)
  try {
    for (let hole = holeFrom(transactions, 0); hole !== undefined;) {
      if (steadyNow(parts.clock) - startedAt > PEER_MS) return 'silent'
      const page = await fetchPage(parts, peer, header, hole)
      for (const [offset, tx] of page.transactions.entries()) putIn(transactions, hole + offset, tx)
      hole = page.next_index === null ? undefined : holeFrom(transactions, hole + page.transactions.length)
    }
    return 'asked'
  } catch (error) {
    if (saysNo(error)) return 'asked'
    const status = await parts.requests.request(peer, 'status', {}).catch(() => undefined)
    return isLight(status) ? 'asked' : 'silent'
  }
}

function putIn(transactions: ShownTransaction[], index: number, tx: ShownTransaction): void {
  const missing = transactions[index]
  if (missing?.kind === 'redacted' && tx.kind !== 'redacted' && leafOf(tx) === missing.tx_hash) transactions[index] = tx
}

function isLight(answer: unknown): boolean {
  try {
    return statusAnswer(answer, 'status').mode === 'light'
  } catch {
    return false
  }
}
