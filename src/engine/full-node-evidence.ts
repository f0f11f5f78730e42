import { proveSigner } from '../protocol/evidence.ts'
import { hashHeader, verifySeal, type SealedHeader } from '../protocol/header.ts'
import type { Chain } from './chain.ts'
import type { EvidencePool, KnownSigner } from './evidence-pool.ts'

/** The entry that `id` had before `height`, proven under this node's own chain; `undefined` above its tip. */
export async function fullSignerBefore(chain: Chain, id: string, height: number): Promise<KnownSigner | undefined> {
  if (height > chain.size) return undefined
  const registry = await chain.registryBefore(height)
  const [before] = height === 0 ? [] : await chain.headers(height - 1, 1)
  const header = before === undefined ? null : { header: before.header, signature: before.signature }
  const proof = proveSigner(registry, id, header)
  return proof && { proof, registryRoot: registry.root }
}

/**
 * Two true seals of one height by one key are evidence, whatever becomes of the blocks.
 *
 * @param beside headers of this height that are kept beside the chain
 */
export async function reportDoubleSeal(
  chain: Chain,
  evidence: EvidencePool,
  sealed: SealedHeader,
  beside: readonly SealedHeader[],
): Promise<void> {
  const { height, miner_id } = sealed.header
  const hash = hashHeader(sealed.header)
  const known = [...(height < chain.size ? await chain.headers(height, 1) : []), ...beside]
  const rivals = known.filter(({ header }) => header.miner_id === miner_id && hashHeader(header) !== hash)
  const sealer = height <= chain.size ? (await chain.registryBefore(height)).active(miner_id, 'authority') : undefined
  if (rivals.length === 0 || sealer === undefined || !verifySeal(sealed, sealer.public_key).ok) return
  const one = { header: sealed.header, signature: sealed.signature }
  for (const { header, signature } of rivals) await evidence.foundSeals({ header, signature }, one)
}
