import { bytesToHex } from '../../src/protocol/bytes.ts'
import { canonicalText } from '../../src/protocol/canonical-json.ts'
import { hashHeader, sealedHeaderShape, verifySeal } from '../../src/protocol/header.ts'
import { signedOrderShape, verifyOrderSignature, type Order } from '../../src/protocol/order.ts'
import type { RegistryEntry } from '../../src/protocol/registry.ts'
import { membershipShape, verifyMembership, type IssuerKey, type Membership } from '../../src/protocol/membership.ts'
import { tradesPath } from '../../src/protocol/messages.ts'
import {
  formatAuthorization,
  parseAuthorization,
  peerCredentialShape,
  verifyCredential,
} from '../../src/protocol/request.ts'
import { signingBytes, type SignatureType } from '../../src/protocol/signature.ts'
import { verifyVote, voteShape, type VoteBody } from '../../src/protocol/vote.ts'
import { signMembership, signObject, signRequest, signVote } from '../helpers/sign-now.ts'
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
const ORIGIN = 'https://ledger.example.org'
const REQUEST = {
  method: 'GET',
  path: '/transactions?from=0&to=9',
  timestamp: NOW - 1_000,
  id: testNonce('request'),
  to: ORIGIN,
} as const
const authorization = (
  change: Partial<{ path: string; timestamp: number; id: string; to: string }>,
  voterId = 'alice',
) => formatAuthorization(signRequest(voterId, CHAIN_ID, { ...REQUEST, ...change }, testKey('alice')))
const rewritten = (from: string, to: string) => (c: Draft) => {
  c.authorization = String(c.authorization).replace(from, to)
}

const REQUEST_CHANGES: readonly Change[] = [
  ['a signed request', () => undefined],
  ['an id with points', (c) => (c.authorization = authorization({}, 'alice.phone.2'))],
  ['for the other origin of the node', (c) => (c.authorization = authorization({ to: 'http://127.0.0.1:8080' }))],
  ['for another node', (c) => (c.authorization = authorization({ to: 'https://ledger.example.com' }))],
  ['for another port', (c) => (c.authorization = authorization({ to: `${ORIGIN}:8443` }))],
  ['for another scheme', (c) => (c.authorization = authorization({ to: 'http://ledger.example.org' }))],
  [
    'for another node, said to be for this one',
    (c) => {
      c.authorization = authorization({ to: 'https://ledger.example.com' }).replace(
        'https://ledger.example.com',
        ORIGIN,
      )
    },
  ],
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
  ['another id', rewritten(REQUEST.id, testNonce('other'))],
  ['an id of 15 bytes', rewritten(REQUEST.id, REQUEST.id.slice(2))],
  ['a leading zero in the time', rewritten('"17', '"017')],
  [
    'parameters in another order',
    (c) => {
      const [first = '', ...rest] = String(c.authorization).slice('Solar '.length).split(', ')
      c.authorization = `Solar ${[...rest, first].join(',')}`
    },
  ],
  ['a parameter twice', (c) => (c.authorization = `${String(c.authorization)}, to="${ORIGIN}"`)],
  ['a parameter too many', (c) => (c.authorization = `${String(c.authorization)}, realm="x"`)],
  ['a value without quotes', rewritten('"alice"', 'alice')],
  ['no scheme', (c) => (c.authorization = String(c.authorization).slice('Solar '.length))],
  ['another scheme', rewritten('Solar', 'Bearer')],
  ['another scheme of the same length', rewritten('Solar', 'Token')],
  ['no voter', rewritten('voter_id="alice", ', '')],
  ['no origin', rewritten(`to="${ORIGIN}", `, '')],
]

/** Signed HTTP requests. */
export function requestCases(): VectorFile {
  const base = {
    method: REQUEST.method,
    path: REQUEST.path,
    chain_id: CHAIN_ID,
    public_key: testKey('alice').publicKey,
  }
  const origins = [ORIGIN, 'http://127.0.0.1:8080']
  return {
    about:
      'The Authorization header of a request with this method and path (with query) to a node with these origins, checked at the time "now" with the public key of the voter named in it. signing_bytes (hex) is what the signature is over.',
    cases: REQUEST_CHANGES.map(([name, change]) => {
      const draft: Draft = { ...base, now: NOW, authorization: authorization({}) }
      change(draft)
      const read = () => parseAuthorization(String(draft.authorization), String(draft.method), String(draft.path))
      const outcome = outcomeOf(() => {
        const received = { method: 'GET', path: String(draft.path), to: origins } as const
        return verifyCredential(read(), received, String(draft.chain_id), String(draft.public_key), NOW)
      })
      if (!outcome.ok) return { name, ...draft, origins, ...outcome }
      const credential = read()
      const body = without('voter_id', without('signature', credential))
      const signing_bytes = signingHex('request', CHAIN_ID, body)
      return { name, ...draft, origins, voter_id: credential.voter_id, signing_bytes, ok: true }
    }),
  }
}

const PEER_REQUEST = {
  method: 'P2P',
  path: tradesPath(3),
  timestamp: NOW - 1_000,
  id: testNonce('peer request'),
  from: '12D3KooWasker',
  to: '12D3KooWserver',
} as const
const peerCredential = (change: Partial<Record<'from' | 'to' | 'path', string>> = {}) =>
  signRequest('alice', CHAIN_ID, { ...PEER_REQUEST, ...change }, testKey('alice'))

