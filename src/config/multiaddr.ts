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

/** TCP or WebSocket on an address of this machine: all that this node listens on. */
const LISTEN = /^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/[0-9]{1,5}(\/ws)?$/

/** A libp2p address to listen on. */
export const listenText: Reader<string> = (value) => {
  const text = multiaddrText(value)
  return text !== undefined && LISTEN.test(text) ? text : undefined
}
