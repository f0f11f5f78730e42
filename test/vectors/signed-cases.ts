import { bytesToHex } from '../../src/protocol/bytes.ts'
import { canonicalText } from '../../src/protocol/canonical-json.ts'
import { hashHeader, sealedHeaderShape, verifySeal } from '../../src/protocol/header.ts'
import { signedOrderShape, verifyOrderSignature, type Order } from '../../src/protocol/order.ts'
import type { RegistryEntry } from '../../src/protocol/registry.ts'
import { formatAuthorization, parseAuthorization, signRequest, verifyCredential } from '../../src/protocol/request.ts'
import { signingBytes, signObject, type SignatureType } from '../../src/protocol/signature.ts'
import { signVote, verifyVote, voteShape, type VoteBody } from '../../src/protocol/vote.ts'
import { copyOf, outcomeOf, type Outcome, type VectorFile } from './case.ts'
import { CHAIN_ID, REGISTRY, sealTestChain } from './chain-cases.ts'
import { testKey, testNonce, type KeyName } from './keys.ts'

type Draft = Record<string, unknown>
type Change = readonly [name: string, change: (draft: Draft) => void]

/** The object without one of its fields. */
const without = (field: string, value: object): object =>
  Object.fromEntries(Object.entries(value).filter(([name]) => name !== field))

const OTHER_CHAIN = '0'.repeat(64)
const flipped = (hex: unknown): string => (String(hex).startsWith('0') ? '1' : '0') + String(hex).slice(1)
const signingHex = (type: SignatureType, chainId: string, body: object): string =>
  bytesToHex(signingBytes(type, chainId, body))
const tampered = (outcome: boolean): Outcome => (outcome ? { ok: true } : { ok: false, error: 'bad_signature' })

const SEAL_CHANGES: readonly Change[] = [
  ['sealed by its authority', () => undefined],
  ['a field changed after sealing', (c) => ((c.header as Draft).tx_count = 4)],
  ['the signature of another key', (c) => (c.signature = sealOf('stranger'))],
  ['checked by another key', (c) => (c.public_key = testKey('stranger').publicKey)],
  ['a signature of another type', (c) => (c.signature = signedAs('vote', CHAIN_ID))],
  ['a signature for another chain', (c) => (c.signature = signedAs('header', OTHER_CHAIN))],
  ['a signature of the hash', (c) => (c.signature = signedHash())],
  ['a bit changed in R', (c) => (c.signature = flipped(c.signature))],
  ['a signature in upper case', (c) => (c.signature = String(c.signature).toUpperCase())],
  ['a signature of 63 bytes', (c) => (c.signature = String(c.signature).slice(2))],
  ['an unknown field beside', (c) => Object.assign(c, { extra: true })],
]
const sealed = () => sealTestChain([3])[0]!.sealed
const sealOf = (name: KeyName) => signObject('header', CHAIN_ID, sealed().header, testKey(name))
const signedAs = (type: SignatureType, chainId: string) =>
  signObject(type, chainId, sealed().header, testKey('authority'))
const signedHash = () =>
  signObject('header', CHAIN_ID, { header_hash: hashHeader(sealed().header) }, testKey('authority'))

/** Sealed headers: canonical text, hash, what is signed, and seals that are none. */
export function sealedHeaders(): VectorFile {
  const chain = sealTestChain([3, 1, 2])
  const key = testKey('authority').publicKey
  const accepted = chain.map(({ sealed: { header, signature }, hash }) => ({
    name: `height ${header.height}`,
    header,
    signature,
    public_key: key,
    canonical: canonicalText(header),
    header_hash: hash,
    signing_bytes: signingHex('header', CHAIN_ID, header),
    ok: true,
  }))
  const changed = SEAL_CHANGES.map(([name, change]) => {
    const draft = copyOf({ ...sealed(), public_key: key }) as unknown as Draft
    change(draft)
    const { public_key, ...object } = draft
    const outcome = outcomeOf(() => verifySeal(sealedHeaderShape(object, 'sealed'), public_key as string))
    return { name, ...draft, ...outcome }
  })
  return {
    about:
      'Sealed headers {header, signature} and the public key that must have sealed them. header_hash = sha256(canonical(header)); signing_bytes (hex) is what the signature is over. The first three are a chain on the genesis "the test chain".',
    cases: [...accepted, ...changed],
  }
}

