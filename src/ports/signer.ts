import type { Hex } from '../protocol/bytes.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { Vote } from '../protocol/vote.ts'

/** What a signer must never forget: durable once it is put, and put before the signature leaves it. */
export interface SignerMemory {
  /** The header of the highest height that a key has sealed. */
  sealed(publicKey: Hex): Promise<SealedHeader | undefined>
  putSealed(publicKey: Hex, sealed: SealedHeader): Promise<void>
  /** The ack of a key at a height; kept for the newest OWN_VOTES_KEPT heights. */
  acked(publicKey: Hex, height: number): Promise<Vote | undefined>
  /** The ack of a key that was put last. */
  lastAck(publicKey: Hex): Promise<Vote | undefined>
  /** The highest height that a key has acked. */
  highestAck(publicKey: Hex): Promise<number | undefined>
  putAck(publicKey: Hex, ack: Vote): Promise<void>
  close(): Promise<void>
}

/** Where a signer listens: a Unix socket, or a port of this machine. */
export type SignerAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** A key of a signer, the header of the highest height that it has sealed, and the ack that it has signed last. */
export interface SignerKey {
  readonly public_key: Hex
  readonly sealed: SealedHeader | null
  readonly acked: Vote | null
}

/** Keys in a process of their own, which goes by nothing but the bytes that it signs and what it has signed before. */
export interface Signer {
  keys(): Promise<readonly SignerKey[]>
  /**
   * Ed25519 signature of a message, 64 bytes. The same message again has the same one. Throws `malformed`, `not_canonical`,
   * `wrong_chain`; `forbidden` for a key that is not here and what its keys do not sign; `already_signed` for a second
   * header of a height, for one below, and for a second ack of a height.
   */
  sign(publicKey: Hex, message: Uint8Array): Promise<Uint8Array>
}