const PEER_REQUEST_CHANGES: readonly Change[] = [
  ['a credential of the peer that asks, for the one that answers', () => undefined],
  ['over the connection of another peer', (c) => (c.from = '12D3KooWrelay')],
  ['shown to another peer', (c) => (c.to = '12D3KooWother')],
  [
    'of another peer, said to be of this one',
    (c) => {
      c.credential = { ...peerCredential({ from: '12D3KooWrelay' }), from: PEER_REQUEST.from }
    },
  ],
  [
    'for another peer, said to be for this one',
    (c) => {
      c.credential = { ...peerCredential({ to: '12D3KooWother' }), to: PEER_REQUEST.to }
    },
  ],
  ['that names no asking peer', (c) => (c.credential = without('from', peerCredential()))],
  ['that names no answering peer', (c) => (c.credential = without('to', peerCredential()))],
  ['of another page', (c) => (c.credential = peerCredential({ path: tradesPath(4) }))],
  ['for HTTP', (c) => (c.credential = { ...peerCredential(), method: 'GET' })],
  ['of another chain', (c) => (c.chain_id = OTHER_CHAIN)],
  ['the key of somebody else', (c) => (c.public_key = testKey('bob').publicKey)],
  ['more than 60 s old', (c) => (c.now = NOW + 60_000)],
]

/** Credentials over libp2p. */
export function peerRequestCases(): VectorFile {
  return {
    about:
      'The credential of a libp2p request with this path, from the peer "from" to the peer "to", checked at the time "now" with this public key. signing_bytes (hex) is what the signature is over.',
    cases: PEER_REQUEST_CHANGES.map(([name, change]) => {
      const { path, from, to } = PEER_REQUEST
      const known = { chain_id: CHAIN_ID, public_key: testKey('alice').publicKey, now: NOW }
      const draft: Draft = { path, from, to, ...known, credential: peerCredential() }
      change(draft)
      const outcome = outcomeOf(() => {
        const received = { method: 'P2P', path, from: String(draft.from), to: [String(draft.to)] } as const
        const credential = peerCredentialShape(draft.credential, 'credential')
        return verifyCredential(
          credential,
          received,
          String(draft.chain_id),
          String(draft.public_key),
          Number(draft.now),
        )
      })
      if (!outcome.ok) return { name, ...draft, ...outcome }
      const body = without('voter_id', without('signature', peerCredential()))
      return { name, ...draft, signing_bytes: signingHex('request', CHAIN_ID, body), ok: true }
    }),
  }
}

const DAY = 24 * 3_600_000
const membership = (change: Partial<Membership> = {}, name: KeyName = 'authority') => {
  const body = {
    chain_id: CHAIN_ID,
    voter_id: 'alice.phone',
    user_id: 'alice',
    issued_at: NOW - DAY,
    expires_at: NOW + 89 * DAY,
    issuer: 'authority-1',
  }
  return signMembership({ ...body, ...change }, testKey(name))
}
const PRESENT = { public_key: testKey('authority').publicKey, until: null }
const RETIRED_AT = NOW - 2 * DAY
const RETIRED = { public_key: testKey('bob').publicKey, until: RETIRED_AT }

const MEMBERSHIP_CHANGES: readonly Change[] = [
  ['a certificate for 90 days', () => undefined],
  ['for a millisecond more', (c) => (c.membership = membership({ expires_at: NOW + 89 * DAY + 1 }))],
  ['in its last millisecond', (c) => (c.now = NOW + 89 * DAY - 1)],
  ['expired', (c) => (c.now = NOW + 89 * DAY)],
  ['issued 2 minutes ahead', (c) => (c.now = NOW - DAY - 120_000)],
  ['issued more than 2 minutes ahead', (c) => (c.now = NOW - DAY - 120_001)],
  ['of another voter', (c) => (c.voter_id = 'bob.phone')],
  ['of another chain', (c) => (c.chain_id = OTHER_CHAIN)],
  ['of another user than was signed', (c) => (c.membership = { ...membership(), user_id: 'bob' })],
  ['by a key that the issuer had rotated away from before', (c) => (c.membership = membership({}, 'bob'))],
  [
    'by a key that the issuer rotated away from since',
    (c) => {
      c.membership = membership({ issued_at: RETIRED_AT, expires_at: RETIRED_AT + 90 * DAY }, 'bob')
    },
  ],
  ['by a key that does not count', (c) => (c.keys = [RETIRED])],
  ['of an issuer without keys', (c) => (c.keys = [])],
]

/** Membership certificates. */
export function membershipCases(): VectorFile {
  return {
    about:
      'The certificate of whose device a voter is, checked at the time "now" with the keys of its issuer that count: "until" is when it rotated away from one, null for the present one. signing_bytes (hex) is what the signature is over.',
    cases: MEMBERSHIP_CHANGES.map(([name, change]) => {
      const draft: Draft = {
        ...{ chain_id: CHAIN_ID, voter_id: 'alice.phone', now: NOW, keys: [PRESENT, RETIRED] },
        membership: membership(),
      }
      change(draft)
      const keys = draft.keys as readonly IssuerKey[]
      const outcome = outcomeOf(() => {
        const voter = { chainId: String(draft.chain_id), voterId: String(draft.voter_id) }
        return verifyMembership(membershipShape(draft.membership, 'membership'), voter, keys, Number(draft.now))
      })
      if (!outcome.ok) return { name, ...draft, ...outcome }
      const body = without('signature', draft.membership as Draft)
      return { name, ...draft, signing_bytes: signingHex('member', CHAIN_ID, body), ok: true }
    }),
  }
}
