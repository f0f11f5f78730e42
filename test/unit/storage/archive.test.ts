import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { hashHeader } from '../../../src/protocol/header.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { openArchiveFiles, type ArchiveFiles } from '../../../src/storage/archive/archive-files.ts'
import { chainStore, openChainStore, type LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { heightKey, keyOf } from '../../../src/storage/level/keyspaces.ts'
import { openLevel } from '../../../src/storage/level/level.ts'
import { block, enrolment, sealed } from '../../contract/fixtures.ts'
import { tempDir } from '../../helpers/temp.ts'
import { made, removalAt } from './archive-fixtures.ts'

const LIMITS = { maxBlocks: 4, maxText: 1_000_000 }
const FIRST = '000000000000-000000000003.bodies'
const SECOND = '000000000004-000000000007.bodies'

const corruptIn = (place: string) => (error: unknown) =>
  isSolarError(error, 'corrupt') && (error.fields as { place: string }).place.includes(place)

describe('archive of old bodies', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let store: LevelChainStore
  let archive: string
  let level: string

  async function open(wrap = (files: ArchiveFiles): ArchiveFiles => files): Promise<void> {
    store = await openChainStore(level, { files: wrap(await openArchiveFiles(archive)), limits: LIMITS })
  }

  async function grow(to: number): Promise<void> {
    for (let height = await store.size(); height < to; height++) {
      const { block: next, hash, txHashes } = made(height)
      await store.append(next, hash, txHashes)
    }
  }

  async function archiveAll(end: number): Promise<void> {
    for (let file = await store.archive(end); file !== undefined;) file = await store.archive(end)
  }

  /** Heights whose bodies are in LevelDB. */
  async function inLevel(): Promise<readonly number[]> {
    const size = await store.size()
    await store.close()
    const db = await openLevel(level)
    const keys = new Set(await db.keys().all())
    await db.close()
    await open()
    return Array.from({ length: size }, (_, height) => height).filter((height) => keys.has(heightKey('body', height)))
  }

  async function checkAll(to: number): Promise<void> {
    for (let height = 0; height < to; height++) assert.deepEqual(await store.block(height), made(height).block)
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
    archive = join(folder.path, 'archive')
    level = join(folder.path, 'level')
    await open()
  })
  afterEach(async () => {
    await store.close()
    await folder.remove()
  })

  it('moves the oldest bodies, as many as fill a file, and gives them back', async () => {
    await grow(11)
    assert.equal(await store.archive(3), undefined)
    const first = await store.archive(10)
    assert.deepEqual({ ...first, bytes: 0 }, { from: 0, to: 4, file: FIRST, bytes: 0 })
    assert.ok((first?.bytes ?? 0) > 0)
    assert.equal((await store.archive(10))?.file, SECOND)
    assert.equal(await store.archive(10), undefined)
    assert.equal(store.archivedSize(), 8)
    await checkAll(11)
    assert.deepEqual(await inLevel(), [8, 9, 10])
    assert.equal(store.archivedSize(), 8)
    await checkAll(11)
    assert.deepEqual(await readdir(archive), [FIRST, SECOND])
  })

  it('ends a file where its bodies are long enough', async () => {
    await store.close()
    const one = JSON.stringify(made(0).block.transactions).length
    store = await openChainStore(level, {
      files: await openArchiveFiles(archive),
      limits: { maxBlocks: 100, maxText: 2 * one },
    })
    await grow(5)
    assert.deepEqual(
      [(await store.archive(5))?.to, (await store.archive(5))?.to, await store.archive(5)],
      [2, 4, undefined],
    )
  })

  it('writes files that can be read without this program', async () => {
    await grow(4)
    await store.archive(4)
    const bytes = await readFile(join(archive, FIRST))
    const end = bytes.indexOf('\n')
    const { from, to } = JSON.parse(bytes.toString('utf8', 0, end)) as { from: number; to: number }
    assert.deepEqual([from, to], [0, 4])
    const lines = gunzipSync(bytes.subarray(end + 1))
      .toString()
      .trimEnd()
      .split('\n')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [0, 1, 2, 3].map((height) => made(height).block.transactions),
    )
  })

  it('leaves the blocks in LevelDB that each start reads: those that change the registry', async () => {
    await grow(1)
    const change = enrolment('r-1')
    const head = sealed(1, [change])
    await store.append({ ...head, transactions: [change] }, hashHeader(head.header), [hashTransaction(change)])
    await grow(6)
    await archiveAll(6)
    assert.deepEqual(await inLevel(), [1, 4, 5])
    await rm(join(archive, FIRST))
    assert.deepEqual((await store.block(1))?.transactions, [change])
    await assert.rejects(store.block(2), corruptIn(FIRST))
  })

  describe('a file that is not as it was written', () => {
    const file = (): string => join(archive, FIRST)
    const damages: Record<string, () => Promise<void>> = {
      'is not there': () => rm(file()),
      'is empty': () => truncate(file(), 0),
      'ends early': async () => truncate(file(), (await readFile(file())).length - 1),
      'has one bit changed': async () => {
        const bytes = await readFile(file())
        bytes[bytes.length - 20]! ^= 1
        await writeFile(file(), bytes)
      },
      'holds other blocks': () => rename(join(archive, SECOND), file()),
    }
    for (const [name, damage] of Object.entries(damages)) {
      it(`is named when it ${name}, until it is put back`, async () => {
        await grow(9)
        await archiveAll(9)
        const whole = await readFile(file())
        await damage()
        for (const height of [0, 3]) await assert.rejects(store.block(height), corruptIn(FIRST))
        assert.deepEqual(await store.block(8), made(8).block)
        await writeFile(file(), whole)
        assert.deepEqual(await store.block(0), made(0).block)
      })
    }
  })

  it('moves nothing of which the disk gives back something else than the headers say', async () => {
    await grow(4)
    await store.close()
    const db = await openLevel(level)
    const [foreign] = await db.getMany([heightKey('body', 2)])
    await db.put(heightKey('body', 1), foreign!)
    await db.close()
    await open()
    await assert.rejects(store.archive(4), corruptIn(`${FIRST}, block 1`))
    assert.equal(store.archivedSize(), 0)
    assert.deepEqual(await inLevel(), [0, 1, 2, 3])
  })

  const fault = (): never => {
    throw new Error('the disk is full')
  }
  const faults: Record<string, (files: ArchiveFiles) => ArchiveFiles> = {
    'a file that is not written': (files) => ({ ...files, write: fault }),
    'a file that is written although its writing failed': (files) => ({
      ...files,
      write: async (range, bodies) => {
        await files.write(range, bodies)
        return fault()
      },
    }),
    'a file that cannot be read back': (files) => ({ ...files, read: fault }),
  }
  for (const [name, wrap] of Object.entries(faults)) {
    it(`keeps every body after ${name}, and archives at the next try`, async () => {
      await store.close()
      await open(wrap)
      await grow(6)
      await assert.rejects(store.archive(6), /the disk is full/)
      await checkAll(6)
      assert.deepEqual(await inLevel(), [0, 1, 2, 3, 4, 5])
      await archiveAll(6)
      await checkAll(6)
      assert.deepEqual(await inLevel(), [4, 5])
    })
  }

  describe('a body that is removed', () => {
    const gone = (height = 1) => {
      const { block: whole, txHashes } = made(height)
      const hole = { kind: 'redacted', tx_hash: txHashes[0]! }
      return { record: removalAt(height), block: { ...whole, transactions: [hole, whole.transactions[1]] } }
    }
    const nonce = (height = 1): string => (made(height).block.transactions[0] as { nonce: string }).nonce

    /** A file may have a text compressed, which breaks it up: any eight characters of it tell. */
    async function assertNowhere(...texts: readonly string[]): Promise<void> {
      const parts = texts.flatMap((text) => Array.from({ length: text.length - 7 }, (_, at) => text.slice(at, at + 8)))
      const read = async (path: string) => (await readdir(path)).map((name) => readFile(join(path, name)))
      const packed = await Promise.all(await read(archive))
      const unpacked = packed.map((bytes) => gunzipSync(bytes.subarray(bytes.indexOf('\n') + 1)))
      for (const content of [...(await Promise.all(await read(level))), ...unpacked]) {
        assert.ok(parts.every((part) => !content.includes(part)))
      }
    }

    for (const where of ['LevelDB', 'a file']) {
      it(`is gone from ${where}, found by its hash alone, and what is beside it is as it was`, async () => {
        await grow(6)
        if (where === 'a file') await archiveAll(6)
        const { record, block: left } = gone()
        await store.redact([record])
        await store.close()
        await open()
        assert.deepEqual(await store.block(1), left)
        assert.deepEqual(await store.redactions(0), [record])
        assert.deepEqual(await store.redactions(2), [])
        assert.equal(await store.locate({ tx_id: '1-a' }), undefined)
        assert.deepEqual(await store.locate({ tx_hash: record.tx_hash }), { height: 1, index: 0 })
        assert.deepEqual(await store.locate({ tx_id: '1-b' }), { height: 1, index: 1 })
        for (const height of [0, 2, 3, 5]) assert.deepEqual(await store.block(height), made(height).block)
        await archiveAll(6)
        assert.deepEqual(await store.block(1), left)
        await assertNowhere(nonce())
      })
    }

    it('is gone from a block beside the chain as well', async () => {
      await grow(2)
      const other = block(1, ['1-a', 'other'])
      await store.putBeside(other.block, other.hash)
      await store.redact([gone().record])
      assert.deepEqual((await store.besideChain(other.hash))?.transactions[0], gone().block.transactions[0])
    })

    for (const [name, wrap] of Object.entries(faults)) {
      it(`is in its place after ${name}, and goes at the next try`, async () => {
        await grow(6)
        await archiveAll(6)
        await store.close()
        await open(wrap)
        await assert.rejects(store.redact([gone().record]), /the disk is full/)
        await store.close()
        await open()
        assert.deepEqual(await store.redactions(0), [])
        await store.redact([gone().record])
        assert.deepEqual(await store.block(1), gone().block)
        assert.equal(await store.locate({ tx_id: '1-a' }), undefined)
      })
    }

    for (const next of ['start', 'request'] as const) {
      it(`is out of LevelDB's files after the next ${next}, where something broke off before that`, async () => {
        await grow(10)
        await archiveAll(4)
        await store.close()
        const key = heightKey('body', 5)
        const db = await openLevel(level)
        if (next === 'request') store = await chainStore(db)
        await db
          .batch()
          .put(key, JSON.stringify(gone(5).block.transactions))
          .put(keyOf('forgetting', key), '')
          .write()
        if (next === 'request') {
          await assert.rejects(assertNowhere(nonce(5)), assert.AssertionError)
          await store.redact([])
          await assertNowhere(nonce(5))
          return
        }
        await db.close()
        await assert.rejects(assertNowhere(nonce(5)), assert.AssertionError)
        await open()
        await assertNowhere(nonce(5))
        assert.deepEqual(await store.block(5), gone(5).block)
      })
    }

    it('is in its place or gone for good, whenever the process is killed', async () => {
      const blocks = 40
      await grow(blocks)
      await archiveAll(blocks / 2)
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
      await assertNowhere(...Array.from({ length: blocks }, (_, height) => nonce(height)))
    })

    it('that the block does not have is an error, and nothing is recorded', async () => {
      await grow(3)
      await assert.rejects(store.redact([{ ...gone().record, height: 2 }]), corruptIn('height 2'))
      assert.deepEqual(await store.redactions(0), [])
    })
  })

  it('removes a file that a kill left before LevelDB knew of it, but none that may be all that is left', async () => {
    await grow(3)
    const files = await openArchiveFiles(archive)
    await files.write({ from: 0, to: 3 }, ['[]', '[]', '[]'])
    await files.write({ from: 2, to: 5 }, ['[]', '[]', '[]'])
    await writeFile(join(archive, `${FIRST}.tmp`), 'half')
    await store.close()
    await open()
    assert.deepEqual(await readdir(archive), ['000000000002-000000000004.bodies'])
    await checkAll(3)
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
      await checkAll(size)
      await store.close()
    }
    await open()
    assert.ok(store.archivedSize() > 80)
  })
})
