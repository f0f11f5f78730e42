import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adviceFor, type Stores } from '../../../src/node/advice.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import { openChainStore } from '../../../src/storage/level/chain-store.ts'
import { openArchiveFiles } from '../../../src/storage/archive/archive-files.ts'
import { tempDir } from '../../helpers/temp.ts'
import { grow } from '../storage/archive-fixtures.ts'

const MODES = ['authority', 'light', 'validator'] as const

describe('node/advice', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  beforeEach(async () => {
    folder = await tempDir()
  })
  afterEach(() => folder.remove())

  const level = (): string => join(folder.path, 'level')
  const storesOf = (mode: Stores['mode']): Stores => ({ mode, dataDirectory: folder.path })
  const open = async () =>
    openChainStore(level(), {
      files: await openArchiveFiles(join(folder.path, 'archive')),
      limits: { maxBlocks: 1_000, maxText: 1_000_000 },
    })

  it('tells LevelDB that another program has open from one that is damaged', async () => {
    const held = await open()
    await grow(held, 40)
    const heldBy = await open().then(
      () => assert.fail('it was opened twice'),
      (error: unknown) => error,
    )
    await held.close()
    for (const mode of MODES) assert.match(adviceFor(heldBy, storesOf(mode)) ?? '', /^another program has it open/)

    // As a disk that goes bad: what lies in each of its files is changed here and there.
    await (await open()).close()
    for (const name of await readdir(level())) {
      if (!/\.(?:ldb|log)$/.test(name)) continue
      const bytes = await readFile(join(level(), name))
      for (let at = 50; at < bytes.length; at += 97) bytes[at]! ^= 0xff
      await writeFile(join(level(), name), bytes)
    }
    const damaged = await openAndRead().then(
      () => assert.fail('damage was not noticed'),
      (error: unknown) => error,
    )
    for (const mode of MODES) assert.match(adviceFor(damaged, storesOf(mode)) ?? '', /LevelDB is damaged/)
  })

  it('knows what LevelDB calls damage, though there is a lock in the word block', () => {
    for (const [reason, advice] of [
      ['Corruption: corrupted compressed block contents', /LevelDB is damaged/],
      ['Corruption: block checksum mismatch', /LevelDB is damaged/],
      ['Corruption: bad block type', /LevelDB is damaged/],
      ['IO error: /d/level/000005.ldb: No such file or directory', /LevelDB is damaged/],
      ['IO error: lock /d/level/LOCK: already held by process', /^another program has it open/],
      ['IO error: lock /d/level/LOCK: Resource temporarily unavailable', /^another program has it open/],
    ] as const) {
      const error = ledgerError('store_failed', { store: 'level', operation: 'open', retryable: false, reason })
      for (const mode of MODES) assert.match(adviceFor(error, storesOf(mode)) ?? 'none', advice, reason)
    }
  })

  async function openAndRead(): Promise<void> {
    const store = await open()
    try {
      for (let height = 0; height < 40; height++) await store.block(height)
    } finally {
      await store.close()
    }
  }
})
