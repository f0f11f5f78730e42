import { genesisState, sizeOf, stateAfter, type ChainState } from '../../src/engine/chain-state.ts'
import { assembleHeader, registryTransactionsOf, sealingKey, type Block } from '../../src/protocol/block.ts'
import type { Hash } from '../../src/protocol/bytes.ts'
import type { BlockPoint } from '../../src/protocol/finality.ts'
import { chainIdOf, decodeGenesis, type Finality, type Genesis, type Role } from '../../src/protocol/genesis.ts'
import { sha256, sha256Hex } from '../../src/protocol/hash.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { foldSubtrees } from '../../src/protocol/history.ts'
import {
  decodePostedRegistryTransaction,
  type RegistryTransaction,
  type RegistryTransactionBody,
} from '../../src/protocol/registry-transaction.ts'
import { hashTransaction, type Correction, type Trade, type Transaction } from '../../src/protocol/transaction.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { sealHeader, signingKeyFromSecret, signVote, type TestKey } from './sign-now.ts'
import { signedChange } from './signed-change.ts'

export const STREET_TIME = 1_760_000_000_000

/** The key whose secret follows from its name. */
export const namedKey = (name: string): TestKey => signingKeyFromSecret(sha256(`key of ${name}`))
interface Given {
  readonly timestamp?: number
  /** That of another change puts both into one tick. */
  readonly nonce?: string
}
type Fields<T> = T extends unknown ? Omit<T, 'kind' | 'id' | 'timestamp' | 'nonce'> & Given : never

/** A community whose keys follow from their names, and the chains that its authority may make of it. */
export interface Street {
  readonly genesis: Genesis
  readonly chainId: Hash
  /** The chain without blocks. */
  readonly start: Branch
  /**
   * A signed change of the registry; its id is `name`. Signed at STREET_TIME where no other time is given.
   *
   * @param authority the present key of the authority, which countersigns an authority or a validator; its first one if absent
   */
  change(
    name: string,
    signer: TestKey,
    fields: Fields<RegistryTransactionBody>,
    authority?: TestKey,
  ): RegistryTransaction
  vote(voterId: string, block: BlockPoint, decision?: Vote['decision'], key?: TestKey): Vote
}

/** A chain from its genesis to a tip. Immutable: two that go on from one share its blocks. */
export interface Branch {
  readonly blocks: readonly Block[]
  readonly state: ChainState
  /** Number of blocks. */
  readonly size: number
  readonly tip: BlockPoint
  readonly at: (height: number) => BlockPoint
  /** With one more block for each name: its tick has that name and one trade, `<name>.1`. */
  grow(...names: readonly string[]): Branch
  /** With one more block of these transactions. */
  add(transactions: readonly Transaction[], seal?: SealOptions): Branch
}

export interface SealOptions {
  /** `authority` if absent. It seals with the key that the registry has for it: its `namedKey`, or that of `<id> 2`, `<id> 3`. */
  readonly minerId?: string
  readonly timestamp?: number
}

export interface StreetOptions {
  readonly finality?: Finality
  /** Ids by role, besides `authority`. Each entry's key is `namedKey(id)`. */
  readonly validators?: readonly string[]
  readonly voters?: readonly string[]
  /** Everybody has a recovery key, `namedKey(<id> recovery)`, and not the authority alone. */
  readonly recoverable?: boolean
}

export function createStreet(options: StreetOptions = {}): Street {
  const entry = (role: Role) => (id: string) => ({
    id,
    role,
    public_key: namedKey(id).publicKey,
    recovery_key: options.recoverable === true || role === 'authority' ? namedKey(`${id} recovery`).publicKey : null,
  })
  const genesis = decodeGenesis({
    version: 1,
    name: 'Test street',
    origin: 'street.example',
    created_at: STREET_TIME,
    currency: 'EUR',
    amount_decimals: 6,
    seal: 'authority',
    difficulty: 0,
    finality: options.finality ?? { policy: 'authority' },
    registry: [
      entry('authority')('authority'),
      ...(options.validators ?? []).map(entry('validator')),
      ...(options.voters ?? []).map(entry('voter')),
    ],
  })
  const chainId = chainIdOf(genesis)

  function branch(blocks: readonly Block[], state: ChainState): Branch {
    const at = (height: number): BlockPoint => {
      const block = blocks[height]
      return block === undefined ? { hash: chainId, height: -1 } : { hash: hashHeader(block.header), height }
    }
    const self: Branch = {
      blocks,
      state,
      size: blocks.length,
      tip: at(blocks.length - 1),
      at,
      grow: (...names) => names.reduce<Branch>((grown, name) => grown.add([trade(name, `${name}.1`)]), self),
      add(transactions, seal) {
        const block = sealOn(state, transactions, seal)
        return branch([...blocks, block], stateAfter(state, block, hashHeader(block.header)))
      },
    }
    return self
  }

  function sealOn(
    state: ChainState,
    transactions: readonly Transaction[],
    { minerId = 'authority', timestamp = STREET_TIME + sizeOf(state) * 1_000 }: SealOptions = {},
  ): Block {
    const before = state.registries.at(-1)!.registry
    const changes = registryTransactionsOf(transactions)
    const after = changes.length === 0 ? before : before.after(changes, sizeOf(state), new Set())
    const sealer = sealingKey({ header: { miner_id: minerId }, transactions }, before)
    const parent = { parent: state.tip, historyRoot: foldSubtrees(state.frontier) }
    const hashes = transactions.map(hashTransaction)
    const header = assembleHeader(genesis, chainId, parent, { timestamp }, hashes, after.root, minerId)
    const isOf = (name: string) => namedKey(name).publicKey === sealer
    const keyName = [minerId, `${minerId} 2`, `${minerId} 3`].find(isOf) ?? minerId
    return { ...sealHeader(header, namedKey(keyName)), transactions }
  }

  return {
    genesis,
    chainId,
    start: branch([], genesisState(genesis)),
    change(name, signer, fields, authority = namedKey('authority')) {
      const nonce = sha256Hex(`nonce of ${name}`).slice(0, 32)
      const body = { kind: 'registry' as const, id: name, timestamp: STREET_TIME, nonce, ...fields }
      return decodePostedRegistryTransaction(signedChange(body, chainId, signer, { id: 'authority', key: authority }))
    },
    vote: (voter_id, { hash, height }, decision = 'ack', key = namedKey(voter_id)) =>
      signVote({ chain_id: chainId, header_hash: hash, height, voter_id, decision }, key),
  }
}

export function trade(tickId: string, id: string, fields: Partial<Trade> = {}): Trade {
  return {
    kind: 'trade',
    id,
    from_user_id: 'ann',
    to_user_id: 'ben',
    kwh: '2.5',
    price_per_kwh: '0.2',
    total_amount: '0.5',
    timestamp: STREET_TIME,
    tick_id: tickId,
    nonce: sha256Hex(`nonce of ${id}`).slice(0, 32),
    ...fields,
  }
}

export function correction(tickId: string, id: string, corrects: string, kwh = '-0.5', amount = '-0.1'): Correction {
  return {
    kind: 'correction',
    id,
    corrects,
    kwh_delta: kwh,
    amount_delta: amount,
    reason: 'late meter data',
    timestamp: STREET_TIME,
    tick_id: tickId,
    nonce: sha256Hex(`nonce of ${id}`).slice(0, 32),
  }
}

/** Whole numbers from 0 below a limit, which follow from a seed. */
export function numbersOf(seed: string): (limit: number) => number {
  let count = 0
  return (limit) => Number.parseInt(sha256Hex(`${seed} ${count++}`).slice(0, 8), 16) % limit
}
