import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { verifyRecoveredSeal } from '../protocol/handover.ts'
import { verifySeal, type Header, type SealedHeader } from '../protocol/header.ts'
import { knownSealers, stateRoot, type TrustedState } from '../protocol/light-verify.ts'
import { registryAnswer, type ProvenRecovery } from '../protocol/messages.ts'
import { Registry, verifyRegistryEntry, type RegistryEntry } from '../protocol/registry.ts'
import type { KnownSigner } from './evidence-pool.ts'
import type { LightFollower } from './light-follower.ts'

/**
 * The entry that `id` had before `height`, as far as a light node can know it: by a peer's proof under the header before, which
 * it holds; else by the genesis, unless the key is known to have changed since.
 */
export async function lightSignerBefore(
  parts: { readonly genesis: Genesis; readonly follower: LightFollower; readonly requests: PeerRequests },
  id: string,
  height: number,
): Promise<KnownSigner | undefined> {
  const { follower, requests } = parts
  const before = follower.window.find(({ header }) => header.height === height - 1)
  const first = Registry.fromGenesis(parts.genesis)
  if (before !== undefined && before.header.registry_root !== first.root) {
    return await askForSigner(requests, before, id).catch(() => undefined)
  }
  const entry = first.active(id)
  if (entry === undefined) return undefined
  const known = follower.head.sealers.find((sealer) => sealer.id === id)
  if (known !== undefined && known.public_key !== entry.public_key) return undefined
  // The registry before is still that of the genesis: the entry is proven under its root as well.
  if (before !== undefined) {
    return { proof: { entry, registry_proof: first.proof(entry), header: before }, registryRoot: first.root }
  }
  return { proof: { entry, registry_proof: null, header: null }, registryRoot: undefined }
}

async function askForSigner(requests: PeerRequests, before: SealedHeader, id: string): Promise<KnownSigner> {
  const { height, registry_root } = before.header
  let failure: unknown = ledgerError('not_ready', { reason: 'no peer is connected' })
  for (const peer of requests.peers()) {
    try {
      const { entry: found } = registryAnswer(await requests.request(peer, 'registry', { id, at_height: height }), '')
      if (found === null || !verifyRegistryEntry(found.entry, found.registry_proof, registry_root).ok) continue
      return { proof: { ...found, header: before }, registryRoot: registry_root }
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/**
 * The entry of an active authority, proven under the registry_root of a header; `undefined` if the peer has no
 * such entry to show. Throws `peer_refused`, `peer_unreachable`.
 */
export async function askForAuthority(
  requests: PeerRequests,
  peer: string,
  id: string,
  { height, registry_root }: Header,
): Promise<RegistryEntry | undefined> {
  const { entry: found } = registryAnswer(
    await requests.request(peer, 'registry', { id, at_height: height }),
    'registry',
  )
  if (found?.entry.id !== id || found.entry.role !== 'authority' || found.entry.status !== 'active') return undefined
  return verifyRegistryEntry(found.entry, found.registry_proof, registry_root).ok ? found.entry : undefined
}

/**
 * The recovery of its own sealer that the block after `head` begins with, if no key that is known has sealed it
 * and the peer shows one that holds. Nobody waits for a quorum to see it: the quorum may be those who ask.
 */
export async function askForRecovery(
  requests: PeerRequests,
  peer: string,
  sealed: SealedHeader,
  head: TrustedState,
): Promise<ProvenRecovery | undefined> {
  const { miner_id: id, height: at_height, registry_root, chain_id } = sealed.header
  const root = stateRoot(head)
  const hasSealed = (known: RegistryEntry): boolean => known.id === id && verifySeal(sealed, known.public_key).ok
  if (registry_root === root || knownSealers(head).some(hasSealed)) return undefined
  try {
    const { recovery } = registryAnswer(await requests.request(peer, 'registry', { id, at_height }), 'registry')
    const holds = recovery !== undefined && verifyRecoveredSeal(sealed, recovery, root, chain_id).ok
    return holds ? recovery : undefined
  } catch {
    // Without it the header is one that cannot be followed yet.
    return undefined
  }
}

/**
 * True if a key that is not known here may have sealed the header after `head`: the registry has changed at
 * `head`, the header changes it and may bring its own, or the sealer is an authority that came after the genesis,
 * which a jump need not show. A peer can tell.
 */
export function maySealHere(head: TrustedState, { header }: SealedHeader, genesisRoot: Hash): boolean {
  const root = stateRoot(head)
  const isKnownId = head.sealers.some(({ id }) => id === header.miner_id)
  return head.policy === null || header.registry_root !== root || (root !== genesisRoot && !isKnownId)
}
