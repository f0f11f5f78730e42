import { isIP, isIPv6 } from 'node:net'
import type { SignerAddress } from '../ports/signer.ts'
import { parseQuantity } from '../protocol/decimal.ts'
import { anyQuantity } from '../protocol/edge.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { Finality } from '../protocol/genesis.ts'
import { MAX_THRESHOLD } from '../protocol/limits.ts'
import { isKeyName } from '../protocol/note.ts'
import { originText } from '../protocol/request.ts'
import { describe, hash32, isJsonObject, type Shape } from '../protocol/shape.ts'
import type { DatabaseConfig, HttpAddress, SealConfig } from './types.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/**
 * How single settings are read. Flags and variables bring text, YAML brings numbers and lists as well; each reader takes
 * both and gives `undefined` for what it refuses.
 */
export type Reader<T> = (value: unknown) => T | undefined

/** A reader from a shape of the protocol. */
export function fromShape<T>(shape: Shape<T>): Reader<T> {
  return (value) => {
    try {
      return shape(value, '')
    } catch (error) {
      if (isSolarError(error, 'malformed')) return undefined
      throw error
    }
  }
}

/** One of these words. */
export function word<const T extends string>(...options: readonly T[]): Reader<T> {
  return (value) => options.find((option) => option === value)
}

export const nonEmptyText: Reader<string> = (value) =>
  typeof value === 'string' && value.trim() !== '' ? value : undefined

/** An http or https URL. */
export const webUrl: Reader<string> = (value) =>
  typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? value : undefined

/** A URL whose answer decides who is who: nobody on the way may change it. */
export const jwksUrl: Reader<string> = (value) => {
  const url = webUrl(value)
  if (url === undefined) return undefined
  const { protocol, hostname, username } = new URL(url)
  const isLocal = /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\])$/.test(hostname)
  return username === '' && (protocol === 'https:' || isLocal) ? url : undefined
}

/** Issuers and audiences are compared as they are written. */
export const claimText: Reader<string> = (value) =>
  typeof value === 'string' && /^[\x21-\x7e]{1,300}$/.test(value) ? value : undefined

/** The origin of an http or https URL that has no more than that: scheme, host and port, such as a credential can name. */
export const webOrigin: Reader<string> = (value) => {
  const url = webUrl(value)
  if (url === undefined) return undefined
  const { origin, href } = new URL(url)
  return href === `${origin}/` ? fromShape(originText)(origin) : undefined
}

/** The name of a key in C2SP notes. */
export const keyName: Reader<string> = (value) => (typeof value === 'string' && isKeyName(value) ? value : undefined)

/** A list, or text with items between commas or spaces; every item must be readable. */
export function listOf<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value) => {
    const items: unknown = typeof value === 'string' ? value.split(/[\s,]+/).filter((item) => item !== '') : value
    if (!Array.isArray(items)) return undefined
    const result: T[] = []
    for (const item of items) {
      const one = read(item)
      if (one === undefined) return undefined
      result.push(one)
    }
    return result
  }
}

/** IP addresses, or networks such as 10.0.0.0/8. */
export const network: Reader<string> = (value) => {
  if (typeof value !== 'string') return undefined
  const [address = '', bits, ...rest] = value.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || rest.length > 0) return undefined
  if (bits === undefined) return value
  return /^[0-9]{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128) ? value : undefined
}

/** all, or a list of hashes. */
export const allowedChanges: Reader<readonly string[] | 'all'> = (value) =>
  value === 'all' || (Array.isArray(value) && value.length === 1 && value[0] === 'all')
    ? 'all'
    : listOf(fromShape(hash32))(value)

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): Reader<number> {
  return (value) => {
    const number = typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value
    return typeof number === 'number' && Number.isSafeInteger(number) && number >= min && number <= max
      ? number
      : undefined
  }
}

export const yesOrNo: Reader<boolean> = (value) => {
  if (value === true || value === 'true') return true
  return value === false || value === 'false' ? false : undefined
}

/** HOST:PORT, [IPV6]:PORT, :PORT (loopback), or off. */
export const httpAddress: Reader<HttpAddress | 'off'> = (value) => {
  if (value === 'off') return 'off'
  if (typeof value !== 'string') return undefined
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]*)):([0-9]{1,5})$/.exec(value)
  if (match === null) return undefined
  const [, ipv6, name, port = ''] = match
  if (Number(port) > 65_535 || (ipv6 !== undefined && !isIPv6(ipv6))) return undefined
  const host = ipv6 ?? name ?? ''
  return { host: host === '' ? '127.0.0.1' : host, port: Number(port) }
}

/** What a Unix socket can be called: `sun_path` is 104 bytes on macOS, with the one that ends it. */
const MAX_SOCKET_PATH = 103
const isLoopback = (host: string): boolean => /^(localhost|127(\.[0-9]{1,3}){3}|::1)$/.test(host)

/** unix:/PATH, or a HOST:PORT of this machine: where a signer listens. */
export const signerListen: Reader<SignerAddress> = (value) => {
  if (typeof value !== 'string') return undefined
  const path = /^unix:(\/.+)$/.exec(value)?.[1]
  if (path !== undefined) return Buffer.byteLength(path) > MAX_SOCKET_PATH ? undefined : { kind: 'unix', path }
  const address = httpAddress(value)
  return address === undefined || address === 'off' || !isLoopback(address.host)
    ? undefined
    : { kind: 'tcp', ...address }
}

