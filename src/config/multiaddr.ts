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
