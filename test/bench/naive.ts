import { createHash, hash } from 'node:crypto'

/** What the benchmarks compare with: the text of the RFCs written down directly, and hashing alone. */

const LEAF = Uint8Array.of(0x00)
const NODE = Uint8Array.of(0x01)

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const state = createHash('sha256')
  for (const part of parts) state.update(part)
  return state.digest()
}

/** The largest power of two smaller than `size` (size > 1). */
const split = (size: number): number => 2 ** Math.floor(Math.log2(size - 1))

/** MTH(D[from:to]) of RFC 9162 2.1.1, nothing remembered. */
function treeHash(data: readonly Uint8Array[], from: number, to: number): Buffer {
  const leaf = data[from]
  if (to - from === 1 && leaf !== undefined) return sha256(LEAF, leaf)
  const middle = from + split(to - from)
  return sha256(NODE, treeHash(data, from, middle), treeHash(data, middle, to))
}

/** PATH(m, D[from:to]) of RFC 9162 2.1.3.1: every proof hashes the whole tree again. */
export function naiveInclusion(m: number, data: readonly Uint8Array[], from = 0, to = data.length): Buffer[] {
  if (to - from === 1) return []
  const middle = from + split(to - from)
  return m < middle
    ? [...naiveInclusion(m, data, from, middle), treeHash(data, middle, to)]
    : [...naiveInclusion(m, data, middle, to), treeHash(data, from, middle)]
}

/** `count` hashes of two nodes each: what a tree or a path cannot do without. */
export function bareHashes(count: number): string {
  const pair = new Uint8Array(64)
  let last = ''
  for (let i = 0; i < count; i++) last = hash('sha256', pair, 'hex')
  return last
}
