import type { DialEvent } from '../ports/dial.ts'
import type { NamedPeers } from '../ports/named-peers.ts'

/** The addresses of the settings; `onDial` is told what becomes of each. */
export function watchNamedPeers(
  addresses: readonly string[],
): NamedPeers & { readonly onDial: (event: DialEvent) => void } {
  const reached = new Map<string, string>()
  return {
    addresses: new Set(addresses).size,
    reached: () => reached,
    onDial: (event) => {
      if (event.type === 'connected') reached.set(event.address, event.peer)
    },
  }
}
