import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Evidence } from '../protocol/evidence.ts'
import type { Genesis } from '../protocol/genesis.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { ConsistencyProof, InclusionProof } from '../protocol/history.ts'
import type { Membership } from '../protocol/membership.ts'
import type { AcksParams, ProofAnswer, AcksAnswer } from '../protocol/messages.ts'
import type { Order } from '../protocol/order.ts'
import type { Receipt } from '../protocol/receipt.ts'
import type { RegistryEntry, RegistryPolicy } from '../protocol/registry.ts'
import type { RegistryTransaction } from '../protocol/registry-transaction.ts'
import type { Vote } from '../protocol/vote.ts'
import type { OrderState, TransactionPage, TransactionQuery } from './market-store.ts'

export type BlockStatus = 'proposed' | 'final' | 'orphaned'

/** What an authority and a validator answer, over HTTP and over libp2p. Errors are those of ports/errors. */
export interface ChainLedger {
  readonly genesis: Genesis
  readonly chainId: Hash

  /** The last `n` headers, ascending. */
  latestHeaders(n: number): Promise<LatestHeaders>
  /** Headers of [from, from + count), ascending; fewer at the tip, none above it. */
  headers(from: number, count: number): Promise<LatestHeaders>
  block(blockHash: Hash): Promise<ShownBlock>
  /** By tx_hash or tx_id. Throws `unknown_block`, `unknown_transaction`. */
  blockProof(blockHash: Hash, by: { readonly tx_id: string } | { readonly tx_hash: Hash }): Promise<BlockProof>
  /**
   * Proof of a transaction, wherever on the chain it is and whether or not its body is still there, up to the header of
   * `atHeight` (null: up to its own block). Throws `unknown_transaction`, `out_of_range`.
   */
  transactionProof(
    by: { readonly tx_id: string } | { readonly tx_hash: Hash },
    atHeight: number | null,
  ): Promise<TransactionProof>
  blockStatus(blockHash: Hash): Promise<BlockStatusAnswer>
  votes(blockHash: Hash): Promise<readonly { readonly vote: Vote; readonly entry: RegistryEntry }[]>
  /**
   * A page of the acks of one voter that are kept here, on whatever branch; none of who was never
   * registered on this chain.
   */
  acksOf(asked: AcksParams): Promise<AcksAnswer>
  /** Checks, stores and counts a vote; `isNew`: it was not stored before. Throws `wrong_chain`, `unknown_block`, `wrong_header`, `unknown_voter`, `bad_signature`, `vote_conflict`. */
  castVote(vote: Vote): Promise<VoteAnswer & { readonly isNew: boolean }>

  /**
   * Proof of a transaction that can be checked without this node (docs/protocol.md 7). With `userId` only for a party of
   * it. Throws `unknown_transaction`, `forbidden`.
   */
  receipt(id: string, userId?: string): Promise<Receipt>

  historyInclusion(height: number, size: number): Promise<InclusionProof>
  historyConsistency(from: number, to: number): Promise<ConsistencyProof>

  /** Proven misbehaviour, the newest first. */
  evidence(limit: number): Promise<readonly Evidence[]>

  /** The whole registry after the block of a height, of the tip if none is named. Throws `out_of_range`. */
  registry(): RegistryAnswer
  /** The same after the block of a height. Throws `out_of_range`. */
  registryAt(height: number): Promise<RegistryAnswer>
  /** The blocks from height `from` on that change the registry, ascending, at most `limit`. */
  registryChanges(from: number, limit: number): Promise<RegistryChanges>
  /** The active registry entry of this id as of the tip, for signed requests and orders. */
  activeEntry(id: string): RegistryEntry | undefined
  /**
   * The platform user that a device belongs to, by what this node knows or by the certificate that it shows. Its own id
   * is never taken for one. Throws `no_membership`.
   */
  userOf(voterId: string, membership?: Membership): Promise<string>
  /** Accepts a signed request's id once. */
  rememberRequest(id: string, expiresAt: number): Promise<boolean>

  /** Hears everything that happens, in order; gives back what removes the listener. */
  subscribe(listener: (event: LedgerEvent) => void): () => void
}

/** Whether users are called on the chain as the platform calls them. */
export type Privacy = 'plain' | 'pseudonymous'

/** What an authority does besides: it takes what the chain is made of. */
export interface Ledger extends ChainLedger {
  readonly privacy: Privacy
  /** The id on the chain of a user of the platform. Throws `refused_row` for what cannot be one. */
  userOnChain(userId: string): string
  /** Ids of the platform by those on the chain; none where they are the same. */
  namesOf(ids: readonly string[]): Promise<Readonly<Record<string, string>>>
  /** Active voters that belong to this platform user: may sign its orders. */
  devicesOf(userId: string): Promise<readonly RegistryEntry[]>
  /** A new certificate of whose device a voter is; `known`: the one that it has. Throws `no_membership`, `not_ready`. */
  membership(voterId: string, known?: Membership): Promise<Membership>

  /** The checkpoint of the last final header, with the cosignatures so far. Throws `no_final_header`. */
  checkpoint(): Promise<string>

