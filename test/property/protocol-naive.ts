import { createHash } from 'node:crypto'

/** Naive references, written from the text of docs/protocol.md and the RFCs alone: slow, short, and free of the code. */

const sha256 = (...parts: readonly Uint8Array[]): string => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex')

/** JCS: members sorted by name, no white space, strings as JSON.stringify writes them. */
export function naiveJcs(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(naiveJcs).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${naiveJcs(member)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

const layersMemo = new WeakMap<readonly string[], string[][]>()

/** The layers of the block tree, leaves first: each odd layer is made even by its last node again. */
function naiveLayers(leaves: readonly string[]): string[][] {
  const layers = layersMemo.get(leaves) ?? computeLayers(leaves)
  layersMemo.set(leaves, layers)
  return layers
}

function computeLayers(leaves: readonly string[]): string[][] {
  const layers = [[...leaves]]
  for (let layer = layers[0]!; layer.length > 1; layer = layers.at(-1)!) {
    if (layer.length % 2 === 1) layer.push(layer.at(-1)!)
    layers.push(
      Array.from({ length: layer.length / 2 }, (_, i) => sha256(bytes(layer[2 * i]!), bytes(layer[2 * i + 1]!))),
    )
  }
  return layers
}

export const naiveMerkleRoot = (leaves: readonly string[]): string =>
  leaves.length === 0 ? sha256() : naiveLayers(leaves).at(-1)![0]!

/** The sibling of the node above leaf `index` in each layer. */
export const naiveMerklePath = (leaves: readonly string[], index: number): string[] =>
  naiveLayers(leaves)
    .slice(0, -1)
    .map((layer, level) => layer[(index >> level) ^ 1]!)

/** Verification of a block tree proof, word for word as docs/protocol.md says it. */
export function naiveMerkleVerify(
  leaf: string,
  index: number,
  txCount: number,
  path: readonly string[],
  root: string,
): boolean {
  if (!(index < txCount)) return false
  const rest = [...path]
  let h = leaf
  let i = index
  for (let n = txCount; n > 1; n = Math.ceil(n / 2)) {
    const s = rest.shift()
    if (s === undefined) return false
    if (i === n - 1 && n % 2 === 1 && s !== h) return false
    h = i % 2 === 1 ? sha256(bytes(s), bytes(h)) : sha256(bytes(h), bytes(s))
    i >>= 1
  }
  return rest.length === 0 && h === root
}

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)
const largestPowerBelow = (n: number): number => {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}
const memo = new WeakMap<readonly string[], Map<string, string>>()

/** MTH of RFC 9162 2.1.1 over data[from..to) (hex); remembered, since proofs ask for the same subtrees. */
export function naiveTreeHash(data: readonly string[], from = 0, to = data.length): string {
  const known = memo.get(data) ?? new Map<string, string>()
  memo.set(data, known)
  const name = `${from}-${to}`
  const hash = known.get(name) ?? computeTreeHash(data, from, to)
  known.set(name, hash)
  return hash
}

function computeTreeHash(data: readonly string[], from: number, to: number): string {
  if (to === from) return sha256()
  if (to - from === 1) return sha256(LEAF, bytes(data[from]!))
  const k = largestPowerBelow(to - from)
  return sha256(NODE, bytes(naiveTreeHash(data, from, from + k)), bytes(naiveTreeHash(data, from + k, to)))
}

/** PATH(m, D[n]) of RFC 9162 2.1.3.1. */
export function naiveInclusion(m: number, data: readonly string[], from = 0, to = data.length): string[] {
  const n = to - from
  if (n === 1) return []
  const k = largestPowerBelow(n)
  return m < k
    ? [...naiveInclusion(m, data, from, from + k), naiveTreeHash(data, from + k, to)]
    : [...naiveInclusion(m - k, data, from + k, to), naiveTreeHash(data, from, from + k)]
}

/** SUBPROOF(m, D[n], b) of RFC 9162 2.1.4.1; PROOF(m, D[n]) with b = true. */
export function naiveConsistency(
  m: number,
  data: readonly string[],
  from = 0,
  to = data.length,
  whole = true,
): string[] {
  const n = to - from
  if (m === n) return whole ? [] : [naiveTreeHash(data, from, to)]
  const k = largestPowerBelow(n)
  return m <= k
    ? [...naiveConsistency(m, data, from, from + k, whole), naiveTreeHash(data, from + k, to)]
    : [...naiveConsistency(m - k, data, from + k, to, false), naiveTreeHash(data, from, from + k)]
}

/** A rational number with a positive denominator. */
export interface Rational {
  readonly top: bigint
  readonly bottom: bigint
}

/** Any plain decimal as a rational. */
export function rationalOf(decimal: string): Rational {
  const [, sign = '', whole = '0', fraction = ''] = /^(-?)([0-9]+)(?:\.([0-9]+))?$/.exec(decimal) ?? []
  return { top: BigInt(`${sign}${whole}${fraction}`), bottom: 10n ** BigInt(fraction.length) }
}

export const multiply = (a: Rational, b: Rational): Rational => ({ top: a.top * b.top, bottom: a.bottom * b.bottom })
/** -1, 0 or 1 for a < b, a = b, a > b. */
export function compare(a: Rational, b: Rational): number {
  const difference = a.top * b.bottom - b.top * a.bottom
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}
export function distance(a: Rational, b: Rational): Rational {
  const top = a.top * b.bottom - b.top * a.bottom
  return { top: top < 0n ? -top : top, bottom: a.bottom * b.bottom }
}
