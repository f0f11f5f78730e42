import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * By what a connection is counted: its IPv4 address, or its IPv6 /64 network, since whoever has one address of that has all
 * of them. A name (of a peer that was dialled by it) counts as it is.
 */
export function addressOf(address: Multiaddr): string {
  const [host] = address.getComponents()
  return hostKey(host?.value ?? '')
}

/** The same for an address as sockets write it. */
export function hostKey(host: string): string {
  const mapped = /^::ffff:(?=\d{1,3}\.)/i.exec(host)?.[0] ?? ''
  const plain = (host.slice(mapped.length).split('%', 1)[0] ?? '').toLowerCase()
  if (!plain.includes(':')) return plain
  const [front = '', back] = plain.split('::', 2)
  const groups = front === '' ? [] : front.split(':')
  const rest = back === undefined || back === '' ? [] : back.split(':')
  const gap = back === undefined ? 0 : Math.max(8 - groups.length - rest.length, 0)
  const all = [...groups, ...Array.from({ length: gap }, () => '0'), ...rest]
  const network = all.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''))
  return `${network.join(':')}::/64`
}