  /** An outside engine's tick: committed, then sealed; idempotent by tick_id. */
  acceptTick(tick: PlatformTick): Promise<TickAnswer>
  /** Runs the built-in market once; a tick_id run before answers the same again. */
  runTick(request: { readonly tick_id?: string; readonly timestamp?: number }): Promise<TickAnswer>
  /** Seals the oldest committed, unsealed tick; `undefined` if there is none. */
  proposeNext(): Promise<TickAnswer | undefined>

  /**
   * Seals a registry change as a tick of its own; durable once it returns. The same transaction again answers the same.
   * Throws `registry_refused`, `tick_conflict`, `from_the_future`.
   *
   * @param userId the platform user of an enrolled voter
   * @param isVouchedFor the operator or the platform asks for it: the authority countersigns the recovery of a user
   */
  register(
    transaction: RegistryTransaction,
    userId?: string,
    isVouchedFor?: boolean,
  ): Promise<{ readonly id: string; readonly tick_id: string }>

  /**
   * Whether a change is one of its subject's own, which are limited. What the chain has already, anybody can post again;
   * and an authority that is not the subject can act whatever the subject has done.
   */
  isOwnChange(transaction: RegistryTransaction): Promise<boolean>

  /** Places a checked order. Throws `order_conflict`, `order_too_small`, `from_the_future`, `interval_closed`, `too_many_orders`. */
  placeOrder(order: Order): Promise<'created' | 'same'>
  /** Takes what is left of an order out of the book. Throws `unknown_order`. */
  cancelOrder(orderId: string): Promise<OrderState>
  /** Throws `unknown_order`. */
  order(orderId: string): Promise<OrderState>
  transactions(query: TransactionQuery): Promise<TransactionPage>
}

export interface LatestHeaders {
  readonly chain_id: Hash
  readonly tip_height: number | null
  readonly headers: readonly (SealedHeader & { readonly header_hash: Hash; readonly status: BlockStatus })[]
}

export interface BlockProof {
  readonly block_hash: Hash
  readonly tx_hash: Hash
  readonly index: number
  readonly tx_count: number
  readonly path: readonly Hash[]
  readonly merkle_root: Hash
}

export interface TransactionProof extends ProofAnswer {
  readonly header_hash: Hash
  readonly status: BlockStatus
  /** The body was removed; the proof is of its hash. */
  readonly redacted: boolean
}

export interface BlockStatusAnswer {
  readonly block_hash: Hash
  readonly height: number
  readonly status: BlockStatus
  readonly policy: 'authority' | 'votes' | 'validators'
  /** `required`: acks that finality takes; 0 under policy authority. */
  readonly votes: { readonly ack: number; readonly reject: number; readonly required: number }
  readonly finalized_at: number | null
}

export interface RegistryAnswer {
  /** Of the tip; null on an empty chain, whose registry is that of the genesis. */
  readonly height: number | null
  /** RFC 9162 root over the policy and the entries, as in the header of `height`. */
  readonly registry_root: Hash
  readonly policy: RegistryPolicy
  /** In slot order, the revoked ones too. */
  readonly entries: readonly RegistryEntry[]
  /** Those from a slot on, at most `limit`: what all of them cost is not paid. */
  page(fromSlot: number, limit: number): readonly RegistryEntry[]
}

export interface RegistryChanges {
  /** Of the tip; null on an empty chain. */
  readonly height: number | null
  /** Whole blocks: a change of the registry is nobody's secret. */
  readonly changes: readonly ShownBlock[]
  /** Where to go on; null if these were all up to the tip. */
  readonly next: number | null
}

export interface VoteAnswer {
  readonly header_hash: Hash
  readonly status: BlockStatus
  readonly votes: { readonly ack: number; readonly reject: number; readonly required: number }
}

/** Rows of a platform: shapes checked at the edge, tick_id and nonce are the node's to add. */
export interface PlatformTick {
  readonly tick_id: string
  readonly timestamp: number
  readonly transactions: readonly PlatformRow[]
}

export type PlatformRow =
  | {
      readonly kind: 'trade'
      readonly id: string
      readonly from_user_id: string
      readonly to_user_id: string
      readonly kwh: string
      readonly price_per_kwh: string
      readonly total_amount: string
      readonly timestamp: number
      /** An age file in base64. */
      readonly payload?: string
    }
  | {
      readonly kind: 'correction'
      readonly id: string
      readonly corrects: string
      readonly kwh_delta: string
      readonly amount_delta: string
      readonly reason: string
      readonly timestamp: number
    }

/** Height and hashes are null for a tick that made no block. */
/** What became of a tick that was not there before; `failed`: it was refused, or what is left of it is made good later. */
export type TickOutcome = 'sealed' | 'empty' | 'failed'

export interface TickAnswer {
  readonly tick_id: string
  readonly height: number | null
  readonly block_hash: Hash | null
  readonly header_hash: Hash | null
  readonly merkle_root: Hash | null
  readonly transactions: readonly { readonly id: string; readonly tx_hash: Hash }[]
}

export type LedgerEvent =
  | { readonly type: 'header'; readonly header_hash: Hash; readonly sealed: SealedHeader; readonly status: BlockStatus }
  | { readonly type: 'final'; readonly header_hash: Hash; readonly height: number; readonly finalized_at: number }
  | { readonly type: 'vote'; readonly vote: Vote; readonly votes: VoteAnswer['votes'] }
  | { readonly type: 'evidence'; readonly evidence: Evidence }
