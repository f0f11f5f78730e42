import { join } from 'node:path'
import { Chain } from '../../src/engine/chain.ts'
import { createGenesisFile } from '../../src/node/genesis-file.ts'
import { assembleHeader } from '../../src/protocol/block.ts'
import { decodeGenesis } from '../../src/protocol/genesis.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { openChainStore } from '../../src/storage/level/chain-store.ts'
import { openSqlite } from '../../src/storage/sql/sqlite.ts'
import { sealHeader, signingKeyFromSecret } from '../helpers/sign-now.ts'
import { tickCommit, ticksUntilNow } from './trades.ts'

const KEY = signingKeyFromSecret(new Uint8Array(32).fill(7))
const GENESIS = decodeGenesis({
  version: 1,
  name: 'A large community',
  origin: 'bench.example.org/full-store',
  created_at: 0,
  currency: 'EUR',
  amount_decimals: 6,
  seal: 'authority',
  difficulty: 0,
  finality: { policy: 'authority' },
  registry: [{ id: 'authority', role: 'authority', public_key: KEY.publicKey, recovery_key: null }],
})

/** Fills a data directory with a chain of `trades` trades, `perBlock` to a block, as an authority leaves it. */
export async function makeFullStore(folder: string, trades: number, perBlock: number): Promise<void> {
  await createGenesisFile(join(folder, 'genesis.json'), GENESIS)
  const sql = await openSqlite(join(folder, 'ledger.db'))
  const level = await openChainStore(join(folder, 'level'))
  const chain = await Chain.open(GENESIS, level)
  await sql.bindChain(chain.chainId)
  const blocks = Math.ceil(trades / perBlock)
  const timeOf = ticksUntilNow(blocks)
  const { root } = chain.registry
  for (let height = 0; height < blocks; height++) {
    const count = Math.min(perBlock, trades - height * perBlock)
    const tick = tickCommit(`tick-${height}`, count, timeOf(height))
    const at = { parent: chain.tip, historyRoot: chain.historyRoot }
    const header = assembleHeader(GENESIS, chain.chainId, at, tick, tick.tx_hashes, root, 'authority')
    const sealed = sealHeader(header, KEY)
    const row = { height, block_hash: hashHeader(header), tick_id: tick.tick_id, sealed, finalized_at: tick.timestamp }
    const inSql = sql.commitTick({ ...tick, parent: at.parent?.hash ?? null }).then(() => sql.fence(row))
    await Promise.all([inSql, chain.append({ ...sealed, transactions: tick.transactions }, tick.tx_hashes)])
  }
  await level.close()
  await sql.close()
}