const voteBody = (): VoteBody => ({
  chain_id: CHAIN_ID,
  header_hash: sealTestChain([3])[0]!.hash,
  height: 0,
  voter_id: 'alice',
  decision: 'ack',
})
const signedVote = (change: Partial<VoteBody>, name: KeyName = 'alice') =>
  signVote({ ...voteBody(), ...change }, testKey(name))

const VOTE_CHANGES: readonly Change[] = [
  ['an ack', () => undefined],
  ['a reject', (c) => (c.vote = signedVote({ decision: 'reject' }))],
  ['a decision changed after signing', (c) => ((c.vote as Draft).decision = 'reject')],
  ['another chain', (c) => (c.vote = signedVote({ chain_id: OTHER_CHAIN }))],
  ['a chain changed after signing', (c) => ((c.vote as Draft).chain_id = OTHER_CHAIN)],
  ['another header', (c) => (c.vote = signedVote({ header_hash: OTHER_CHAIN }))],
  ['a height that is not that of the header', (c) => (c.vote = signedVote({ height: 1 }))],
  ['the key of somebody else', (c) => (c.vote = signedVote({}, 'bob'))],
  ['the name of somebody else', (c) => (c.vote = signedVote({ voter_id: 'bob' }))],
  ['a voter without an entry', (c) => (c.entry = null)],
  ['a revoked voter', (c) => (c.entry = { ...(c.entry as RegistryEntry), status: 'revoked' })],
  ['an unknown decision', (c) => ((c.vote as Draft).decision = 'maybe')],
  ['an unknown field', (c) => ((c.vote as Draft).weight = 2)],
  ['no signature', (c) => delete (c.vote as Draft).signature],
]

/** Votes on the first block of the test chain. */
export function voteCases(): VectorFile {
  const target = { hash: voteBody().header_hash, height: 0 }
  return {
    about:
      'Votes on the header "target", checked against the registry entry of the voter (null: it has none). signing_bytes (hex) is what the signature is over.',
    cases: VOTE_CHANGES.map(([name, change]) => {
      const draft = copyOf({ vote: signedVote({}), entry: REGISTRY.entry('alice') ?? null }) as unknown as Draft
      change(draft)
      const entry = (draft.entry ?? undefined) as RegistryEntry | undefined
      const outcome = outcomeOf(() => verifyVote(voteShape(draft.vote, 'vote'), CHAIN_ID, target, entry))
      if (!outcome.ok) return { name, chain_id: CHAIN_ID, target, ...draft, ...outcome }
      const body = without('signature', draft.vote as Draft)
      return { name, chain_id: CHAIN_ID, target, ...draft, signing_bytes: signingHex('vote', CHAIN_ID, body), ok: true }
    }),
  }
}

const ORDER: Order = {
  order_id: 'order-1',
  user_id: 'alice',
  side: 'sell',
  kwh: '1.5',
  price_per_kwh: '0.2',
  timestamp: 1_760_000_100_000,
  valid_until: 1_760_000_400_000,
}
const signedOrder = (change: Partial<Order>, name: KeyName = 'alice', type: SignatureType = 'order') => {
  const order = { ...ORDER, ...change }
  return { ...order, signature: signObject(type, CHAIN_ID, order, testKey(name)) }
}
const withoutEnd = () => {
  const order = without('valid_until', ORDER)
  return { ...order, signature: signObject('order', CHAIN_ID, order, testKey('alice')) }
}
const ORDER_CHANGES: readonly Change[] = [
  ['an order', () => undefined],
  ['an order without an end', (c) => (c.order = withoutEnd())],
  ['a purchase', (c) => (c.order = signedOrder({ side: 'buy' }))],
  ['a price changed after signing', (c) => ((c.order as Draft).price_per_kwh = '0.3')],
  ['an end added after signing', (c) => (c.order = { ...withoutEnd(), valid_until: 1_760_000_400_000 })],
  ['the key of somebody else', (c) => (c.order = signedOrder({}, 'bob'))],
  ['a signature of another type', (c) => (c.order = signedOrder({}, 'alice', 'request'))],
  ['an unknown side', (c) => ((c.order as Draft).side = 'swap')],
  ['kwh as a number', (c) => ((c.order as Draft).kwh = 1.5)],
  ['valid_until null', (c) => ((c.order as Draft).valid_until = null)],
  ['an unknown field', (c) => ((c.order as Draft).note = '')],
]

