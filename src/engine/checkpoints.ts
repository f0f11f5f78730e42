import { ledgerError } from '../ports/errors.ts'
import type { Hex } from '../protocol/bytes.ts'
import { signCheckpoint } from '../protocol/checkpoint.ts'
import { foldSubtrees } from '../protocol/history.ts'
import { formatNote, type Note, type NoteSignature } from '../protocol/note.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Chain } from './chain.ts'
import type { PublishedCheckpoint } from './receipt-builder.ts'

export interface CheckpointsParts {
  readonly chain: Chain
  /** Height of the last final header; -1 before the first. */
  readonly finalHeight: () => number
  /** The registered id of the authority that signs. */
  readonly minerId: string
  readonly keyOf: (publicKey: Hex) => Promise<SigningKey | undefined>
}

/** A checkpoint as the log signs it. */
export interface SignedCheckpoint {
  readonly note: Note
  readonly size: number
  readonly public_key: Hex
}

/**
 * Checkpoints of the history up to the last final header (docs/protocol.md 7). Final is for ever, so no two of them are
 * inconsistent; signatures are deterministic, so one signed again is the same.
 */
export interface Checkpoints {
  /** Of the last final header, signed by the log alone. Throws `no_final_header`, `not_ready` without the key. */
  signed(): Promise<SignedCheckpoint>
  /** Adds the cosignature of a witness to the checkpoint of this size. The caller has verified it. */
  add(size: number, cosignature: NoteSignature): void
  /** As it is served: with the cosignatures so far. Throws as `signed`. */
  published(): Promise<PublishedCheckpoint>
}

export function createCheckpoints({ chain, finalHeight, minerId, keyOf }: CheckpointsParts): Checkpoints {
  /** By name of the witness; the newest only. */
  const cosignatures = new Map<string, { readonly size: number; readonly signature: NoteSignature }>()
  let last: SignedCheckpoint | undefined

  async function signed(): Promise<SignedCheckpoint> {
    const size = finalHeight() + 1
    if (size === 0) throw ledgerError('no_final_header', { tip_height: chain.tip?.header.height ?? null })
    const public_key = chain.registry.active(minerId, 'authority')?.public_key ?? ''
    if (last?.size === size && last.public_key === public_key) return last
    const key = await keyOf(public_key)
    if (key === undefined) throw ledgerError('not_ready', { reason: `there is no key file of ${minerId} to sign with` })
    const root = foldSubtrees(await chain.frontier(size))
    last = { note: await signCheckpoint({ origin: chain.genesis.origin, size, root }, key), size, public_key }
    return last
  }

  return {
    signed,
    add: (size, signature) => void cosignatures.set(signature.name, { size, signature }),
    async published() {
      const { note, size, public_key } = await signed()
      const current = [...cosignatures.values()].filter((cosigned) => cosigned.size === size)
      const signatures = [...note.signatures, ...current.map(({ signature }) => signature)]
      return { note: formatNote({ text: note.text, signatures }), size, public_key }
    },
  }
}
