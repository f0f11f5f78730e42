import type { MarketStore } from '../ports/market-store.ts'
import { sealerRecovery } from '../protocol/block.ts'
import type { Hex } from '../protocol/bytes.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import type { Chain } from './chain.ts'
import type { SealGuard } from './seal-guard.ts'

export interface HeededSigner {
  readonly publicKeys: readonly Hex[]
  /** The header of the highest height that a key has sealed. */
  sealed(publicKey: Hex): SealedHeader | null
}

export interface HeedSignerParts {
  readonly chain: Chain
  readonly store: Pick<MarketStore, 'voidTicks'>
  readonly guard: Pick<SealGuard, 'saw'>
  /** The registered id of the authority that seals here. */
  readonly minerId: string
  /** The key that the registry names for it. */
  readonly named: Hex
  /** A tick has waited to be sealed since before the stores were aligned, as after a kill between the signature and the fence. */
  readonly isWaiting: boolean
}

/**
 * A signer remembers what an older database has forgotten: a block that it has signed is missed here if it is above the tip. That
 * of the key that the registry names, unless a tick waits, which asks the signer itself. And that of a key which was never
 * registered on this chain: the recovery that has brought it is missing here, or somebody has used the key up before.
 */
export async function heedSigner(signer: HeededSigner, parts: HeedSignerParts): Promise<void> {
  const { chain, guard, minerId, named, isWaiting } = parts
  for (const public_key of signer.publicKeys) {
    const sealed = signer.sealed(public_key)
    if (sealed === null || sealed.header.height < chain.size || sealed.header.miner_id !== minerId) continue
    const counts = public_key === named ? !isWaiting : await isUnknown(public_key, parts)
    if (!counts) continue
    const { height, miner_id } = sealed.header
    guard.saw({ height, hash: hashHeader(sealed.header), miner_id, shownBy: 'the signer', public_key, named })
  }
}

/** Neither registered ever, nor brought by a recovery that came to nothing. */
async function isUnknown(key: Hex, { chain, store, minerId }: HeedSignerParts): Promise<boolean> {
  const first = await chain.registryBefore(0)
  if (first.entries.some(({ public_key }) => public_key === key)) return false
  if ((await chain.history().registered([key])).has(key)) return false
  return !(await store.voidTicks()).some(
    ({ transactions }) => sealerRecovery(transactions, minerId)?.public_key === key,
  )
}
