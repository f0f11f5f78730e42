import { assembleHeader, verifyBlockBody, type ChainTip } from '../../src/protocol/block.ts'
import { canonicalText } from '../../src/protocol/canonical-json.ts'
import { formatQuantity } from '../../src/protocol/decimal.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../../src/protocol/genesis.ts'
import { hashHeader, headerShape, verifyHeaderLink, type Header, type SealedHeader } from '../../src/protocol/header.ts'
import { EMPTY_HISTORY_ROOT, historyLeaf, MemoryTree } from '../../src/protocol/history.ts'
import { REGISTRY_VALIDITY_MS } from '../../src/protocol/limits.ts'
import { merkleRoot } from '../../src/protocol/merkle.ts'
import { Registry } from '../../src/protocol/registry.ts'
import { decodePostedRegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import { array } from '../../src/protocol/shape.ts'
import {
  canonicalTransaction,
  checkTransaction,
  hashTransaction,
  transactionShape,
  type Correction,
  type Trade,
  type Transaction,
} from '../../src/protocol/transaction.ts'
import { sealHeader, signRegistryTransaction } from '../helpers/sign-now.ts'
import { copyOf, outcomeOf, type VectorFile } from './case.ts'
import { testKey, testNonce } from './keys.ts'

const publicKey = (name: Parameters<typeof testKey>[0]) => testKey(name).publicKey

/** The genesis of the test chain. */
export const GENESIS: Genesis = {
  version: 1,
  name: 'Test street',
  origin: 'ledger.example.org/test-street',
  created_at: 1_760_000_000_000,
  currency: 'EUR',
  amount_decimals: 6,
  seal: 'authority',
  difficulty: 0,
  finality: { policy: 'authority' },
  registry: [
    { id: 'authority-1', role: 'authority', public_key: publicKey('authority'), recovery_key: publicKey('recovery') },
    { id: 'alice', role: 'voter', public_key: publicKey('alice'), recovery_key: null },
    { id: 'bob', role: 'voter', public_key: publicKey('bob'), recovery_key: null },
  ],
}
export const CHAIN_ID = chainIdOf(GENESIS)
export const REGISTRY = Registry.fromGenesis(GENESIS)

type Draft = Record<string, unknown>
type Change = readonly [name: string, change: (draft: Draft) => void]
const entriesOf = (draft: Draft) => draft.registry as Draft[]

const GENESIS_CHANGES: readonly Change[] = [
  ['the test chain', () => undefined],
  ['another moment, another chain', (g) => (g.created_at = 1_760_000_000_001)],
  ['two decimals', (g) => (g.amount_decimals = 2)],
  ['work', (g) => Object.assign(g, { seal: 'work', difficulty: 2 })],
  ['no authority', (g) => entriesOf(g).shift()],
  ['an id twice', (g) => (entriesOf(g)[2]!.id = 'alice')],
  ['a key twice', (g) => (entriesOf(g)[2]!.public_key = entriesOf(g)[1]!.public_key)],
  ['a recovery key that is a key of the registry', (g) => (entriesOf(g)[0]!.recovery_key = publicKey('alice'))],
  ['a key of small order', (g) => (entriesOf(g)[1]!.public_key = `01${'0'.repeat(62)}`)],
  ['a key that is no point', (g) => (entriesOf(g)[1]!.public_key = `02${'0'.repeat(62)}`)],
  ['a key in upper case', (g) => (entriesOf(g)[1]!.public_key = publicKey('alice').toUpperCase())],
  ['difficulty without work', (g) => (g.difficulty = 1)],
  ['work without difficulty', (g) => (g.seal = 'work')],
  ['version 2', (g) => (g.version = 2)],
  ['an unknown field', (g) => (g.note = 'x')],
  ['a missing field', (g) => delete g.currency],
  ['an origin with a scheme', (g) => (g.origin = 'https://ledger.example.org')],
  ['a name outside ASCII', (g) => (g.name = 'Stra\u00dfe')],
  ['an unknown role', (g) => (entriesOf(g)[1]!.role = 'admin')],
  ['an entry without recovery_key', (g) => delete entriesOf(g)[1]!.recovery_key],
  ['an unknown policy', (g) => (g.finality = { policy: 'none' })],
  ['a threshold of 500 votes', (g) => (g.finality = { policy: 'votes', threshold: 500 })],
  ['a threshold of 501 votes', (g) => (g.finality = { policy: 'votes', threshold: 501 })],
  ['a threshold under policy authority', (g) => (g.finality = { policy: 'authority', threshold: 1 })],
  ['seven decimals', (g) => (g.amount_decimals = 7)],
]

/** Genesis objects, the chains they make, and those that make none. */
export function genesisCases(): VectorFile {
  return {
    about: 'genesis -> chain_id = sha256(canonical(genesis)), and registry_root before and at height 0.',
    cases: GENESIS_CHANGES.map(([name, change]) => {
      const genesis = copyOf(GENESIS) as unknown as Draft
      change(genesis)
      const outcome = outcomeOf(() => void decodeGenesis(genesis))
      if (!outcome.ok) return { name, genesis, ...outcome }
      const decoded = decodeGenesis(genesis)
      const canonical = canonicalText(decoded)
      const registry_root = Registry.fromGenesis(decoded).root
      return { name, genesis, ok: true, canonical, chain_id: chainIdOf(decoded), registry_root }
    }),
  }
}

export const TRADE: Trade = {
  kind: 'trade',
  id: 'tx-1',
  from_user_id: 'alice',
  to_user_id: 'bob',
  kwh: '1.5',
  price_per_kwh: '0.2',
  total_amount: '0.3',
  timestamp: 1_760_000_300_000,
  tick_id: 'tick-1',
  nonce: testNonce(1),
}
export const CORRECTION: Correction = {
  kind: 'correction',
  id: 'tx-2',
  corrects: 'tx-1',
  kwh_delta: '-0.25',
  amount_delta: '-0.05',
  reason: 'late "meter" data \\ April',
  timestamp: 1_760_000_600_000,
  tick_id: 'tick-2',
  nonce: testNonce(2),
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
/** So many bytes that begin as an age file does; nobody can open it. */
const payloadOf = (bytes: number): string => {
  const first = 'age-encryption.org/v1\n'
  const rest = Array.from({ length: bytes - first.length }, (_, i) => (i * 251 + 187) % 256)
  return Buffer.concat([Buffer.from(first), Buffer.from(rest)]).toString('base64')
}

const TRADE_CHANGES: readonly Change[] = [
  ['a trade', () => undefined],
  ['a trade with every character of an identifier', (t) => (t.id = 'Az09._:@+-')],
  [
    'a trade within half a unit of kwh x price',
    (t) => Object.assign(t, { kwh: '0.000001', price_per_kwh: '0.5', total_amount: '0' }),
  ],
  ['a free trade', (t) => Object.assign(t, { price_per_kwh: '0', total_amount: '0' })],
  ['the time 0', (t) => (t.timestamp = 0)],
  ['the greatest time', (t) => (t.timestamp = Number.MAX_SAFE_INTEGER)],
  ['a trade with oneself', (t) => (t.to_user_id = 'alice')],
  ['no energy', (t) => Object.assign(t, { kwh: '0', total_amount: '0' })],
  ['a wrong total', (t) => (t.total_amount = '0.300001')],
  [
    'a total that no quantity can hold',
    (t) => Object.assign(t, { kwh: '999999999999', price_per_kwh: '999999999999' }),
  ],
  ['kwh as a number', (t) => (t.kwh = 1.5)],
  ['kwh with a trailing zero', (t) => (t.kwh = '1.50')],
  ['negative kwh', (t) => (t.kwh = '-1.5')],
  ['time as a string', (t) => (t.timestamp = '1760000300000')],
  ['a fraction of a millisecond', (t) => (t.timestamp = 0.5)],
  ['a time before 1970', (t) => (t.timestamp = -1)],
  ['a nonce of 15 bytes', (t) => (t.nonce = testNonce(1).slice(2))],
  ['a nonce in upper case', (t) => (t.nonce = 'AB'.repeat(16))],
  ['no nonce', (t) => delete t.nonce],
  ['an unknown field', (t) => (t.note = '')],
  ['an empty id', (t) => (t.id = '')],
  ['an id of 65 characters', (t) => (t.id = 'x'.repeat(65))],
  ['an id with a space', (t) => (t.id = 'tx 1')],
  ['an id with a line break behind it', (t) => (t.id = 'tx-1\n')],
  ['an id that is a number', (t) => (t.id = 1)],
  ['no kind', (t) => delete t.kind],
  ['an unknown kind', (t) => (t.kind = 'gift')],
  ['a redacted body', (t) => (t.kind = 'redacted')],
  ['a payload', (t) => (t.payload = payloadOf(300))],
  ['the smallest payload', (t) => (t.payload = payloadOf(24))],
  ['a payload of 4,096 bytes', (t) => (t.payload = payloadOf(4_096))],
  ['a payload of 4,097 bytes', (t) => (t.payload = payloadOf(4_097))],
  ['a payload of 4,098 bytes', (t) => (t.payload = payloadOf(4_098))],
  ['a payload that is no age file', (t) => (t.payload = base64('not encrypted'))],
  ['a payload of another version of age', (t) => (t.payload = base64(`age-encryption.org/v2\n${'x'.repeat(20)}`))],
  ['a payload that is the first line of an age file alone', (t) => (t.payload = base64('age-encryption.org/v1\n'))],
  ['a payload whose first line goes on', (t) => (t.payload = base64(`age-encryption.org/v1 ${'x'.repeat(20)}`))],
  ['a payload in hex', (t) => (t.payload = Buffer.from(payloadOf(60), 'base64').toString('hex'))],
  ['a payload in armor', (t) => (t.payload = `-----BEGIN AGE ENCRYPTED FILE-----\n${payloadOf(60)}`)],
  ['a payload without padding', (t) => (t.payload = payloadOf(100).replaceAll('=', ''))],
  ['a payload with more padding', (t) => (t.payload = `${payloadOf(99)}==`)],
  ['a payload with spare bits', (t) => (t.payload = payloadOf(100).replace(/.==$/, 'B=='))],
  ['a payload in base64url', (t) => (t.payload = payloadOf(300).replaceAll('+', '-').replaceAll('/', '_'))],
  ['a payload with a line break', (t) => (t.payload = `${payloadOf(300)}\n`)],
  ['an empty payload', (t) => (t.payload = '')],
  ['a payload of null', (t) => (t.payload = null)],
]
const CORRECTION_CHANGES: readonly Change[] = [
  ['a correction', () => undefined],
  ['a correction upwards', (t) => Object.assign(t, { kwh_delta: '0.25', amount_delta: '0' })],
  ['nothing corrected', (t) => Object.assign(t, { kwh_delta: '0', amount_delta: '0' })],
  ['a correction of itself', (t) => (t.corrects = 'tx-2')],
  ['minus zero', (t) => (t.kwh_delta = '-0')],
  ['a reason with a line break', (t) => (t.reason = 'a\nb')],
  ['an empty reason', (t) => (t.reason = '')],
  ['a reason of 201 characters', (t) => (t.reason = 'x'.repeat(201))],
  ['a field of trades', (t) => (t.kwh = '1')],
  ['a payload', (t) => (t.payload = payloadOf(300))],
]

/** Transactions, their canonical text and hash, and rows that are none. */
export function transactionCases(): VectorFile {
  const of = (base: Transaction, changes: readonly Change[]) =>
    changes.map(([name, change]) => {
      const transaction = copyOf(base) as unknown as Draft
      change(transaction)
      const outcome = outcomeOf(() => {
        checkTransaction(transactionShape(transaction, 'transaction'), 6)
        return undefined
      })
      if (!outcome.ok) return { name, transaction, ...outcome }
      const tx = transactionShape(transaction, 'transaction')
      return { name, transaction, ok: true, canonical: canonicalTransaction(tx), tx_hash: hashTransaction(tx) }
    })
  return {
    about:
      'Transactions under amount_decimals 6: tx_hash = sha256(canonical(transaction)), the leaf of the block tree.',
    cases: [...of(TRADE, TRADE_CHANGES), ...of(CORRECTION, CORRECTION_CHANGES)],
  }
}

/** Trade `i` of tick `tick_id` of the test chain. */
export const tradeOf = (i: number, tick_id: string, timestamp: number): Trade => ({
  ...TRADE,
  id: `tx-${tick_id}-${i}`,
  from_user_id: i % 2 === 0 ? 'alice' : 'bob',
  to_user_id: i % 2 === 0 ? 'bob' : 'alice',
  kwh: `${i + 1}.5`,
  price_per_kwh: '0.2',
  total_amount: formatQuantity(BigInt(i + 1) * 200_000n + 100_000n),
  timestamp,
  tick_id,
  nonce: testNonce(`${tick_id} ${i}`),
})

export interface TestBlock {
  readonly sealed: SealedHeader
  readonly hash: string
  readonly transactions: readonly Transaction[]
}

/** Seals ticks of the given sizes, 300 s apart, on the test genesis. */
export function sealTestChain(sizes: readonly number[], genesis: Genesis = GENESIS): readonly TestBlock[] {
  const history = new MemoryTree()
  const blocks: TestBlock[] = []
  const chainId = chainIdOf(genesis)
  sizes.forEach((size, height) => {
    const timestamp = genesis.created_at + 300_000 * (height + 1)
    const transactions = Array.from({ length: size }, (_, i) => tradeOf(i, `tick-${height}`, timestamp))
    const parent = blocks.at(-1)
    const tip: ChainTip = {
      parent: parent === undefined ? null : { header: parent.sealed.header, hash: parent.hash },
      historyRoot: history.root(),
    }
    const root = Registry.fromGenesis(genesis).root
    const header = assembleHeader(
      genesis,
      chainId,
      tip,
      { timestamp },
      transactions.map(hashTransaction),
      root,
      'authority-1',
    )
    const hash = hashHeader(header)
    blocks.push({ sealed: sealHeader(header, testKey('authority')), hash, transactions })
    history.append(historyLeaf(hash))
  })
  return blocks
}

const LINK_CHANGES: readonly Change[] = [
  ['a later header', () => undefined],
  ['the time of its parent', (h) => (h.timestamp = GENESIS.created_at + 300_000)],
  ['a time before its parent', (h) => (h.timestamp = GENESIS.created_at + 299_999)],
  ['another chain', (h) => (h.chain_id = '0'.repeat(64))],
  ['a height left out', (h) => (h.height = 2)],
  ['another parent', (h) => (h.prev_hash = CHAIN_ID)],
  ['a nonce without work', (h) => (h.nonce = 1)],
  ['a difficulty that is not that of the genesis', (h) => (h.difficulty = 1)],
  ['version 2', (h) => (h.version = 2)],
  ['an unknown field', (h) => (h.block_hash = '0'.repeat(64))],
  ['a missing field', (h) => delete h.history_root],
  ['more transactions than a block holds', (h) => (h.tx_count = 100_001)],
  ['a merkle_root in upper case', (h) => (h.merkle_root = 'AB'.repeat(32))],
]

/** Headers as successors of the test genesis or of another header. */
export function headerLinks(): VectorFile {
  const [first, second] = sealTestChain([3, 1])
  const of = (parent: Header | null, next: Header, changes: readonly Change[]) =>
    changes.map(([name, change]) => {
      const header = copyOf(next) as unknown as Draft
      change(header)
      const before = parent === null ? null : { header: parent, hash: hashHeader(parent) }
      const outcome = outcomeOf(() => verifyHeaderLink(headerShape(header, 'header'), before, GENESIS, CHAIN_ID))
      return { name, parent, header, ...outcome }
    })
  const firstChanges: readonly Change[] = [
    ['height 0', () => undefined],
    ['height 0 with the time of the genesis', (h) => (h.timestamp = GENESIS.created_at)],
    ['height 0 before the genesis', (h) => (h.timestamp = GENESIS.created_at - 1)],
    ['height 0 without the chain_id as parent', (h) => (h.prev_hash = EMPTY_HISTORY_ROOT)],
  ]
  return {
    about:
      'Is "header" a successor of "parent" (null: of the genesis "the test chain" of genesis.json)? Not its seal, not its roots.',
    cases: [
      ...of(null, first!.sealed.header, firstChanges),
      ...of(first!.sealed.header, second!.sealed.header, LINK_CHANGES),
    ],
  }
}

const BODY_CHANGES: readonly (readonly [name: string, change: (txs: Draft[], header: Draft) => void])[] = [
  ['a block', () => undefined],
  ['a transaction left out', (txs) => txs.pop()],
  ['a transaction twice', (txs) => txs.push(txs[2]!)],
  ['a transaction twice in place of another', (txs) => (txs[2] = txs[1]!)],
  ['two transactions swapped', (txs) => txs.reverse()],
  ['an amount changed', (txs) => Object.assign(txs[0]!, { kwh: '3', total_amount: '0.6' })],
  ['a total changed', (txs) => (txs[0]!.total_amount = '9')],
  ['a transaction of another tick', (txs) => (txs[1]!.tick_id = 'tick-9')],
  ['a nonce changed', (txs) => (txs[1]!.nonce = testNonce('other'))],
  ['a redacted body', (txs) => (txs[1] = { kind: 'redacted', tx_hash: '0'.repeat(64) })],
  ['the duplicate that has the same root (CVE-2012-2459)', (txs, header) => (txs.push(txs[2]!), (header.tx_count = 4))],
]

/** Changes of the registry of this age, one for each of these households, and what else is in their block. */
const ofAge =
  (ageMs: number, ids: readonly ('alice' | 'bob')[] = ['bob'], others: readonly Transaction[] = []) =>
  (txs: Draft[], header: Draft): void => {
    const common = { kind: 'registry', action: 'revoke', timestamp: Number(header.timestamp) - ageMs } as const
    const changes = ids.map((subject_id) => {
      const body = { ...common, id: `revoke-${subject_id}`, subject_id, nonce: testNonce('revoke-bob') }
      return decodePostedRegistryTransaction(signRegistryTransaction(body, CHAIN_ID, testKey(subject_id)))
    })
    const tick_id = changes[0]!.tick_id
    const all = [...changes, ...others.map((tx) => ({ ...tx, tick_id }))]
    txs.splice(0, txs.length, ...(all as unknown as Draft[]))
    Object.assign(header, { tx_count: all.length, merkle_root: merkleRoot(all.map(hashTransaction)) })
  }
const REGISTRY_CHANGES: typeof BODY_CHANGES = [
  ['a change of the registry that was signed 24 hours before', ofAge(REGISTRY_VALIDITY_MS)],
  ['a change of the registry that was signed a millisecond earlier than that', ofAge(REGISTRY_VALIDITY_MS + 1)],
  ['a change of the registry that was signed at the time of its block', ofAge(0)],
  ['a change of the registry that was signed a millisecond later', ofAge(-1)],
  ['two changes of the registry', ofAge(0, ['alice', 'bob'])],
  [
    'a change of the registry and a trade of the same tick',
    ofAge(0, ['bob'], [tradeOf(0, 'tick-0', GENESIS.created_at)]),
  ],
]

/** Block bodies against their header. */
export function blockBodies(): VectorFile {
  const block = sealTestChain([3])[0]!
  const shape = array(transactionShape, 100_000)
  return {
    about:
      'Are these the transactions of this header, under the genesis "the test chain"? Count, one tick, each valid, changes of the registry alone and signed in the 24 hours before, none equal, the Merkle root.',
    cases: [...BODY_CHANGES, ...REGISTRY_CHANGES].map(([name, change]) => {
      const { header, transactions } = copyOf({ header: block.sealed.header, transactions: block.transactions })
      change(transactions as unknown as Draft[], header)
      const outcome = outcomeOf(() => verifyBlockBody(header, shape(transactions, 'transactions'), GENESIS))
      return { name, header, transactions, ...outcome }
    }),
  }
}
