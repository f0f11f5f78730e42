import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { openArchiveFiles } from '../../../src/storage/archive/archive-files.ts'
import { openChainStore, type LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { tempDir } from '../../helpers/temp.ts'
import {
  archiveAll,
  ARCHIVE_LIMITS,
  assertNowhere,
  checkAll,
  gone,
  grow,
  made,
  nonce,
  removalAt,
} from './archive-fixtures.ts'

describe('archive of old bodies, killed', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let store: LevelChainStore

  async function open(): Promise<void> {
    const files = await openArchiveFiles(join(folder.path, 'archive'))
    store = await openChainStore(join(folder.path, 'level'), { files, limits: ARCHIVE_LIMITS })
  }

  /** The heights that a script tells of this folder until it is killed: after the one that `isLast` names, and a moment. */
  async function linesUntilKilled(
    script: string,
    isLast: (height: number) => boolean,
    momentMs = 0,
  ): Promise<number[]> {
    const child = spawn(process.execPath, ['--import=tsx', script, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    const heights: number[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      heights.push(Number(line))
      if (isLast(Number(line))) setTimeout(() => child.kill('SIGKILL'), momentMs)
    }
    await exited
    return heights
  }

  beforeEach(async () => {
    folder = await tempDir()
    await open()
  })
  afterEach(async () => {
    await store.close()
    await folder.remove()
  })

  it('has every body in one place or the other, whenever it is killed', async () => {
    await store.close()
    const script = fileURLToPath(new URL('./archive-until-killed.ts', import.meta.url))
    let returned = -1
    for (let round = 1; round <= 5; round++) {
      const last = returned + 20 + round
      returned = (await linesUntilKilled(script, (height) => height === last)).at(-1) ?? returned
      await open()
      const size = await store.size()
      assert.ok(size > returned)
      await checkAll(store, size)
      await store.close()
    }
    await open()
    assert.ok(store.archivedSize() > 80)
  })

  it('is in its place or gone for good, whenever the process is killed', async () => {
    const blocks = 40
    await grow(store, blocks)
    await archiveAll(store, blocks / 2)
    await store.close()
    const script = fileURLToPath(new URL('./redact-until-killed.ts', import.meta.url))
    let removed = 0
    for (let round = 1; removed < blocks; round++) {
      const last = Math.min(removed + 6, blocks - 1)
      const told = await linesUntilKilled(script, (height) => height === last, Math.random() * 20)
      await open()
      const records = await store.redactions(0)
      assert.ok(records.length >= (told.at(-1) ?? -1) + 1, 'what was told is recorded')
      for (let height = 0; height < blocks; height++) {
        const isGone = height < records.length
        // The file comes first, its record after it.
        const may = height === records.length ? [gone(height).block, made(height).block] : []
        const found = await store.block(height)
        if (may.some((one) => isDeepStrictEqual(one, found))) continue
        assert.deepEqual(found, isGone ? gone(height).block : made(height).block)
      }
      assert.deepEqual(
        records,
        Array.from({ length: records.length }, (_, height) => removalAt(height)),
      )
      removed = records.length
      await store.close()
      assert.ok(round <= blocks, 'each round removes at least one')
    }
    await open()
    await assertNowhere(folder.path, ...Array.from({ length: blocks }, (_, height) => nonce(height)))
  })
})