/** unix:/PATH, or http://HOST:PORT of this machine: where a node finds its signer. */
export const signerUrl: Reader<SignerAddress> = (value) => {
  if (typeof value !== 'string' || value.startsWith('unix:')) return signerListen(value)
  const [, address] = /^http:\/\/([^/]+)\/?$/.exec(value) ?? []
  const read = address === undefined ? undefined : signerListen(address)
  return read?.kind === 'tcp' && read.port > 0 ? read : undefined
}

const MIN_TICK_MS = 100
const MAX_TICK_MS = 24 * 60 * 60 * 1000

/** Seconds with up to three decimals, as milliseconds. */
function secondsBetween(minMs: number, maxMs: number): Reader<number> {
  return (value) => {
    const text = typeof value === 'number' ? String(value) : value
    if (typeof text !== 'string' || !/^[0-9]{1,6}(\.[0-9]{1,3})?$/.test(text)) return undefined
    const milliseconds = Math.round(Number(text) * 1000)
    return milliseconds >= minMs && milliseconds <= maxMs ? milliseconds : undefined
  }
}

/** Seconds, as milliseconds; or off. */
export const tickSeconds: Reader<number | 'off'> = (value) =>
  value === 'off' ? 'off' : secondsBetween(MIN_TICK_MS, MAX_TICK_MS)(value)

/** Seconds, as milliseconds. */
export const pollSeconds: Reader<number> = secondsBetween(100, 60 * 60 * 1000)

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A whole number of seconds, minutes, hours or days (90d), as milliseconds; or off. */
export const durationOrOff: Reader<number | 'off'> = (value) => {
  if (value === 'off') return 'off'
  const [, count, unit] = /^([0-9]{1,6})([smhd])$/.exec(typeof value === 'string' ? value : '') ?? []
  return count === undefined ? undefined : Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]
}

export const FINALITY = `authority, votes:K or validators:M, at most ${MAX_THRESHOLD}`

/** A policy, its threshold at most what a proof can show. */
export const finalityPolicy: Reader<Finality> = (value) => {
  if (value === 'authority') return { policy: 'authority' }
  const match = typeof value === 'string' ? /^(votes|validators):([1-9][0-9]{0,5})$/.exec(value) : null
  const threshold = Number(match?.[2])
  if (match === null || threshold > MAX_THRESHOLD) return undefined
  return { policy: match[1] === 'votes' ? 'votes' : 'validators', threshold }
}

/** authority or work:D. Each digit makes a block 16 times dearer; 8 take minutes to hours. */
export const sealRule: Reader<SealConfig> = (value) => {
  if (value === 'authority') return { kind: 'authority', difficulty: 0 }
  const match = typeof value === 'string' ? /^work:([1-8])$/.exec(value) : null
  return match === null ? undefined : { kind: 'work', difficulty: Number(match[1]) }
}

/**
 * sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE (also postgresql://), of which only the scheme must be there. Where a
 * password has characters that are not encoded the URL would name another host, so what cannot be meant otherwise is refused.
 */
export const databaseUrl: Reader<DatabaseConfig> = (value) => {
  if (typeof value !== 'string') return undefined
  const path = /^sqlite:(?!\/\/)(.+)$/.exec(value)?.[1]
  if (path !== undefined) return { kind: 'sqlite', path }
  // `user@/database` is libpq's way to leave the host out.
  const isUrl = /^postgres(ql)?:\/\/\S+$/.test(value) && URL.canParse(value.replace('@/', '@localhost/'))
  // A fragment means nothing to PostgreSQL, and an @ stands behind user and password alone.
  const isEncoded = /^[^@#]*$|^[a-z]+:\/\/[^/?#@]*@[^@#]*$/.test(value)
  return isUrl && isEncoded ? { kind: 'postgres', url: value } : undefined
}

/** A quantity in micro-units. */
export const quantityMicro: Reader<bigint> = (value) => {
  // YAML reads an unquoted 0.08 as a number and flags bring text: both mean the same quantity.
  const text = fromShape(anyQuantity)(value)
  return text === undefined ? undefined : parseQuantity(text)
}

const MAX_ITEMS_SHOWN = 5

/** The first items; a list in a list is only named. */
function showList(list: readonly unknown[]): string {
  const items = list.slice(0, MAX_ITEMS_SHOWN).map((item) => (Array.isArray(item) ? describe(item) : showValue(item)))
  return `[${items.join(', ')}${list.length > MAX_ITEMS_SHOWN ? `, ${list.length - MAX_ITEMS_SHOWN} more` : ''}]`
}

/** A value for an error line, without the secrets that a URL can carry. */
export function showValue(value: unknown): string {
  if (typeof value === 'string') {
    const scheme = /^([A-Za-z][A-Za-z0-9+.-]*:)\/\//.exec(value)?.[1]
    const text = scheme === undefined ? value : `${scheme}//...`
    return JSON.stringify(text.length > 100 ? `${text.slice(0, 97)}...` : text)
  }
  if (Array.isArray(value)) return showList(value)
  return isJsonObject(value) ? 'a mapping' : describe(value)
}
