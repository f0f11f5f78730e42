import type { Hex } from '../protocol/bytes.ts'
import type { CosignedTree } from '../protocol/witness.ts'

/** What a witness must never forget: the last tree that it cosigned for each log. */
export interface WitnessStore {
  /** By origin; `undefined` before the first. */
  last(origin: string): Promise<CosignedTree | undefined>
  /** Durable once it returns: only then may the tree be cosigned. */
  put(origin: string, tree: CosignedTree): Promise<void>
  close(): Promise<void>
}

/** The answer of a witness to add-checkpoint; with 200 the signature lines, with 409 the size that it cosigned last. */
export type WitnessAnswer =
  | { readonly status: 200; readonly body: string }
  | { readonly status: 409; readonly size: number; readonly reason: string }
  | { readonly status: 400 | 403 | 404 | 422; readonly reason: string }

/** A witness of logs (https://c2sp.org/tlog-witness). */
export interface Witness {
  /** Takes the body of add-checkpoint. One at a time: between check and store nothing else of the log happens. */
  addCheckpoint(body: string): Promise<WitnessAnswer>
}

/** A witness that checkpoints are sent to. */
export interface WitnessAddress {
  /** The submission prefix: add-checkpoint is below it. */
  readonly url: string
  /** The name in its cosignatures. */
  readonly name: string
  readonly public_key: Hex
}

/** How add-checkpoint gets to a witness. Rejects if there is no answer. */
export type SendCheckpoint = (
  url: string,
  body: string,
) => Promise<{ readonly status: number; readonly contentType: string; readonly body: string }>
