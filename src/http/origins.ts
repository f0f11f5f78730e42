import { isIP, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Clients } from './client-address.ts'

/** The origins (scheme://host[:port], as in WHATWG URL) by which whoever signs a request may call this node. */
export type OriginsOf = (request: FastifyRequest) => readonly string[]

export interface OriginsOptions {
  /** As the operator wrote it, what the server listens on. */
  readonly host: string
  /** Origins under which proxies lead here. */
  readonly publicUrls?: readonly string[] | undefined
}

/**
 * The public ones; and for who asks without a proxy the address that he has connected to, since that is what he calls the node.
 * Behind a proxy it is not: the proxy is who called it so, and addresses such as 127.0.0.1:8080 are those of many nodes. What
 * the request says of itself (Host) counts for nothing: whoever passes a request on writes what he likes.
 */
export function createOrigins({ host, publicUrls = [] }: OriginsOptions, clients: Clients): OriginsOf {
  return (request) => {
    const { localAddress, localPort } = request.socket
    // A connection that is gone has none.
    if (localAddress === undefined || localPort === undefined || !clients.isDirect(request)) return publicUrls
    const [address = ''] = localAddress.replace(/^::ffff:(?=[0-9.]+$)/i, '').split('%')
    const isLoopback = address === '::1' || address.startsWith('127.')
    const names = [address, ...(isLoopback ? ['localhost'] : []), ...(isIP(host) === 0 ? [host] : [])]
    return [...new Set([...names.map((name) => originOf(name, localPort)), ...publicUrls])]
  }
}

const originOf = (host: string, port: number): string =>
  new URL(`http://${isIPv6(host) ? `[${host}]` : host}:${port}`).origin
