import { hash } from 'node:crypto'
import { canonicalText } from '../../src/protocol/canonical-json.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { Header } from '../../src/protocol/header.ts'
import { searchNonce } from '../../src/protocol/work.ts'
import { compare, type BenchOptions, type BenchRow } from './compare.ts'

const NONCES = 200_000
const ROUNDS = 15
const WARM_UP = 3
/** A difficulty that no nonce meets: every one is looked at. */
const NEVER = 16

/** Nonces tried for seal `work`, against hashing strings of the same length alone. */
export async function benchWork({ rounds = ROUNDS, sizes = [NONCES] }: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of sizes) rows.push(await workRow(size, rounds))
  return rows
}

function workRow(size: number, rounds: number): Promise<BenchRow> {
  const texts = Array.from({ length: size }, (_, nonce) => canonicalText({ ...HEADER, nonce }))
  let last = ''
  return compare(
    {
      name: `try ${size} nonces, against crypto.hash alone`,
      unit: 'hashes/s',
      ours: () => perSecond(size, () => searchNonce(HEADER, 0, size)),
      against: () =>
        perSecond(size, () => {
          for (const text of texts) last = hash('sha256', text, 'hex')
          return last
        }),
    },
    { rounds, warmUp: Math.min(WARM_UP, rounds) },
  )
}

function perSecond(count: number, work: () => unknown): number {
  const start = performance.now()
  work()
  return (count * 1_000) / (performance.now() - start)
}

const HEADER: Header = {
  version: 1,
  chain_id: sha256Hex('chain'),
  height: 12_345,
  prev_hash: sha256Hex('parent'),
  merkle_root: sha256Hex('transactions'),
  tx_count: 100,
  history_root: sha256Hex('history'),
  registry_root: sha256Hex('registry'),
  timestamp: 1_760_000_300_000,
  nonce: 0,
  difficulty: NEVER,
  miner_id: 'authority',
}
