import { noise } from '@chainsafe/libp2p-noise'
import type { MessageStream, MultiaddrConnection } from '@libp2p/interface'
import type { PeerGuard } from './guard.ts'

/**
 * Noise, which asks the guard before it takes a handshake. Its work begins here, when the other side has asked for it: a
 * connection that says nothing costs none.
 */
export function guardedNoise({ admitsHandshake }: Pick<PeerGuard, 'admitsHandshake'>): ReturnType<typeof noise> {
  const create = noise()
  return (components) => {
    const encrypter = create(components)
    const secureInbound = encrypter.secureInbound.bind(encrypter)
    encrypter.secureInbound = async (connection, options) => {
      if (!admitsHandshake(remoteOf(connection))) throw new Error('its address is cut off')
      return await secureInbound(connection, options)
    }
    return encrypter
  }
}

/** libp2p hands over the connection itself, or one that a private network has wrapped. Throws if a version of it does not. */
function remoteOf(connection: MessageStream): MultiaddrConnection['remoteAddr'] {
  const { remoteAddr } = connection as Partial<MultiaddrConnection>
  if (remoteAddr === undefined) throw new Error('this version of libp2p encrypts connections without an address')
  return remoteAddr
}
