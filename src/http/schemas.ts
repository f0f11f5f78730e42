import { bytesToBase64 } from '../protocol/base64.ts'
import { utf8ToBytes } from '../protocol/bytes.ts'
import { delta, quantity } from '../protocol/decimal.ts'
import { anyDelta, anyQuantity, EARLIEST_TIME_MS, edgeIdentifier, edgeQuantity, edgeTime } from '../protocol/edge.ts'
import { decodeGenesis, finalityShape, roleShape, type Finality, type Genesis, type Role } from '../protocol/genesis.ts'
import { headerShape, type Header } from '../protocol/header.ts'
import { MAX_THRESHOLD } from '../protocol/limits.ts'
import { payloadShape } from '../protocol/payload.ts'
import { registryEntryShape, type RegistryEntry } from '../protocol/registry.ts'
import {
  blockHeight,
  hash32,
  identifier,
  literal,
  nonceHex,
  publicKeyHex,
  refuse,
  signatureHex,
  timestampMs,
  type Shape,
} from '../protocol/shape.ts'
import { correctionReason } from '../protocol/transaction.ts'
import { voteShape, type Vote } from '../protocol/vote.ts'
import { arrayOf, choiceOf, documented, integerOf, named, nullableOf, objectOf, textOf, type Schema } from './schema.ts'

/** The objects of the protocol as the API document shows them. The rules are those of src/protocol. */

const IDENTIFIER = '^[A-Za-z0-9._:@+-]{1,64}$'
const QUANTITY = '^(0|[1-9][0-9]{0,11})(\\.[0-9]{0,5}[1-9])?$'
const DELTA = '^(?!-0$)-?(0|[1-9][0-9]{0,11})(\\.[0-9]{0,5}[1-9])?$'

const hex = (shape: Shape<string>, characters: number, description: string, digit: string): Schema<string> =>
  documented(shape, { type: 'string', pattern: `^[0-9a-f]{${characters}}$`, description }, digit.repeat(characters))

export const hash = hex(hash32, 64, 'SHA-256, lower-case hex', 'a')
/** A key that obeys the signature rule (RFC 8032, 7.1, test 1), because decodeGenesis asks for one. */
const EXAMPLE_KEY = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
export const key: Schema<string> = { ...hex(publicKeyHex, 64, 'Ed25519 public key, hex', 'd'), example: EXAMPLE_KEY }
export const signature = hex(signatureHex, 128, 'Ed25519 signature, hex', 'b')
export const nonce = hex(nonceHex, 32, '128 random bits, hex', 'c')

const idJson = (pattern: string) => ({ type: 'string', pattern })
export const id = (example: string): Schema<string> => documented(identifier, idJson(IDENTIFIER), example)
/** What comes in: integers become decimal strings, UUIDs lower-case. */
export const idIn = (example: string): Schema<string> =>
  documented(edgeIdentifier, { anyOf: [idJson(IDENTIFIER), { type: 'integer' }] }, example)

export const decimal = (example: string): Schema<string> => documented(quantity, idJson(QUANTITY), example)
export const signedDecimal = (example: string): Schema<string> => documented(delta, idJson(DELTA), example)

const numberJson = (text: object) => ({
  anyOf: [
    { type: 'string', ...text },
    { type: 'number', description: 'taken if it converts exactly' },
  ],
})
const ANY_SPELLING = 'any exact decimal of at most 6 decimals ("0.750000"); it is written in its one spelling ("0.75")'
const ANY_DECIMAL = '^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]{1,4})?$'
const anyDecimalJson = numberJson({ pattern: ANY_DECIMAL, maxLength: 100, description: ANY_SPELLING })
/** What comes in unsigned: an exact decimal in any spelling, or a JSON number that converts exactly. */
export const decimalIn = (example: string): Schema<string> => documented(anyQuantity, anyDecimalJson, example)
export const signedDecimalIn = (example: string): Schema<string> => documented(anyDelta, anyDecimalJson, example)
/** What comes in signed: a decimal in its one spelling, or a JSON number that converts exactly. */
export const decimalAsSigned = (example: string): Schema<string> =>
  documented(signedQuantity, numberJson({ pattern: QUANTITY }), example)
const signedQuantity: Shape<string> = (value, path) => {
  // The signature covers the text. What no decimal is at all is refused by its own message.
  if (typeof value !== 'string' || anyQuantity(value, path) === value) return edgeQuantity(value, path)
  return refuse(path, `"${anyQuantity(value, path)}" in a signed order, whose signature covers that text`, value)
}