/** Signed orders. */
export function orderCases(): VectorFile {
  const public_key = testKey('alice').publicKey
  return {
    about: 'Signed orders and the public key of the device. signing_bytes (hex) is what the signature is over.',
    cases: ORDER_CHANGES.map(([name, change]) => {
      const draft: Draft = { order: copyOf(signedOrder({})) }
      change(draft)
      const outcome = outcomeOf(() =>
        tampered(verifyOrderSignature(signedOrderShape(draft.order, 'order'), CHAIN_ID, public_key)),
      )
      if (!outcome.ok) return { name, chain_id: CHAIN_ID, public_key, ...draft, ...outcome }
      const body = without('signature', draft.order as Draft)
      const signing_bytes = signingHex('order', CHAIN_ID, body)
      return { name, chain_id: CHAIN_ID, public_key, ...draft, signing_bytes, ok: true }
    }),
  }
}

const NOW = 1_760_000_500_000
const REQUEST = {
  method: 'GET',
  path: '/transactions?from=0&to=9',
  timestamp: NOW - 1_000,
  id: testNonce('request'),
} as const
const authorization = (change: Partial<{ path: string; timestamp: number; id: string }>, voterId = 'alice') =>
  formatAuthorization(signRequest(voterId, CHAIN_ID, { ...REQUEST, ...change }, testKey('alice')))

const REQUEST_CHANGES: readonly Change[] = [
  ['a signed request', () => undefined],
  ['an id with points', (c) => (c.authorization = authorization({}, 'alice.phone.2'))],
  ['60 s old', (c) => (c.authorization = authorization({ timestamp: NOW - 60_000 }))],
  ['60 s ahead', (c) => (c.authorization = authorization({ timestamp: NOW + 60_000 }))],
  ['more than 60 s old', (c) => (c.authorization = authorization({ timestamp: NOW - 60_001 }))],
  ['more than 60 s ahead', (c) => (c.authorization = authorization({ timestamp: NOW + 60_001 }))],
  ['another path', (c) => (c.path = '/transactions?from=0&to=10')],
  ['the same path with a slash', (c) => (c.path = '/transactions/?from=0&to=9')],
  ['another method', (c) => (c.method = 'P2P')],
  ['a method that is never signed', (c) => (c.method = 'POST')],
  ['another chain', (c) => (c.chain_id = OTHER_CHAIN)],
  ['the key of somebody else', (c) => (c.public_key = testKey('bob').publicKey)],
  ['another id', (c) => (c.authorization = String(c.authorization).replace(REQUEST.id, testNonce('other')))],
  ['an id of 15 bytes', (c) => (c.authorization = String(c.authorization).replace(REQUEST.id, REQUEST.id.slice(2)))],
  ['a leading zero in the time', (c) => (c.authorization = String(c.authorization).replace('.17', '.017'))],
  ['no scheme', (c) => (c.authorization = String(c.authorization).slice('Solar '.length))],
  ['another scheme', (c) => (c.authorization = String(c.authorization).replace('Solar', 'Bearer'))],
  ['another scheme of the same length', (c) => (c.authorization = String(c.authorization).replace('Solar', 'Token'))],
  ['no voter', (c) => (c.authorization = String(c.authorization).replace('alice.', ''))],
  ['only three parts', (c) => (c.authorization = 'Solar a.b.c')],
]

/** Signed HTTP requests. */
export function requestCases(): VectorFile {
  const base = { ...REQUEST, chain_id: CHAIN_ID, public_key: testKey('alice').publicKey, now: NOW }
  return {
    about:
      'The Authorization header of a request with this method and path (with query), checked at the time "now" with the public key of the voter named in it. signing_bytes (hex) is what the signature is over.',
    cases: REQUEST_CHANGES.map(([name, change]) => {
      const { method, path, chain_id, public_key, now } = base
      const draft: Draft = { method, path, chain_id, public_key, now, authorization: authorization({}) }
      change(draft)
      const read = () => parseAuthorization(String(draft.authorization), String(draft.method), String(draft.path))
      const outcome = outcomeOf(() => verifyCredential(read(), String(draft.chain_id), String(draft.public_key), NOW))
      if (!outcome.ok) return { name, ...draft, ...outcome }
      const credential = read()
      const { voter_id } = credential
      const body = without('voter_id', without('signature', credential))
      return { name, ...draft, voter_id, signing_bytes: signingHex('request', CHAIN_ID, body), ok: true }
    }),
  }
}
