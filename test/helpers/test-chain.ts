import { anchorOver, buildAnchor, takeSteps } from '../../src/engine/anchor-builder.ts'
import { Chain } from '../../src/engine/chain.ts'
import { buildReceipt, type PublishedCheckpoint } from '../../src/engine/receipt-builder.ts'
import { walkTrust } from '../../src/engine/trust-path.ts'
import type { ChainStore } from '../../src/ports/chain-store.ts'
import { assembleHeader, sealingKey } from '../../src/protocol/block.ts'
import { newFinalHeight, noteAck } from '../../src/protocol/finality.ts'
import type { Genesis, GenesisEntry, Role } from '../../src/protocol/genesis.ts'
import { foldSubtrees } from '../../src/protocol/history.ts'
import type { AnchorAnswer } from '../../src/protocol/messages.ts'
import { formatNote } from '../../src/protocol/note.ts'
import type { Receipt } from '../../src/protocol/receipt.ts'
import {
  decodePostedRegistryTransaction,
  type RegistryTransactionBody,
} from '../../src/protocol/registry-transaction.ts'
import { hashTransaction, type Correction, type Transaction } from '../../src/protocol/transaction.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { tradeOf } from '../vectors/chain-cases.ts'
import { testNonce, testSecret } from '../vectors/keys.ts'
import { createMemoryChainStore } from './memory-chain-store.ts'
import { cosignNote, sealHeader, signCheckpoint, signingKeyFromSecret, signVote, type TestKey } from './sign-now.ts'
import { signedChange } from './signed-change.ts'

type Change = RegistryTransactionBody extends infer Body
  ? Body extends unknown
    ? Omit<Body, 'kind' | 'id' | 'timestamp' | 'nonce'>
    : never
  : never

/** The test key of this name. */
export const namedKey = (name: string): TestKey => signingKeyFromSecret(testSecret(name))

export const entryOf = (id: string, role: Role, recovery: string | null = null): GenesisEntry => ({
  id,
  role,
  public_key: namedKey(id).publicKey,
  recovery_key: recovery === null ? null : namedKey(recovery).publicKey,
})

const CREATED_AT = 1_760_000_000_000
const TICK_MS = 300_000

export function genesisOf(finality: Genesis['finality'], ...registry: GenesisEntry[]): Genesis {
  return {
    version: 1,
    name: 'Test street',
    origin: 'ledger.example.org/test-street',
    created_at: CREATED_AT,
    currency: 'EUR',
    amount_decimals: 6,
    seal: 'authority',
    difficulty: 0,
    finality,
    registry,
  }
}

/** A chain made by the pure functions, with registry changes, corrections and votes; keys are the test keys of the ids. */
export interface TestChain {
  readonly chain: Chain
  readonly finalHeight: () => number
  /** All that were cast. */
  readonly votes: readonly Vote[]
  /** Seals `count` trades between alice and bob. */
  trade(count?: number): Promise<void>
  correct(trade: string, kwhDelta: string, amountDelta: string): Promise<void>
  /** Seals a registry change, signed with the key of that name. */
  change(change: Change, signer: string): Promise<void>
  /** Seals several in one block, in this order. */
  changeAll(...changes: readonly (readonly [change: Change, signer: string])[]): Promise<void>
  /** `keyName`: the key of a new authority, where it is not that of its id. */
  sealAs(minerId: string, keyName?: string): void
  ack(voter: string, height: number, keyName?: string): Promise<Vote>
  receipt(id: string, final?: number): Promise<Receipt>
  /** `to`: the newest that is said to be final, which is what it is if absent. */
  anchor(from: number | null, to?: number): Promise<AnchorAnswer>
  /** What no honest node gives out: the same whatever votes there are for it. */
  claim(from: number | null, to: number): Promise<AnchorAnswer>
  /** Publishes a checkpoint of the last final header, cosigned by these. */
  checkpoint(...witnesses: string[]): Promise<PublishedCheckpoint>
}