const EXAMPLE_TIME = 1_760_000_400_000
export const time: Schema<number> = documented(
  timestampMs,
  { type: 'integer', minimum: 0, description: 'Unix milliseconds, UTC' },
  EXAMPLE_TIME,
)
/** What comes in: a time of any age, but none before 2001, which is a time in seconds. */
export const timeIn: Schema<number> = documented(
  edgeTime,
  { type: 'integer', minimum: EARLIEST_TIME_MS, description: 'Unix milliseconds, UTC' },
  EXAMPLE_TIME,
)
export const height: Schema<number> = documented(blockHeight, { type: 'integer', minimum: 0 }, 17)
/** Exactly this value. */
export const constant = <const T extends string | number>(value: T): Schema<T> =>
  documented(literal(value), { const: value }, value)
export const reason: Schema<string> = documented(
  correctionReason,
  { type: 'string', pattern: '^[\\x20-\\x7e]{1,200}$' },
  'late meter reading',
)

/** Of `age -r`, for nobody. */
const EXAMPLE_PAYLOAD = bytesToBase64(utf8ToBytes('age-encryption.org/v1\n-> X25519 ...\n'))
export const payload: Schema<string> = documented(
  payloadShape,
  {
    type: 'string',
    contentEncoding: 'base64',
    maxLength: 5_464,
    description: 'an age file (age-encryption.org/v1) of at most 4,096 bytes, for the parties and auditors',
  },
  EXAMPLE_PAYLOAD,
)

const headerFields: Schema<Header> = objectOf({
  version: constant(1),
  chain_id: hash,
  height,
  prev_hash: hash,
  merkle_root: hash,
  tx_count: integerOf('transactions in the block', 12, 0, 100_000),
  history_root: hash,
  registry_root: hash,
  timestamp: time,
  nonce: integerOf('0 with seal "authority"', 0),
  difficulty: integerOf('leading zero hex digits of the header hash', 0, 0, 64),
  miner_id: id('authority-1'),
})
export const header: Schema<Header> = named('Header', { ...headerFields, shape: headerShape })

const voteFields: Schema<Vote> = objectOf({
  chain_id: hash,
  header_hash: hash,
  height,
  voter_id: id('household-7.phone'),
  decision: choiceOf('ack', 'reject'),
  signature,
})
export const vote: Schema<Vote> = named('Vote', { ...voteFields, shape: voteShape })

export const role: Schema<Role> = { ...choiceOf('authority', 'validator', 'voter'), shape: roleShape }
const entryFields: Schema<RegistryEntry> = objectOf(
  {
    slot: integerOf('leaf slot + 1 of the registry tree', 3),
    id: id('household-7.phone'),
    role,
    public_key: key,
    recovery_key: nullableOf(key),
    status: choiceOf('active', 'revoked'),
    since_height: height,
  },
  { revoked_by: id('authority-1') },
)
export const registryEntry: Schema<RegistryEntry> = named('RegistryEntry', {
  ...entryFields,
  shape: registryEntryShape,
})

const threshold = integerOf('votes that finality takes', 2, 1, MAX_THRESHOLD)
export const finality: Schema<Finality> = documented<Finality>(
  finalityShape,
  {
    oneOf: [
      objectOf({ policy: constant('authority') }).json,
      objectOf({ policy: constant('votes'), threshold }).json,
      objectOf({ policy: constant('validators'), threshold }).json,
    ],
  },
  { policy: 'authority' },
)
const printable = (example: string) => textOf(/^[\x20-\x7e]{1,100}$/, 'printable ASCII', example)
const genesisFields: Schema<Genesis> = objectOf({
  version: constant(1),
  name: printable('Sunny Street'),
  origin: printable('ledger.example.org/sunny-street'),
  created_at: time,
  currency: printable('EUR'),
  amount_decimals: integerOf('decimals of money amounts', 6, 0, 6),
  seal: choiceOf('authority', 'work'),
  difficulty: integerOf('leading zero hex digits of each header hash', 0, 0, 64),
  finality,
  registry: arrayOf(objectOf({ id: id('authority-1'), role, public_key: key, recovery_key: nullableOf(key) })),
})
/** The shape is `decodeGenesis`, which checks more than the description can say. */
export const genesis: Schema<Genesis> = named('Genesis', {
  ...genesisFields,
  shape: decodeGenesis,
  example: {
    ...genesisFields.example,
    registry: [{ id: 'authority-1', role: 'authority', public_key: EXAMPLE_KEY, recovery_key: null }],
  },
})

export const blockStatus = choiceOf('final', 'proposed', 'orphaned')
export const voteCounts = objectOf({
  ack: integerOf('distinct acks', 2),
  reject: integerOf('distinct rejects', 0),
  required: integerOf('acks that finality takes; 0 under policy authority', 2),
})
