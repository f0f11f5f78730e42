import type { Standing } from './budget.ts'

/** Peers that are remembered as known, and addresses of theirs; who was heard of longest ago is forgotten first. */
export const MAX_KNOWN = 10_000
/** A key holder has a few devices and programs; what a stolen key vouches for is bounded. */
export const MAX_PEERS_OF_KEY = 4

/** What peers have proven of who they are. In memory: after a restart each proves it again with its first signed request. */
/** What the holder of a key is now; `undefined` once it is registered no more. */
type KeyStanding = () => Exclude<Standing, 'stranger'> | undefined

export interface Standings {
  of(peer: string): Standing
  /** The registered key that it has shown. */
  keyOf(peer: string): string | undefined
  /** All peers that have shown the same key, or the peer alone. */
  sharing(peer: string): readonly string[]
  /** The peer has shown that it holds a registered key, from an address if it is known; it lasts as long as `standing` says. */
  vouch(peer: string, key: string, standing: KeyStanding, address: string | undefined): void
  /** The settings name the peer. */
  trust(peer: string): void
  /** True for an address from which a peer with a registered key has come. */
  isHome(address: string): boolean
}

export function createStandings(): Standings {
  const known = new Map<string, { readonly key: string; readonly standing: KeyStanding }>()
  const peersOf = new Map<string, readonly string[]>()
  const named = new Set<string>()
  const homes = new Set<string>()

  function forget(peer: string): void {
    const key = known.get(peer)?.key
    known.delete(peer)
    if (key === undefined) return
    const others = (peersOf.get(key) ?? []).filter((other) => other !== peer)
    if (others.length === 0) peersOf.delete(key)
    else peersOf.set(key, others)
  }

  return {
    of: (peer) => (named.has(peer) ? 'member' : (known.get(peer)?.standing() ?? 'stranger')),
    keyOf: (peer) => known.get(peer)?.key,
    sharing: (peer) => peersOf.get(known.get(peer)?.key ?? '') ?? [peer],
    vouch(peer, key, standing, address) {
      forget(peer)
      const [oldest, ...rest] = peersOf.get(key) ?? []
      if (oldest !== undefined && rest.length + 1 >= MAX_PEERS_OF_KEY) forget(oldest)
      known.set(peer, { key, standing })
      peersOf.set(key, [...(peersOf.get(key) ?? []), peer])
      const [first] = known.keys()
      if (known.size > MAX_KNOWN && first !== undefined) forget(first)
      if (address !== undefined) remember(homes, address)
    },
    trust: (peer) => remember(named, peer),
    isHome: (address) => homes.has(address),
  }
}

function remember(set: Set<string>, value: string): void {
  set.delete(value)
  set.add(value)
  const [oldest] = set
  if (set.size > MAX_KNOWN && oldest !== undefined) set.delete(oldest)
}
