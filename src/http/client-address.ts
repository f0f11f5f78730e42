import { BlockList, isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** Who a request comes from, as far as this node can know. */
export interface Client {
  /** IP address, IPv4 without the prefix that makes it IPv6. */
  readonly address: string
  /**
   * own: of the connection. configured: told by a proxy of `trusted_proxies`. assumed: told by whoever connects from this
   * machine, where no proxy is configured; it counts for limits alone and opens nothing.
   */
  readonly source: 'own' | 'configured' | 'assumed'
}

export interface Clients {
  of(request: FastifyRequest): Client
  /** True for who asks without a proxy that says so; on this machine: for a program that asks for itself. */
  isDirect(request: FastifyRequest): boolean
  /** True for an address of `trusted_proxies`. */
  isProxy(address: string): boolean
  /** True for an address whose connections may be those of many clients: a proxy's, or this machine's where none is configured. */
  mayBeProxy(address: string): boolean
  /** True for a program on this machine that asks for itself, not for somebody behind a proxy. */
  isLocal(request: FastifyRequest): boolean
}

const LOOPBACK = networks(['127.0.0.0/8', '::1/128'])
/** Where a proxy on this machine connects from. */
const THIS_HOST = networks(['127.0.0.1', '::1'])
/** More proxies than this in a row stand before no node; what is further left is not looked at. */
const MAX_HOPS = 10
/** What proxies and delivery networks add of themselves; any of it says that somebody else is asking. */
const FORWARDED_BY = /^(forwarded|via|cdn-loop|cf-ray|x-(forwarded|original|envoy|amzn|azure|appengine)(-.*)?)$/
/** How they name who asks: X-Real-IP, True-Client-IP, CF-Connecting-IPv6, X-Azure-ClientIP, WL-Proxy-Client-IP, ... */
const ADDRESS_OF_CLIENT = /(^|-)(client|connecting|real|remote|user|external|source)-?(ip(v[46])?|addr(ess)?)$/
/** What this machine is called on itself, as a `Host` field has it. */
export const LOCAL_HOST = /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?$/i

/**
 * Reads X-Forwarded-For as far as it can be believed: from the right, each entry was written by the proxy to the right of it.
 *
 * @param trusted addresses and CIDR networks of the proxies before this node, such as 10.0.0.0/8
 */
export function createClients(trusted: readonly string[] = []): Clients {
  const proxies = networks(trusted)
  const behind = (own: string, header: string, source: 'configured' | 'assumed', known: BlockList): Client => {
    let address = own
    for (const entry of header.split(',').slice(-MAX_HOPS).reverse()) {
      const next = isIn(known, address) ? addressOf(entry) : undefined
      // What is no address cannot be counted: the last proxy is, as if it had asked by itself.
      if (next === undefined) break
      address = next
    }
    return { address, source: address === own ? 'own' : source }
  }
  const isLoopback = ({ socket }: FastifyRequest): boolean => isIn(LOOPBACK, plain(socket.remoteAddress ?? ''))
  const isUnproxied = ({ socket, headers }: FastifyRequest): boolean =>
    !isIn(proxies, plain(socket.remoteAddress ?? '')) &&
    !Object.keys(headers).some((name) => FORWARDED_BY.test(name) || ADDRESS_OF_CLIENT.test(name))
  // A proxy that says nothing of itself passes on the name that was asked for, or, as nginx long did, speaks HTTP/1.0.
  const isLocal = (request: FastifyRequest): boolean =>
    isLoopback(request) &&
    isUnproxied(request) &&
    request.raw.httpVersion !== '1.0' &&
    LOCAL_HOST.test(request.headers.host ?? '')

  return {
    of({ socket, headers }) {
      const own = plain(socket.remoteAddress ?? '')
      const header = headers['x-forwarded-for']
      if (typeof header !== 'string') return { address: own, source: 'own' }
      if (isIn(proxies, own)) return behind(own, header, 'configured', proxies)
      if (trusted.length === 0 && isIn(LOOPBACK, own)) return behind(own, header, 'assumed', LOOPBACK)
      return { address: own, source: 'own' }
    },
    isProxy: (address) => isIn(proxies, plain(address)),
    mayBeProxy: (address) => isIn(proxies, plain(address)) || (trusted.length === 0 && isIn(THIS_HOST, plain(address))),
    isDirect: (request) => (!isLoopback(request) ? isUnproxied(request) : isLocal(request)),
    isLocal,
  }
}

function networks(texts: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of texts) {
    const [address = '', bits] = text.split('/')
    const family = familyOf(address)
    list.addSubnet(address, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family)
  }
  return list
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}

const isIn = (list: BlockList, address: string): boolean =>
  isIP(address) !== 0 && list.check(address, familyOf(address))
/** Without the zone of an IPv6 address (`%eth0`). */
const plain = (address: string): string => (address.split('%', 1)[0] ?? '').replace(/^::ffff:(?=[0-9.]+$)/i, '')

/** The address of an entry, which some proxies write with a port. */
function addressOf(entry: string): string | undefined {
  const text = entry.trim()
  if (text.length > 60) return undefined
  const [, inner] = /^\[([^\]]*)\](?::[0-9]{1,5})?$/.exec(text) ?? /^([0-9.]+):[0-9]{1,5}$/.exec(text) ?? []
  const address = plain(inner ?? text)
  return isIP(address) === 0 ? undefined : address
}
