/**
 * An authority as a process: `DATA FLAGS(JSON) real|endless`. "endless": each header is given to the mining thread with a
 * difficulty that nobody meets, so that it is at work for as long as the test likes.
 */
import { writeSync } from 'node:fs'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createAuthority } from '../../../src/node/authority.ts'
import { runUntilSignal } from '../../../src/node/lifecycle.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { sequenceOfBytes } from './sequence.ts'

const [data = '', how = 'real'] = process.argv.slice(2)
/** Written at once: a killed process flushes nothing. */
const say = (event: object): void => void writeSync(1, `${JSON.stringify(event)}\n`)

const flags = { data, http: '127.0.0.1:0', listen: ['/ip4/127.0.0.1/tcp/0'], tick: 'off' }
const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), {
  logger: silentLogger,
  randomBytes: sequenceOfBytes(),
  wrapMiner: (miner) => ({
    ...miner,
    mine: (header) => {
      const mining = miner.mine(how === 'endless' ? { ...header, difficulty: 64 } : header)
      say({ event: 'mining', height: header.height })
      return mining
    },
  }),
  wrapMarketStore: (store) => ({
    ...store,
    fence: async (row) => {
      await store.fence(row)
      say({ event: 'fenced', height: row.height, sealed: row.sealed })
    },
  }),
})
process.exit(
  await runUntilSignal(node, {
    logger: silentLogger,
    onStarted: ({ httpUrl, tipHeight }) => say({ event: 'started', url: httpUrl, tipHeight }),
  }),
)
