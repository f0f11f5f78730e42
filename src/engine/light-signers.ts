import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Genesis } from '../protocol/genesis.ts'
import type { SealedHeader } from '../protocol/header.ts'
import { registryAnswer } from '../protocol/messages.ts'
import { Registry, verifyRegistryEntry } from '../protocol/registry.ts'
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
