import assert from 'node:assert/strict'
import { createAuthorityRedactor } from '../../../src/engine/redactor.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Redaction } from '../../../src/protocol/redaction.ts'
import { openChainStore, type LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { block } from '../../contract/fixtures.ts'
import { tempDir } from '../../helpers/temp.ts'

describe('bodies that SQL says are gone', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let blocks: LevelChainStore

  beforeEach(async () => {
    folder = await tempDir()
    blocks = await openChainStore(folder.path)
  })
  afterEach(async () => {
    await blocks.close()
    await folder.remove()
  })

  const redactorOver = (records: readonly Redaction[]) =>
    createAuthorityRedactor({
      store: {
        redact: () => Promise.reject(new Error('not asked for')),
        redactions: () => Promise.resolve(records),
        redactionCount: () => Promise.resolve(records.length),
      },
      blocks,
      leadership: { term: 0 },
      clock: { now: () => 0, after: () => () => undefined },
      logger: silentLogger,
    })

  /** A LevelDB that was made anew from SQL: its block never had the first body. */
  async function rebuilt(): Promise<string> {
    const { block: whole, hash, txHashes } = block(0, ['a', 'b'])
    const [tx_hash = ''] = txHashes
    const transactions = [{ kind: 'redacted' as const, tx_hash }, whole.transactions[1]!]
    await blocks.append({ ...whole, transactions }, hash, txHashes)
    return tx_hash
  }

  it('are known by the ids that SQL has, where the blocks came from it without them', async () => {
    const tx_hash = await rebuilt()
    const before = await blocks.block(0)
    assert.equal(await blocks.firstUnknownId(0, 1), 0)
    const record = { tx_hash, tx_id: 'a', height: 0, redacted_by: 'mia', redacted_at: 5, reason: 'asked for' }
    await redactorOver([record]).keepUp()
    assert.equal(await blocks.firstUnknownId(0, 1), undefined)
    assert.deepEqual(await blocks.redactions(0), [record])
    assert.deepEqual(await blocks.heightsOfIds(['a', 'b']), [0, 0])
    assert.deepEqual(await blocks.block(0), before)
  })

  it('stay unknown where SQL does not know them either', async () => {
    const tx_hash = await rebuilt()
    const [record] = await blocks.redactions(0)
    assert.equal(record?.tx_hash, tx_hash)
    await redactorOver([record]).keepUp()
    assert.deepEqual(await blocks.redactions(0), [record])
  })
})
