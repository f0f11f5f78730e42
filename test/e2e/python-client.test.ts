import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, type AuthorityNode } from '../../src/node/authority.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import { testKey, testSecretHex } from '../vectors/keys.ts'
import { hasPython, runPython, type PythonRun } from '../unit/protocol/python.ts'

interface TickAnswer {
  readonly height: number
  readonly block_hash: string
  readonly transactions: readonly { readonly id: string; readonly tx_hash: string }[]
}

function withPython(): void {
  describe('a client in Python against a running authority', () => {
    let folder: string
    let authority: AuthorityNode
    let url: string
    let chainId: string
    let ticks: TickAnswer[]

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'solar-python-'))
      const dataDirectory = join(folder, 'data')
      authority = createAuthority(
        {
          mode: 'authority',
          dataDirectory,
          http: { host: '127.0.0.1', port: 0 },
          peers: [],
          passphraseFile: undefined,
          logLevel: 'error',
          listen: ['/ip4/127.0.0.1/tcp/0'],
          database: { kind: 'sqlite', path: join(dataDirectory, 'market.sqlite') },
          tickIntervalMs: 'off',
          outboxPollMs: 1_000,
          genesisFile: undefined,
          genesis: {
            name: undefined,
            origin: undefined,
            currency: undefined,
            amountDecimals: undefined,
            finality: undefined,
            seal: undefined,
            voters: [{ id: 'alice', publicKey: testKey('alice').publicKey, recoveryKey: null, userId: undefined }],
            validators: [],
          },
          minTradeMicro: 10_000n,
          priceBand: undefined,
          witnesses: [],
          rateLimitPerSecond: 200,
          archiveAfterMs: 'off',
          changeLimits: { perHour: 10_000, perUserPerHour: 60 },
        },
        { logger: silentLogger },
      )
      const report = await authority.start()
      assert.ok(report.httpUrl)
      url = report.httpUrl
      chainId = report.chainId
      const { platform } = JSON.parse(readFileSync(join(dataDirectory, 'tokens.json'), 'utf8')) as { platform: string }
      ticks = []
      for (const [tick, rows] of [3, 1, 5, 2, 1, 4, 2].entries())
        ticks.push(await postTick(platform, `tick-${tick}`, rows))
      writeFileSync(join(folder, 'alice.key'), testSecretHex('alice'))
      writeFileSync(join(folder, 'stranger.key'), testSecretHex('stranger'))
    })
    after(async () => {
      await authority.stop()
      rmSync(folder, { recursive: true })
    })

    async function postTick(token: string, tick_id: string, rows: number): Promise<TickAnswer> {
      const timestamp = Date.now()
      const transactions = Array.from({ length: rows }, (_, i) => ({
        id: `${tick_id}-trade-${i}`,
        from_user_id: 'alice',
        to_user_id: 'bob',
        kwh: '1.5',
        price_per_kwh: '0.2',
        total_amount: '0.3',
        timestamp,
      }))
      const answer = await fetch(`${url}/ticks/`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ tick_id, timestamp, transactions }),
      })
      assert.equal(answer.status, 200, await answer.clone().text())
      return (await answer.json()) as TickAnswer
    }

    const client = (...args: readonly string[]): Promise<PythonRun> => runPython('client.py', [url, chainId, ...args])
    const vote = (key: string) => ['--voter', 'alice', '--key', join(folder, `${key}.key`)]

    it('checks the chain, proves a trade by its id, and casts a vote that counts', async () => {
      const block = ticks[4]!
      const { code, stdout, stderr } = await client('--tx-id', 'tick-4-trade-0', ...vote('alice'))
      assert.equal(stderr, '')
      assert.equal(code, 0)
      const tip = ticks.at(-1)!.block_hash
      assert.deepEqual(JSON.parse(stdout), {
        chain_id: chainId,
        headers: 5,
        tip,
        transaction: { tx_hash: block.transactions[0]!.tx_hash, block_hash: block.block_hash, height: block.height },
        vote: { header_hash: tip, status: 'final', votes: { ack: 1, reject: 0, required: 0 } },
      })
      const status = (await (await fetch(`${url}/blocks/${tip}/status/`)).json()) as { votes: { ack: number } }
      assert.equal(status.votes.ack, 1)
    })

    it('proves every trade of the chain by its hash, from height 0 on', async () => {
      for (const { height, block_hash, transactions } of ticks) {
        const { tx_hash } = transactions.at(-1)!
        const { code, stdout, stderr } = await client('--headers', '100', '--tx-hash', tx_hash)
        assert.equal(code, 0, stderr)
        const { transaction } = JSON.parse(stdout) as { transaction: unknown }
        assert.deepEqual(transaction, { tx_hash, block_hash, height })
      }
    })

    it('casts no vote with a key that is not registered', async () => {
      const { code, stderr } = await client(...vote('stranger'))
      assert.equal(code, 1)
      assert.match(stderr, /HTTP 401 .*bad_signature/)
    })

    it('refuses the authority if another chain is pinned', async () => {
      const { code, stderr } = await runPython('client.py', [url, '0'.repeat(64)])
      assert.equal(code, 1)
      assert.match(stderr, /not that of the pinned chain/)
    })
  })
}

if (hasPython) withPython()
