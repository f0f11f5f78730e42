import { assembleHeader } from '../../../src/protocol/block.ts'
import type { Hash } from '../../../src/protocol/bytes.ts'
import { formatQuantity } from '../../../src/protocol/decimal.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../../../src/protocol/genesis.ts'
import { hashHeader, sealHeader, type Header } from '../../../src/protocol/header.ts'
import { historyLeaf, MemoryTree } from '../../../src/protocol/history.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import { signingKeyFromSecret, type SigningKey } from '../../../src/protocol/signature.ts'
import { hashTransaction, type Trade } from '../../../src/protocol/transaction.ts'
import { signVote, type Vote } from '../../../src/protocol/vote.ts'
import { testNonce, testSecret } from '../../vectors/keys.ts'
import type { ListedHeader, ToldVote } from '../../../src/web/answers.ts'

/** A real chain: sealed headers, trades and votes with the test keys, and the registry at each height. */
export interface SmallChain {
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly history: MemoryTree
  readonly headers: ListedHeader[]
  readonly trades: (readonly Trade[])[]
  /** Seals `trades` transactions as the next block. `registry` is the one after it. */
  seal(trades: number, timestamp: number, registry?: Registry): ListedHeader
  vote(listed: ListedHeader, voter: string, decision?: Vote['decision']): ToldVote
}

const HOUSEHOLDS = ['house-ash', 'house-birch', 'house-cedar', 'house-elm']
const keyOf = (name: string): SigningKey => signingKeyFromSecret(testSecret(name))

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
  let parent: { header: Header; hash: Hash } | null = null
  let registry = genesisRegistry

  return {
    genesis,
    chainId,
    history,
    headers,
    trades,
    seal(count, timestamp, after = registry) {
      registry = after
      const height = headers.length
      const rows = Array.from({ length: count }, (_, row) => tradeOf(height, row, timestamp))
      const tip = { parent, historyRoot: history.root() }
      const txHashes = rows.map(hashTransaction)
      const header = assembleHeader(genesis, chainId, tip, { timestamp }, txHashes, registry.root, 'authority')
      const { signature } = sealHeader(header, keyOf('authority'))
      const hash = hashHeader(header)
      const listed: ListedHeader = { header, header_hash: hash, signature, status: 'final' }
      headers.push(listed)
      trades.push(rows)
      history.append(historyLeaf(hash))
      parent = { header, hash }
      return listed
    },
    vote({ header, header_hash }, voter_id, decision = 'ack') {
      const body = { chain_id: chainId, header_hash, height: header.height, voter_id, decision }
      const known = registry.entry(voter_id) ?? genesisRegistry.entries[0]
      if (known === undefined) throw new Error('the registry is empty')
      return { vote: signVote(body, keyOf(voter_id)), entry: known }
    },
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
