import assert from 'node:assert/strict'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createAuthority } from '../../../src/node/authority.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import type { SealedHeader } from '../../../src/protocol/header.ts'
import { processGroup, type NodeProcess } from '../../helpers/processes.ts'
import { tempDir } from '../../helpers/temp.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'
import { sequenceOfBytes } from './sequence.ts'
import { spentMs } from '../../helpers/patience.ts'

const PROCESS = fileURLToPath(new URL('authority-process.ts', import.meta.url))
const trade = (id: string) => ({ kind: 'trade' as const, ...tradeRow(id, 'ann', 'ben') })
const TICK = { ...tickOf(0), transactions: [trade('trade-1'), trade('trade-2')] }

interface Said {
  readonly event: string
  readonly url?: string
  readonly tipHeight?: number | null
  readonly sealed?: SealedHeader
}

describe('an authority that is interrupted while it mines', () => {
  const processes = processGroup()
  let folder: Awaited<ReturnType<typeof tempDir>>
  let data: string
  let token: string

  before(async () => {
    folder = await tempDir()
    data = join(folder.path, 'authority')
    await inProcess(data, () => Promise.resolve())
    token = (JSON.parse(await readFile(join(data, 'tokens.json'), 'utf8')) as { platform: string }).platform
  })
  after(async () => {
    await processes.killAll()
    await folder.remove()
  })

  /** An authority of seal work:2 in this process, for as long as `use` takes. Gives back what it has sealed. */
  async function inProcess(
    path: string,
    use: (node: ReturnType<typeof createAuthority>) => Promise<unknown>,
  ): Promise<SealedHeader[]> {
    const sealed: SealedHeader[] = []
    const flags = { data: path, http: 'off', listen: [], tick: 'off', seal: 'work:2' }
    const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), {
      logger: silentLogger,
      randomBytes: sequenceOfBytes(),
      wrapMarketStore: (store): MarketStore => ({
        ...store,
        fence: async (row) => {
          await store.fence(row)
          sealed.push(row.sealed)
        },
      }),
    })
    await node.start()
    try {
      await use(node)
    } finally {
      await node.stop()
    }
    return sealed
  }

  const start = (how: 'real' | 'endless'): NodeProcess => processes.start(['--import=tsx', PROCESS, data, how])
  const says = (process: NodeProcess, event: string): Promise<Said> =>
    process.awaitLine((line) => {
      const said = JSON.parse(line) as Said
      return said.event === event ? said : undefined
    })
  const call = async (url: string | undefined, path: string, body?: object) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await fetch(`${url ?? ''}${path}`, body && { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  const order = (order_id: string) => {
    const timestamp = Date.now()
    return { order_id, user_id: 'ann', side: 'buy', kwh: '1', price_per_kwh: '0.2', timestamp }
  }
  const answersMeanwhile = async (url: string | undefined, orderId: string): Promise<void> => {
    assert.equal((await call(url, '/health')).status, 200)
    assert.equal((await call(url, '/orders/', order(orderId))).status, 201)
    assert.equal((await call(url, '/blocks/latest-headers/')).body.tip_height, null)
  }

  it('answers meanwhile, loses nothing, and seals the same bytes as one that was left alone', async () => {
    const twinData = join(folder.path, 'twin')
    await cp(data, twinData, { recursive: true, filter: (source) => !/-(wal|shm)$/.test(source) })
    const [expected] = await inProcess(twinData, (twin) => twin.ledger.acceptTick(TICK))
    assert.ok(expected)

    // Stopped while a client waits for its tick.
    const stopped = start('endless')
    const { url } = await says(stopped, 'started')
    const posted = call(url, '/ticks/', TICK)
    await says(stopped, 'mining')
    await answersMeanwhile(url, 'order-1')
    const begun = spentMs()
    stopped.kill('SIGTERM')
    const answer = await posted
    assert.deepEqual([answer.status, answer.body.code], [503, 'not_ready'])
    assert.match(String(answer.body.detail), /the node is stopping; what is committed is sealed later/)
    assert.deepEqual(await stopped.ended, { code: 0, signal: null }, stopped.errors())
    assert.ok(spentMs() - begun < 5_000)

    // The next start mines what is left, answers before it is done, and is killed.
    const killed = start('endless')
    const again = await says(killed, 'started')
    assert.equal(again.tipHeight, null)
    await says(killed, 'mining')
    await answersMeanwhile(again.url, 'order-2')
    killed.kill('SIGKILL')
    assert.equal((await killed.ended).signal, 'SIGKILL')

    // Stopped again, while nobody waits.
    const third = start('endless')
    await says(third, 'mining')
    third.kill('SIGTERM')
    assert.deepEqual(await third.ended, { code: 0, signal: null }, third.errors())

    const last = start('real')
    const { sealed } = await says(last, 'fenced')
    assert.deepEqual(sealed, expected)
    const { url: lastUrl } = await says(last, 'started')
    const repeated = await call(lastUrl, '/ticks/', TICK)
    assert.deepEqual([repeated.status, repeated.body.height], [200, 0])
    assert.match(String(repeated.body.block_hash), /^00/)
    const next = await call(lastUrl, '/ticks/', tickOf(1, trade('trade-3')))
    assert.deepEqual([next.status, next.body.height], [200, 1])
    last.kill('SIGTERM')
    assert.deepEqual(await last.ended, { code: 0, signal: null }, last.errors())
  })
})
