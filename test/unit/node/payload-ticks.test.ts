import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import type { PlatformRow } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { MAX_PAYLOADS_PER_BLOCK } from '../../../src/protocol/limits.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { TCP } from '../../helpers/network.ts'
import { tempDir } from '../../helpers/temp.ts'

const AT = Date.UTC(2026, 0, 1)
/** The bytes of an age file, of this length, that nobody can open. */
const payloadOf = (bytes: number): string =>
  Buffer.concat([Buffer.from('age-encryption.org/v1\n'), randomBytes(bytes - 22)]).toString('base64')

const row = (id: string, payload?: string): PlatformRow => ({
  ...({ kind: 'trade', id, from_user_id: 'ann', to_user_id: 'ben', timestamp: AT } as const),
  ...{ kwh: '1', price_per_kwh: '0.2', total_amount: '0.2' },
  ...(payload !== undefined && { payload }),
})

describe('ticks with payloads at an authority', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let node: AuthorityNode
  let url: string
  before(async () => {
    folder = await tempDir()
    await start()
  })
  after(async () => {
    await node.stop()
    await folder.remove()
  })

  async function start(): Promise<void> {
    const flags = { data: join(folder.path, 'data'), http: '127.0.0.1:0', listen: [TCP], tick: 'off' }
    node = createAuthority(loadAuthorityConfig({ flags, env: {} }), { logger: silentLogger })
    url = (await node.start()).httpUrl ?? ''
  }

  const accept = (tick_id: string, ...transactions: PlatformRow[]) =>
    node.ledger.acceptTick({ tick_id, timestamp: AT, transactions })
  const payload = payloadOf(700)

  it('are sealed with them: a receipt has the payload, and its proof covers it', async () => {
    await accept('t0', row('a', payload), row('b'))
    const receipt = await node.ledger.receipt('a')
    assert.ok(receipt.transaction.kind === 'trade' && receipt.transaction.payload === payload)
    assert.equal(verifyReceipt(receipt, node.ledger.chainId).ok, true)
    const forged = { ...receipt, transaction: { ...receipt.transaction, payload: payloadOf(700) } }
    assert.equal(verifyReceipt(forged, node.ledger.chainId).ok, false)
  })

  it('are the same again with the same payload alone, also after a restart; a conflict does not quote all of it', async () => {
    await node.stop()
    await start()
    assert.equal((await accept('t0', row('a', payload), row('b'))).height, 0)
    for (const rows of [
      [row('a', payloadOf(4_000)), row('b')],
      [row('a'), row('b')],
      [row('a', payload), row('b', payload)],
    ]) {
      await assert.rejects(accept('t0', ...rows), (error) => {
        assert.ok(isSolarError(error, 'tick_conflict'))
        assert.match(error.message, /payload is /)
        assert.ok(error.message.length < 600, String(error.message.length))
        return true
      })
    }
  })

  it('are refused as a whole where the payloads are more than a block holds', async () => {
    const largest = payloadOf(4_096)
    const most = Math.floor(MAX_PAYLOADS_PER_BLOCK / largest.length)
    const rows = Array.from({ length: most + 1 }, (_, i) => row(`many-${i}`, largest))
    await assert.rejects(accept('t1', ...rows), (error) => isSolarError(error, 'payloads_too_large'))
    assert.equal((await node.ledger.latestHeaders(1)).tip_height, 0)
    const sealed = await accept('t1', ...rows.slice(1))
    assert.equal(sealed.height, 1)
    const block = await node.ledger.block(sealed.block_hash ?? '')
    assert.ok(block.transactions.every((tx) => tx.kind === 'trade' && tx.payload === largest))
  })

  it('leave no byte of a payload on the disk once its trade was redacted', async () => {
    const found = async () => {
      const entries = await readdir(join(folder.path, 'data'), { withFileTypes: true, recursive: true })
      const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
      const parts = [payload.slice(100, 140), payload.slice(500, 540)]
      const texts = await Promise.all(files.map(async (file) => (await readFile(file)).toString('latin1')))
      return files.filter((_, i) => parts.some((part) => texts[i]!.includes(part)))
    }
    assert.notDeepEqual(await found(), [])
    const { operator } = JSON.parse(await readFile(join(folder.path, 'data', 'tokens.json'), 'utf8')) as {
      operator: string
    }
    const answer = await fetch(`${url}/transactions/a/redact`, {
      method: 'POST',
      headers: { authorization: `Bearer ${operator}`, 'content-type': 'application/json' },
      body: JSON.stringify({ redacted_by: 'mia', reason: 'asked for' }),
    })
    assert.equal(answer.status, 200, await answer.text())
    assert.deepEqual(await found(), [])
    await assert.rejects(node.ledger.receipt('a'), (error) => isSolarError(error))
  })
})
