import { join } from 'node:path'
import { Chain } from '../../src/engine/chain.ts'
import { openChainStore } from '../../src/storage/level/chain-store.ts'
import { assembleHeader } from '../../src/protocol/block.ts'
import { chainIdOf, type Genesis } from '../../src/protocol/genesis.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { registryTickId, type RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import { entryOf, genesisOf } from '../helpers/test-chain.ts'
import { tempDir } from '../helpers/temp.ts'
import { milliseconds, type BenchOptions, type BenchRow } from './compare.ts'

const MEMBERS = [1_000, 10_000, 100_000]
const CHANGES = 1_000_000
/** Changes between two lines of what the process has in memory. */
const LINE = 100_000
const SIGNATURE = '0'.repeat(128)
const MEGABYTE = 2 ** 20

/**
 * Members who enrol and then change their keys over and over, on a chain in LevelDB: what a change costs, what stays in memory,
 * and how long a start takes, each against what is the least for it. The blocks are not sealed and their signatures not
 * checked: that costs the same whatever the registry holds.
 */
export async function benchRegistry({ sizes = MEMBERS, changes = CHANGES }: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const members of sizes) rows.push(...(await rowsOf(members, members === Math.max(...sizes) ? changes : 10_000)))
  return rows
}

async function rowsOf(members: number, changes: number): Promise<BenchRow[]> {
  const folder = await tempDir()
  const place = join(folder.path, 'level')
  try {
    const grown = await grow(place, members, changes)
    const { opened, read, reopened } = await start(place, grown.genesis)
    const what = `${changes} changes among ${members} members`
    return [
      {
        name: `a change among ${members}, appended, against hashing the way to its leaf and a batch`,
        ours: grown.perChange,
        against: grown.floor,
        ratio: grown.perChange / grown.floor,
        unit: 'ms',
      },
      {
        name: `heap after ${what}, against that before them`,
        ours: grown.heapAfter,
        against: grown.heapBefore,
        ratio: grown.heapAfter / grown.heapBefore,
        unit: 'MB',
      },
      {
        name: `start after ${what}, against reading the members' pages alone`,
        ours: opened,
        against: read,
        ratio: opened / read,
        unit: 'ms',
      },
      {
        name: `the registry of the middle of ${what}, against a start`,
        ours: reopened,
        against: opened,
        ratio: reopened / opened,
        unit: 'ms',
      },
    ]
  } finally {
    await folder.remove()
  }
}

async function grow(place: string, members: number, changes: number) {
  const genesis = genesisOf({ policy: 'authority' }, entryOf('authority', 'authority'))
  const store = await openChainStore(place)
  const chain = await Chain.open(genesis, store)
  const keyOf = (change: number): string => sha256Hex(`key ${change}`)
  for (let member = 0; member < members; member++) {
    await append(chain, { action: 'enrol', role: 'voter', subject_id: `house-${member}`, public_key: keyOf(member) })
  }
  const heapBefore = heap()
  let spent = 0
  for (let change = 0; change < changes; change++) {
    // A step without a common divisor visits all of them in no order.
    const subject_id = `house-${(change * 7_919) % members}`
    const key = keyOf(members + change)
    spent += await milliseconds(() => append(chain, { action: 'rotate', subject_id, public_key: key }))
    if ((change + 1) % LINE === 0)
      process.stderr.write(`${change + 1} changes: heap ${heap()} MB, ${(spent / (change + 1)).toFixed(2)} ms each\n`)
  }
  const heapAfter = heap()
  await store.close()
  return { genesis, heapBefore, heapAfter, perChange: spent / changes, floor: await floorOf(place, members) }
}

type Fields = Pick<RegistryTransaction, 'action' | 'subject_id'> & {
  readonly public_key: string
  readonly role?: 'voter'
}

async function append(chain: Chain, fields: Fields): Promise<void> {
  const nonce = sha256Hex(fields.public_key).slice(0, 32)
  const common = { kind: 'registry', id: nonce, timestamp: 1_760_000_000_000, tick_id: registryTickId(nonce), nonce }
  const tx = { ...common, ...fields, signature: SIGNATURE } as RegistryTransaction
  const { genesis, chainId, tip, historyRoot, registry, size } = chain
  const after = registry.afterValid([tx], size)
  const hashes = [hashTransaction(tx)]
  const at = { parent: tip, historyRoot }
  const header = assembleHeader(genesis, chainId, at, tx, hashes, after.root, 'authority')
  await chain.append({ header, signature: SIGNATURE, transactions: [tx] }, hashes)
}

/** Hashing as many nodes as a leaf has above it, and writing a batch of one block's size: the least a change can cost. */
async function floorOf(place: string, members: number): Promise<number> {
  const store = await openChainStore(`${place}-floor`)
  const genesis = genesisOf({ policy: 'authority' }, entryOf('authority', 'authority'))
  const chainId = chainIdOf(genesis)
  const rounds = 1_000
  try {
    const took = await milliseconds(async () => {
      for (let height = 0; height < rounds; height++) {
        let hash = sha256Hex(`leaf ${height}`)
        for (let level = 0; level < Math.log2(members); level++) hash = sha256Hex(hash + hash)
        const at = { height, chain_id: chainId, prev_hash: hash, merkle_root: hash, history_root: hash }
        const header = { ...at, version: 1 as const, tx_count: 0, registry_root: hash, timestamp: 0, nonce: 0 }
        const block = { header: { ...header, difficulty: 0, miner_id: 'authority' }, signature: SIGNATURE }
        await store.append({ ...block, transactions: [] }, sha256Hex(hash), [])
      }
    })
    return took / rounds
  } finally {
    await store.close()
  }
}

/** Milliseconds until the chain is open, and until its pages are read alone; then one question about the past. */
async function start(place: string, genesis: Genesis) {
  const store = await openChainStore(place)
  try {
    let pages: readonly string[] = []
    const counting = {
      ...store,
      registryPages: (hashes: readonly string[]) => {
        pages = [...pages, ...hashes]
        return store.registryPages(hashes)
      },
    }
    let chain: Chain | undefined
    const opened = await milliseconds(async () => (chain = await Chain.open(genesis, counting)))
    const read = await milliseconds(() => store.registryPages(pages))
    const middle = Math.floor((chain?.size ?? 0) / 2)
    const reopened = await milliseconds(async () => await chain?.registryBefore(middle))
    return { opened, read, reopened }
  } finally {
    await store.close()
  }
}

/** Of this process, after collecting what nobody needs where that can be asked for (node --expose-gc). */
function heap(): number {
  globalThis.gc?.()
  return Math.round(process.memoryUsage().heapUsed / MEGABYTE)
}
