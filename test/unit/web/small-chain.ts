import { assembleHeader, type ShownBlock } from '../../../src/protocol/block.ts'
import type { Hash } from '../../../src/protocol/bytes.ts'
import { formatQuantity } from '../../../src/protocol/decimal.ts'
import { chainIdOf, decodeGenesis, type Genesis, type Role } from '../../../src/protocol/genesis.ts'
import { hashHeader, type Header } from '../../../src/protocol/header.ts'
import { historyLeaf, MemoryTree } from '../../../src/protocol/history.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import {
  registryTickId,
  type RegistryTransaction,
  type RegistryTransactionBody,
} from '../../../src/protocol/registry-transaction.ts'
import { hashTransaction, type Trade, type Transaction } from '../../../src/protocol/transaction.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import { testNonce, testSecret } from '../../vectors/keys.ts'
import type { ListedHeader, ToldVote } from '../../../src/web/answers.ts'
import { sealHeader, signingKeyFromSecret, signVote, type TestKey } from '../../helpers/sign-now.ts'
import { signedChange } from '../../helpers/signed-change.ts'

type Fields<T> = T extends unknown ? Omit<T, 'kind' | 'id' | 'timestamp' | 'nonce'> : never
export type RegistryFields = Fields<RegistryTransactionBody>

/** A real chain: sealed headers, trades and votes with the test keys, and the registry at each height. */
export interface SmallChain {
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly history: MemoryTree
  readonly headers: ListedHeader[]
  readonly trades: (readonly Trade[])[]
  /** Seals `trades` transactions as the next block. */
  seal(trades: number, timestamp: number): ListedHeader
  /** Enrols a new id in a block of its own. */
  enrol(id: string, role: Role, timestamp: number): ListedHeader
  /** Any change of the registry, signed by the key of `signer`. */
  change(signer: string, fields: RegistryFields, timestamp: number): ListedHeader
  /** The whole blocks that changed the registry. */
  readonly changes: ShownBlock[]
  vote(listed: ListedHeader, voter: string, decision?: Vote['decision']): ToldVote
}

const HOUSEHOLDS = ['house-ash', 'house-birch', 'house-cedar', 'house-elm']
const keyOf = (name: string): TestKey => signingKeyFromSecret(testSecret(name))

export function smallChain(
  options: { finality?: Genesis['finality']; households?: readonly string[] } = {},
): SmallChain {
  const entry = (id: string, role: 'authority' | 'validator' | 'voter') => ({
    id,
    role,
    public_key: keyOf(id).publicKey,
    recovery_key: null,
  })
  const genesis = decodeGenesis({
    version: 1,
    name: 'Sunny Street Energy Community',
    origin: 'ledger.example.org/sunny-street',
    created_at: 1_760_000_000_000,
    currency: 'EUR',
    amount_decimals: 6,
    seal: 'authority',
    difficulty: 0,
    finality: options.finality ?? { policy: 'authority' },
    registry: [
      entry('authority', 'authority'),
      entry('validator-1', 'validator'),
      entry('validator-2', 'validator'),
      ...(options.households ?? HOUSEHOLDS).map((id) => entry(id, 'voter')),
    ],
  })
  const chainId = chainIdOf(genesis)
  const genesisRegistry = Registry.fromGenesis(genesis)
  const history = new MemoryTree()
  const headers: ListedHeader[] = []
  const trades: (readonly Trade[])[] = []
  const changes: ShownBlock[] = []
  let parent: { header: Header; hash: Hash } | null = null
  let registry = genesisRegistry

  return {
    genesis,
    chainId,
    history,
    headers,
    trades,
    changes,
    seal(count, timestamp) {
      const rows = Array.from({ length: count }, (_, row) => tradeOf(headers.length, row, timestamp))
      trades.push(rows)
      return sealRows(rows, timestamp)
    },
    enrol: (id, role, timestamp) =>
      change(id, { action: 'enrol', subject_id: id, role, public_key: keyOf(id).publicKey }, timestamp),
    change,
    vote({ header, header_hash }, voter_id, decision = 'ack') {
      const body = { chain_id: chainId, header_hash, height: header.height, voter_id, decision }
      const known = registry.entry(voter_id) ?? genesisRegistry.entries[0]
      if (known === undefined) throw new Error('the registry is empty')
      return { vote: signVote(body, keyOf(voter_id)), entry: known }
    },
  }

  function change(signer: string, fields: RegistryFields, timestamp: number): ListedHeader {
    const nonce = testNonce(`change ${headers.length}`)
    const body = { kind: 'registry' as const, id: `change-${headers.length}`, timestamp, nonce, ...fields }
    const posted = signedChange(body, chainId, keyOf(signer), { id: 'authority', key: keyOf('authority') })
    const tx: RegistryTransaction = { ...posted, tick_id: registryTickId(nonce) }
    registry = registry.after([tx], headers.length, new Set())
    trades.push([])
    const { header, signature, ...listed } = sealRows([tx], timestamp)
    changes.push({ header, signature, transactions: [tx] })
    return { header, signature, ...listed }
  }

  function sealRows(rows: readonly Transaction[], timestamp: number): ListedHeader {
    const tip = { parent, historyRoot: history.root() }
    const txHashes = rows.map(hashTransaction)
    const header = assembleHeader(genesis, chainId, tip, { timestamp }, txHashes, registry.root, 'authority')
    const { signature } = sealHeader(header, keyOf('authority'))
    const hash = hashHeader(header)
    const listed: ListedHeader = { header, header_hash: hash, signature, status: 'final' }
    headers.push(listed)
    history.append(historyLeaf(hash))
    parent = { header, hash }
    return listed
  }
}

function tradeOf(height: number, row: number, timestamp: number): Trade {
  return {
    kind: 'trade',
    id: `trade-${height}-${row}`,
    from_user_id: HOUSEHOLDS[row % 4] ?? 'house-ash',
    to_user_id: HOUSEHOLDS[(row + 1) % 4] ?? 'house-elm',
    kwh: String(row + 1),
    price_per_kwh: '0.2',
    total_amount: formatQuantity(BigInt(row + 1) * 200_000n),
    timestamp,
    tick_id: `tick-${height}`,
    nonce: testNonce(`web ${height} ${row}`),
  }
}