export async function createTestChain(
  genesis: Genesis,
  store: ChainStore = createMemoryChainStore(),
): Promise<TestChain> {
  const chain = await Chain.open(genesis, store)
  const votes: Vote[] = []
  const guarded = new Set<number>()
  let miner = genesis.registry.find(({ role }) => role === 'authority')!.id
  let minerKey = namedKey(miner)
  let published: PublishedCheckpoint | undefined

  async function seal(transactions: readonly Transaction[], timestamp: number): Promise<void> {
    const after = await chain.registryAfter(transactions)
    const tip = { parent: chain.tip, historyRoot: chain.historyRoot }
    const hashes = transactions.map(hashTransaction)
    const header = assembleHeader(genesis, chain.chainId, tip, { timestamp }, hashes, after.root, miner)
    if (sealingKey({ header, transactions }, chain.registry) !== minerKey.publicKey) {
      throw new Error(`${miner} may not seal with this key`)
    }
    await chain.append({ ...sealHeader(header, minerKey), transactions }, hashes)
    if (await chain.isGuarded(header.height)) guarded.add(header.height)
  }
  const now = () => CREATED_AT + TICK_MS * (chain.size + 1)
  function changeAll(...changes: readonly (readonly [change: Change, signer: string])[]): Promise<void> {
    const nonce = testNonce(`change ${chain.size}`)
    const signed = changes.map(([change, signer], at) => {
      const id = `change-${chain.size}${at === 0 ? '' : `-${at}`}`
      const body = { kind: 'registry', id, timestamp: now(), nonce, ...change } as const
      const authority = { id: miner, key: minerKey }
      return decodePostedRegistryTransaction(signedChange(body, chain.chainId, namedKey(signer), authority))
    })
    return seal(signed, now())
  }
  const finalHeight = () =>
    newFinalHeight({
      finalHeight: -1,
      tipHeight: chain.size - 1,
      registryBefore: (height) => chain.recentRegistry(height)!,
      isGuarded: (height) => guarded.has(height),
      ackHeights: ackHeights(),
    })
  function ackHeights(): Map<string, number> {
    const heights = new Map<string, number>()
    for (const { voter_id, height } of votes) noteAck(heights, voter_id, height, chain.recentRegistry(height)!)
    return heights
  }
  const parts = {
    chain,
    anchorHeight: finalHeight,
    acks: {
      acksFrom: (height: number) => {
        const first = new Map<string, Vote>()
        for (const vote of votes.toSorted((a, b) => a.height - b.height)) {
          if (vote.height >= height && !first.has(vote.voter_id)) first.set(vote.voter_id, vote)
        }
        return Promise.resolve([...first.values()])
      },
    },
    checkpoint: () => Promise.resolve(published),
  }

  return {
    chain,
    finalHeight,
    votes,
    trade: (count = 1) => {
      const tick = `tick-${chain.size}`
      return seal(
        Array.from({ length: count }, (_, i) => tradeOf(i, tick, now())),
        now(),
      )
    },
    correct: (corrects, kwh_delta, amount_delta) => {
      const tick_id = `tick-${chain.size}`
      const correction: Correction = {
        kind: 'correction',
        id: `fix-${chain.size}`,
        corrects,
        kwh_delta,
        amount_delta,
        reason: 'late meter reading',
        timestamp: now(),
        tick_id,
        nonce: testNonce(tick_id),
      }
      return seal([tradeOf(9, tick_id, now()), correction], now())
    },
    change: (change, signer) => changeAll([change, signer]),
    changeAll,
    sealAs: (id, keyName = id) => {
      miner = id
      minerKey = namedKey(keyName)
    },
    ack: async (voter_id, height, keyName = voter_id) => {
      const [stored] = await chain.headers(height, 1)
      const body = { chain_id: chain.chainId, header_hash: stored!.hash, height, voter_id, decision: 'ack' } as const
      const vote = signVote(body, namedKey(keyName))
      votes.push(vote)
      return vote
    },
    receipt: (id, final = finalHeight()) => buildReceipt({ ...parts, anchorHeight: () => final }, id),
    anchor: (from_height, to = finalHeight()) =>
      buildAnchor({ ...parts, clock: { now: () => 0 }, anchorHeight: () => to }, { from_height }),
    claim: async (from, newest) => {
      const limits = { maxSteps: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER }
      return await anchorOver(
        chain,
        { from, newest },
        await takeSteps(walkTrust({ ...parts, anchorHeight: () => newest }, from, newest), limits),
      )
    },
    checkpoint: async (...witnesses) => {
      const size = finalHeight() + 1
      const root = foldSubtrees(await chain.frontier(size))
      const { text, signatures } = signCheckpoint({ origin: genesis.origin, size, root }, minerKey)
      const cosignatures = witnesses.map((name) => cosignNote(text, name, CREATED_AT / 1000 + size, namedKey(name)))
      const note = formatNote({ text, signatures: [...signatures, ...cosignatures] })
      published = { note, size, public_key: minerKey.publicKey }
      return published
    },
  }
}
