import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import type { Header } from '../protocol/header.ts'
import { registryAnswer } from '../protocol/messages.ts'
import { Registry, verifyRegistryEntry, type RegistryEntry } from '../protocol/registry.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Identity } from './own-trades.ts'

/**
 * The entry of a key in the registry after a header (null: in the genesis), proven under that header's registry_root; also one
 * that is revoked. `undefined` if there is none. The last answer is kept while the root stays the same. Throws `peer_refused`
 * if a peer's proof does not hold, `not_ready` without a peer.
 */
export type FindEntry = (publicKey: string, after: Header | null) => Promise<RegistryEntry | undefined>

/** Under which id a key is active after a header; `undefined` if it is not. Throws as `FindEntry`. */
export type FindIdentity = (key: SigningKey, after: Header | null) => Promise<Identity | undefined>

export function createFindEntry(genesis: Genesis, requests: PeerRequests): FindEntry {
  const first = Registry.fromGenesis(genesis)
  let known: { readonly root: Hash; readonly entry: RegistryEntry } | undefined

  return async (publicKey, after) => {
    const root = after === null ? first.root : after.registry_root
    if (after === null || root === first.root) return first.holder(publicKey)
    if (known?.root === root && known.entry.public_key === publicKey) return known.entry
    const entry = await ask(requests, publicKey, after)
    if (entry !== undefined) known = { root, entry }
    return entry
  }
}

export const createFindIdentity =
  (findEntry: FindEntry): FindIdentity =>
  async (key, after) => {
    const entry = await findEntry(key.publicKey, after)
    return entry?.status === 'active' ? { id: entry.id, key, sinceHeight: entry.since_height } : undefined
  }

/** An entry proves itself; that there is none is a peer's word, so every other peer is asked before it is believed. */
async function ask(requests: PeerRequests, public_key: string, after: Header): Promise<RegistryEntry | undefined> {
  let failure: unknown = ledgerError('not_ready', { reason: 'no peer is connected' })
  let isDenied = false
  for (const peer of requests.peers()) {
    try {
      const asked = { public_key, at_height: after.height }
      const { entry: found } = registryAnswer(await requests.request(peer, 'registry', asked), 'registry')
      if (found === null) {
        isDenied = true
        continue
      }
      const verdict = verifyRegistryEntry(found.entry, found.registry_proof, after.registry_root)
      if (verdict.ok && found.entry.public_key === public_key) return found.entry
      const reason = verdict.ok ? 'the entry is of another key' : verdict.reason
      failure = ledgerError('peer_refused', { peer, request: 'registry', code: 'bad_inclusion_proof', reason })
    } catch (error) {
      failure = error
    }
  }
  if (isDenied) return undefined
  throw failure
}

/**
 * The id under which a peer's registry has a key. It proves nothing and need not: a key holder names itself by it, and who is
 * asked checks the signature by its own registry. `undefined` if no peer knows the key.
 */
export async function askForOwnId(requests: PeerRequests, public_key: string): Promise<string | undefined> {
  for (const peer of requests.peers()) {
    try {
      const answer = await requests.request(peer, 'registry', { public_key, at_height: null })
      const { entry: found } = registryAnswer(answer, 'registry')
      if (found?.entry.public_key === public_key) return found.entry.id
    } catch {
      // The next one may know.
    }
  }
  return undefined
}
