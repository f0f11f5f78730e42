import { multiaddr } from '@multiformats/multiaddr'
import type { Reader } from './values.ts'

/** A libp2p address. */
export const multiaddrText: Reader<string> = (value) => {
  if (typeof value !== 'string' || !value.startsWith('/')) return undefined
  try {
    return multiaddr(value).toString()
  } catch {
    return undefined
  }
}

/** The peer id (base58) that an address ends with: who answers there, or nobody does. `undefined` if it names none. */
export function pinnedPeer(address: string): string | undefined {
  return /\/p2p\/([1Q][1-9A-HJ-NP-Za-km-z]{10,100})$/.exec(multiaddrText(address) ?? '')?.[1]
}

/** TCP or WebSocket on an address of this machine: all that this node listens on. */
const LISTEN = /^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/[0-9]{1,5}(\/ws)?$/

/** A libp2p address to listen on. */
export const listenText: Reader<string> = (value) => {
  const text = multiaddrText(value)
  return text !== undefined && LISTEN.test(text) ? text : undefined
}
