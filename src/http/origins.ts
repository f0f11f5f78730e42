import { isIP, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { LOCAL_HOST, type Clients } from './client-address.ts'

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
    const address = plain(localAddress)
    const names = [address, ...(isLoopback(address) ? ['localhost'] : []), ...(isIP(host) === 0 ? [host] : [])]
    return [...new Set([...names.map((name) => originOf(name, localPort)), ...publicUrls])]
  }
}

/**
 * Whether a request asks for this node by a name of its own. A page of the internet can give its own name the address of this
 * machine (DNS rebinding), and then its browser lets it read what a program on this machine can read: so over loopback a name
 * must be one of loopback, of `http` or of `public_urls`. Named proxies know for whom they ask.
 */
export function createOwnNames(
  { host, publicUrls = [] }: OriginsOptions,
  clients: Pick<Clients, 'isProxy'>,
): (request: Pick<FastifyRequest, 'socket' | 'headers'>) => boolean {
  const names = new Set([host, ...publicUrls.map((url) => new URL(url).hostname)].map((name) => name.toLowerCase()))
  return ({ socket: { localAddress = '', remoteAddress = '' }, headers: { host: asked } }) => {
    // Browsers always say whom they ask for.
    if (asked === undefined || !isLoopback(plain(localAddress)) || clients.isProxy(remoteAddress)) return true
    return LOCAL_HOST.test(asked) || names.has(asked.replace(/:[0-9]{1,5}$/, '').toLowerCase())
  }
}

const plain = (address: string): string => address.replace(/^::ffff:(?=[0-9.]+$)/i, '').split('%', 1)[0] ?? ''
const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.')
const originOf = (host: string, port: number): string =>
  new URL(`http://${isIPv6(host) ? `[${host}]` : host}:${port}`).origin
