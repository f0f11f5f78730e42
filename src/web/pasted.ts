import type { Hash } from '../protocol/bytes.ts'
import { edgeIdentifier } from '../protocol/edge.ts'
import { hash32, isJsonObject } from '../protocol/shape.ts'
import { hashTransaction, redactedShape, transactionShape, type Transaction } from '../protocol/transaction.ts'

/** The largest file that is read: a receipt with many votes has a few MB. */
export const MAX_PASTED_BYTES = 16 * 1024 * 1024

/** What somebody typed, pasted or opened to have a trade checked. */
export type Pasted =
  | { readonly kind: 'id'; readonly id: string }
  /** Of a transaction, or an id that looks like one. */
  | { readonly kind: 'hash'; readonly hash: Hash }
  /** A whole transaction; its hash is computed here. */
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly txHash: Hash }
  /** Named by JSON that is no whole transaction: the row of a platform, an answer of the API. */
  | { readonly kind: 'row'; readonly id: string; readonly row: Readonly<Record<string, unknown>> }
  | { readonly kind: 'receipt'; readonly value: unknown }

/** Where a transaction is, as some answers of the API have it around its own fields. */
const PLACE_FIELDS = ['tx_hash', 'block_hash', 'height']

/** Reads what was pasted. Throws an Error whose message is for people. */
export function readPasted(text: string): Pasted {
  const trimmed = text.trim()
  if (trimmed === '') throw new Error('Type or paste the id of a trade, its hash, the trade itself, or a receipt.')
  if (trimmed.startsWith('{') || trimmed.startsWith('[')) return readJson(trimmed)
  const unquoted = trimmed.replace(/^"|"$/g, '').replace(/^0x(?=[0-9a-fA-F]{64}$)/, '')
  if (/^[0-9a-fA-F]{64}$/.test(unquoted)) return { kind: 'hash', hash: unquoted.toLowerCase() }
  return { kind: 'id', id: readId(unquoted) }
}

function readId(text: string): string {
  try {
    return edgeIdentifier(text, 'id')
  } catch (cause) {
    const what = 'An id has up to 64 letters, digits and the signs . _ : @ + -, a hash 64 of 0-9 and a-f.'
    throw new Error(`This is neither the id nor the hash of a trade. ${what}`, { cause })
  }
}

function readJson(text: string): Pasted {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new Error('This looks like JSON, but it is cut off or damaged: copy all of it.', { cause })
  }
  const only = Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value
  if (!isJsonObject(only)) throw new Error('This is JSON, but no single trade and no receipt: paste one at a time.')
  if (Object.hasOwn(only, 'genesis') && Object.hasOwn(only, 'transaction')) return { kind: 'receipt', value: only }
  return readObject(isJsonObject(only.transaction) ? only.transaction : only)
}

function readObject(object: Readonly<Record<string, unknown>>): Pasted {
  if (object.kind === 'redacted') {
    const { tx_hash } = redactedShape({ kind: 'redacted', tx_hash: object.tx_hash }, 'transaction')
    return { kind: 'hash', hash: tx_hash }
  }
  const transaction = wholeTransaction(object)
  if (transaction !== undefined) {
    return { kind: 'transaction', transaction, txHash: hashTransaction(transaction) }
  }
  const { id, tx_hash } = object
  if (typeof id === 'string' || typeof id === 'number') return { kind: 'row', id: readId(String(id)), row: object }
  if (typeof tx_hash === 'string') return { kind: 'hash', hash: hash32(tx_hash.toLowerCase(), 'tx_hash') }
  throw new Error('This JSON is neither a trade nor a receipt: it has no id and no tx_hash.')
}

function wholeTransaction(object: Readonly<Record<string, unknown>>): Transaction | undefined {
  const own = Object.fromEntries(Object.entries(object).filter(([name]) => !PLACE_FIELDS.includes(name)))
  try {
    return transactionShape(own, 'transaction')
  } catch {
    return undefined
  }
}
