import assert from 'node:assert/strict'
import { readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { openHighWaterFile } from '../../../src/keys/high-water-file.ts'
import type { HighWaterMark } from '../../../src/ports/high-water.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { tempDir } from '../../helpers/temp.ts'

const markOf = (height: number): HighWaterMark => ({ height, hash: sha256Hex(`block ${height}`) })

describe('keys/high-water-file', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let path: string
  beforeEach(async () => {
    folder = await tempDir()
    path = join(folder.path, 'high-water')
  })
  afterEach(() => folder.remove())

  async function withFile<T>(work: (file: Awaited<ReturnType<typeof openHighWaterFile>>) => Promise<T>): Promise<T> {
    const file = await openHighWaterFile(path)
    try {
      return await work(file)
    } finally {
      await file.close()
    }
  }
  const stored = () => withFile((file) => Promise.resolve(file.mark))
  const raise = (...heights: number[]) =>
    withFile(async (file) => {
      for (const height of heights) await file.raise(markOf(height))
    })

  it('holds nothing before the first block, and no file is there', async () => {
    assert.equal(await stored(), null)
    await assert.rejects(stat(path))
  })

  it('gives back the highest mark after every start', async () => {
    for (const height of [0, 1, 2, 3, 40, Number.MAX_SAFE_INTEGER]) {
      await raise(height)
      assert.deepEqual(await stored(), markOf(height))
    }
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  it('tells when it was raised last before this start', async () => {
    await withFile(async (file) => {
      assert.equal(file.raisedAt, null)
      await file.raise(markOf(1))
      assert.equal(file.raisedAt, null)
    })
    const at = 1_700_000_000_000
    await utimes(path, at / 1000, at / 1000)
    assert.equal(await withFile((file) => Promise.resolve(file.raisedAt)), at)
  })

  it('never falls', async () => {
    await raise(7, 3)
    await raise(7, 6)
    await withFile(async (file) => {
      await file.raise({ height: 7, hash: sha256Hex('another block 7') })
      assert.deepEqual(file.mark, markOf(7))
    })
    assert.deepEqual(await stored(), markOf(7))
  })

  it('takes raises at the same time one after another', async () => {
    await withFile(async (file) => {
      await Promise.all(Array.from({ length: 20 }, (_, height) => file.raise(markOf(height))))
      assert.deepEqual(file.mark, markOf(19))
    })
    assert.deepEqual(await stored(), markOf(19))
  })

  it('goes on with a file that was made and could not be opened then', async () => {
    await withFile(async (file) => {
      await raise(3)
      await file.raise(markOf(2))
      assert.deepEqual(file.mark, markOf(3))
      await file.raise(markOf(4))
      assert.deepEqual([file.mark, file.raisedAt], [markOf(4), null])
    })
    assert.deepEqual(await stored(), markOf(4))
  })

  it('is text that an operator can read', async () => {
    await raise(12)
    assert.match(await readFile(path, 'latin1'), new RegExp(`^0{14}12 ${markOf(12).hash} [0-9a-f]{64}\n`))
  })

  it('has the mark before the last one when the last write was torn, wherever it was', async () => {
    await raise(0, 1, 2, 3, 4)
    const before = await readFile(path)
    await raise(5)
    const after = await readFile(path)
    const changed = [...after.keys()].filter((at) => before[at] !== after[at])
    await fc.assert(
      fc.asyncProperty(fc.subarray(changed), async (written) => {
        const torn = Buffer.from(before)
        for (const at of written) torn[at] = after[at]!
        await writeFile(path, torn)
        assert.deepEqual(await stored(), markOf(written.length === changed.length ? 5 : 4))
        await raise(6)
        assert.deepEqual(await stored(), markOf(6))
      }),
      { numRuns: 50 },
    )
  })

  it('that holds no whole mark is no file to start from', async () => {
    await raise(1)
    await writeFile(path, (await readFile(path, 'latin1')).replace(' ', '-'))
    await assert.rejects(openHighWaterFile(path), (error) => isSolarError(error, 'corrupt'))
    await truncate(path)
    await assert.rejects(openHighWaterFile(path), (error) => isSolarError(error, 'corrupt'))
  })

  it('that cannot be written says so, and goes on when it can', async () => {
    await raise(1)
    const file = await openHighWaterFile(path)
    await file.close()
    await assert.rejects(file.raise(markOf(2)))
    assert.deepEqual(file.mark, markOf(1))
    const inFolder = await openHighWaterFile(join(folder.path, 'nowhere', 'high-water'))
    await assert.rejects(inFolder.raise(markOf(2)), (error) => isSolarError(error, 'store_failed'))
    assert.equal(inFolder.mark, null)
  })
})
