import type { Hash } from '../protocol/bytes.ts'
import { edgeIdentifier } from '../protocol/edge.ts'
import { parseJson } from '../protocol/json.ts'
import { hash32, isJsonObject } from '../protocol/shape.ts'
import type { Transaction } from '../protocol/transaction.ts'
import { claimsOf, wholeOf, type Claim } from './claims.ts'
import { shortHash } from './format.ts'

/** The largest file that is read: a receipt with many votes has a few MB. */
export const MAX_PASTED_BYTES = 16 * 1024 * 1024

/** A trade as JSON: whole, or the row of a platform, or an answer of the API. At least one of `id` and `txHash` is there. */
export interface PastedTrade {
  readonly kind: 'trade'
  readonly id: string | undefined
  readonly txHash: Hash | undefined
  /** Every field of it. */
  readonly claims: readonly Claim[]
  /** All that is hashed, if it is there. */
  readonly whole: Transaction | undefined
}

/** What somebody typed, pasted or opened to have a trade checked. */
export type Pasted =
  | { readonly kind: 'id'; readonly id: string }
  /** The hash of a transaction, or an id that looks like one, as it was typed. */
  | { readonly kind: 'hash'; readonly hash: Hash; readonly id: string }
  | PastedTrade
  | { readonly kind: 'receipt'; readonly value: unknown }

/** Reads what was pasted. Throws an Error whose message is for people. */
export function readPasted(text: string): Pasted {
  const trimmed = text.trim()
  if (trimmed === '') throw new Error('Type or paste the id of a trade, its hash, the trade itself, or a receipt.')
  if (trimmed.startsWith('{') || trimmed.startsWith('[')) return readJson(trimmed)
  const unquoted = trimmed.replace(/^"|"$/g, '')
  const hash = unquoted.replace(/^0x(?=[0-9a-fA-F]{64}$)/, '')
  if (/^[0-9a-fA-F]{64}$/.test(hash)) return { kind: 'hash', hash: hash.toLowerCase(), id: hash }
  return { kind: 'id', id: readId(unquoted) }
}

/** What an answer is about, in few words: it stays when the text in the form has changed. */
export function subjectOf(pasted: Pasted): string {
  switch (pasted.kind) {
    case 'id':
      return `trade ${pasted.id}`
    case 'hash':
      return shortHash(pasted.id)
    case 'trade':
      return `what you pasted of trade ${pasted.id ?? shortHash(pasted.txHash ?? '')}`
    case 'receipt':
      return 'the receipt'
  }
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
  const value = parsed(text)
  const only = singleOf(value)
  if (Object.hasOwn(only, 'genesis') && Object.hasOwn(only, 'transaction')) return { kind: 'receipt', value: only }
  return readTrade(claimsOf(text, (whole) => fieldsOf(singleOf(whole))))
}

function parsed(text: string): unknown {
  try {
    return parseJson(text)
  } catch (cause) {
    throw new Error('This looks like JSON, but it is cut off or damaged: copy all of it.', { cause })
  }
}

function singleOf(value: unknown): Readonly<Record<string, unknown>> {
  const only = Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value
  if (isJsonObject(only)) return only
  throw new Error('This is JSON, but no single trade and no receipt: paste one at a time.')
}

/** Some programs put the trade into an object with fields of their own: all of them were pasted. */
function fieldsOf(object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { transaction, ...around } = object
  if (!isJsonObject(transaction)) return object
  const twice = Object.keys(around).find((name) => Object.hasOwn(transaction, name))
  if (twice !== undefined)
    throw new Error(`This JSON says ${twice} twice, beside the transaction and in it: paste the transaction alone.`)
  return { ...around, ...transaction }
}

function readTrade(all: readonly Claim[]): Pasted {
  // The API shows a removed trade so: that is no field of the trade, and says nothing about it where it is null.
  const claims = all.filter(
    ({ name, value }) => !(name === 'kind' && value === 'redacted') && !(UNTIL_SEALED.includes(name) && value === null),
  )
  const textOf = (wanted: string): string | undefined => {
    const value = claims.find(({ name }) => name === wanted)?.value
    return typeof value === 'string' ? value : undefined
  }
  const [id, txHash] = [textOf('id'), textOf('tx_hash')]
  if (id === undefined && txHash === undefined) {
    throw new Error('This JSON is neither a trade nor a receipt: it has no id and no tx_hash.')
  }
  return {
    kind: 'trade',
    id: id === undefined ? undefined : readId(id),
    txHash: txHash === undefined ? undefined : hash32(txHash.toLowerCase().replace(/^0x/, ''), 'tx_hash'),
    claims,
    whole: wholeOf(claims),
  }
}

/** Null in the API's answers until the trade is sealed. */
const UNTIL_SEALED = ['block_hash', 'height']
