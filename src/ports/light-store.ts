import type { Hash } from '../protocol/bytes.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { TrustedState } from '../protocol/light-verify.ts'
import type { Membership } from '../protocol/membership.ts'
import type { MerkleProof } from '../protocol/merkle.ts'
import type { Transaction } from '../protocol/transaction.ts'
import type { EvidenceStore } from './finality-store.ts'
import type { VoterStore } from './voter-store.ts'

/** What a light node keeps: a chain pin, a window of headers, its last vote and its own checked trades. */
export interface LightStore extends VoterStore, EvidenceStore {
  /** The pinned or first trusted genesis, canonical JSON text. */
  genesis(): Promise<string | undefined>
  putGenesis(text: string): Promise<void>
  /** `undefined` before the first trusted header. */
  window(): Promise<LightWindow | undefined>
  /** Replaces the window in one durable write. */
  putWindow(window: LightWindow): Promise<void>
  /** The certificate of whose device this node is; `undefined` before the first. */
  membership(): Promise<Membership | undefined>
  /** Replaces it in one durable write. */
  putMembership(membership: Membership): Promise<void>
  /** Checked transactions of this household with the proof that was checked. */
  putTrades(trades: readonly CheckedTrade[]): Promise<void>
  trade(by: { readonly tx_id: string } | { readonly tx_hash: Hash }): Promise<CheckedTrade | undefined>
  /** Checked transactions of this household, by id: at most `limit` of those that follow `afterId` ('' for the first). */
  trades(afterId: string, limit: number): Promise<readonly CheckedTrade[]>
  close(): Promise<void>
}

/** The headers that a light node holds, and what their trust stands on. */
export interface LightWindow {
  /** Ascending; the last is the head. */
  readonly headers: readonly SealedHeader[]
  /** The newest header that is trusted: under vote policies the last final one that was proven. */
  readonly trusted: TrustedState
  /** The newest header; proposed if it is not the trusted one. */
  readonly head: TrustedState
}

/** A transaction whose proof led to a trusted header. */
export interface CheckedTrade {
  readonly transaction: Transaction
  readonly tx_hash: Hash
  readonly merkle_proof: MerkleProof
  readonly sealed: SealedHeader
}
