import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chainIdOf, decodeGenesis, type Genesis } from '../../src/protocol/genesis.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { isJsonObject } from '../../src/protocol/shape.ts'

/** Real examples: everything that is in the test vectors, at any depth. */
const VECTORS = join(import.meta.dirname, '../vectors')
/** What is longer makes a slow search, and its parts are there as well. */
const MAX_SEED_LENGTH = 40_000
const MAX_SEEDS = 24

const seen = new Set<string>()
export const values: unknown[] = []
export const texts: string[] = []

function walk(value: unknown): void {
  if (typeof value === 'string') {
    if (!seen.has(value)) texts.push(value)
    seen.add(value)
    return
  }
  if (typeof value !== 'object' || value === null) return
  const json = JSON.stringify(value)
  if (seen.has(json)) return
  seen.add(json)
  if (json.length <= MAX_SEED_LENGTH) values.push(value)
  Object.values(value).forEach(walk)
}

const parsed = (folder: string): unknown[] =>
  readdirSync(join(VECTORS, folder))
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(VECTORS, folder, name), 'utf8')) as unknown)
parsed('v1').forEach(walk)
export const receipts: readonly unknown[] = parsed('receipts').map((file) =>
  isJsonObject(file) && 'receipt' in file ? file.receipt : file,
)
receipts.forEach(walk)

function accepts(decode: (value: unknown) => unknown, value: unknown): boolean {
  try {
    decode(value)
    return true
  } catch (error) {
    if (isSolarError(error)) return false
    throw error
  }
}

/** Some of the values that a decoder takes: short ones, of as many lengths as there are. */
export function acceptedBy(decode: (value: unknown) => unknown): readonly unknown[] {
  const byLength = new Map<number, unknown>()
  for (const value of [...values, ...texts, 0, 1_760_000_400_000]) {
    const { length } = JSON.stringify(value)
    if (!byLength.has(length) && accepts(decode, value)) byLength.set(length, value)
    if (byLength.size >= MAX_SEEDS) break
  }
  return [...byLength.values()]
}

export interface TestChain {
  readonly genesis: Genesis
  readonly chainId: string
}
export const chains: readonly TestChain[] = acceptedBy(decodeGenesis).map((value) => {
  const genesis = decodeGenesis(value)
  return { genesis, chainId: chainIdOf(genesis) }
})
