import { strict as assert } from 'node:assert'
import { constants } from 'node:buffer'
import { mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { hashHeader } from '../../../src/protocol/header.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { openArchiveFiles, type ArchiveFiles } from '../../../src/storage/archive/archive-files.ts'
import { chainStore, openChainStore, type LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { heightKey, keyOf } from '../../../src/storage/level/keyspaces.ts'
import { openLevel, type TextLevel } from '../../../src/storage/level/level.ts'
import { block, enrolment, sealed } from '../../contract/fixtures.ts'
import { tempDir } from '../../helpers/temp.ts'
import { archiveAll, ARCHIVE_LIMITS, assertNowhere, checkAll, gone, grow, made, nonce } from './archive-fixtures.ts'

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
    store = await openChainStore(level, { files: wrap(await openArchiveFiles(archive)), limits: ARCHIVE_LIMITS })
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
    await grow(store, 11)
    assert.equal(await store.archive(3), undefined)
    const first = await store.archive(10)
    assert.deepEqual({ ...first, bytes: 0 }, { from: 0, to: 4, file: FIRST, bytes: 0 })
    assert.ok((first?.bytes ?? 0) > 0)
    assert.equal((await store.archive(10))?.file, SECOND)
    assert.equal(await store.archive(10), undefined)
    assert.equal(store.archivedSize(), 8)
    await checkAll(store, 11)
    assert.deepEqual(await inLevel(), [8, 9, 10])
    assert.equal(store.archivedSize(), 8)
    await checkAll(store, 11)
    assert.deepEqual(await readdir(archive), [FIRST, SECOND])
  })

  it('ends a file where its bodies are long enough', async () => {
    await store.close()
    const one = JSON.stringify(made(0).block.transactions).length
    store = await openChainStore(level, {
      files: await openArchiveFiles(archive),
      limits: { maxBlocks: 100, maxText: 2 * one },
    })
    await grow(store, 5)
    assert.deepEqual(
      [(await store.archive(5))?.to, (await store.archive(5))?.to, await store.archive(5)],
      [2, 4, undefined],
    )
  })

  it('writes files that can be read without this program', async () => {
    await grow(store, 4)
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
    await grow(store, 1)
    const change = enrolment('r-1')
    const head = sealed(1, [change])
    await store.append({ ...head, transactions: [change] }, hashHeader(head.header), [hashTransaction(change)])
    await grow(store, 6)
    await archiveAll(store, 6)
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
        await grow(store, 9)
        await archiveAll(store, 9)
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
    await grow(store, 4)
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

  it('reads no file that is larger than what was ever written', async () => {
    await grow(store, 4)
    await archiveAll(store, 4)
    // A hole without content: it is refused by its size, before it is read.
    await truncate(join(archive, FIRST), constants.MAX_STRING_LENGTH + 1)
    const limit = `at most ${constants.MAX_STRING_LENGTH} bytes`
    await assert.rejects(store.block(0), (error) => corruptIn(FIRST)(error) && String(error).includes(limit))
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
      await grow(store, 6)
      await assert.rejects(store.archive(6), /the disk is full/)
      await checkAll(store, 6)
      assert.deepEqual(await inLevel(), [0, 1, 2, 3, 4, 5])
      await archiveAll(store, 6)
      await checkAll(store, 6)
      assert.deepEqual(await inLevel(), [4, 5])
    })
  }

  describe('a body that is removed', () => {
    for (const where of ['LevelDB', 'a file']) {
      it(`is gone from ${where}, found by its hash alone, and what is beside it is as it was`, async () => {
        await grow(store, 6)
        if (where === 'a file') await archiveAll(store, 6)
        const { record, block: left } = gone()
        await store.redact([record])
        await store.close()
        await open()
        assert.deepEqual(await store.block(1), left)
        assert.deepEqual(await store.redactions(0), [record])
        assert.deepEqual(await store.redactions(2), [])
        assert.equal(await store.locate({ tx_id: '1-a' }), undefined)
        assert.deepEqual(await store.heightsOfIds(['1-b', '1-a', '1-']), [1, 1, undefined], 'its id is used up')
        assert.deepEqual(await store.locate({ tx_hash: record.tx_hash }), { height: 1, index: 0 })
        assert.deepEqual(await store.locate({ tx_id: '1-b' }), { height: 1, index: 1 })
        for (const height of [0, 2, 3, 5]) assert.deepEqual(await store.block(height), made(height).block)
        await archiveAll(store, 6)
        assert.deepEqual(await store.block(1), left)
        await assertNowhere(folder.path, nonce())
      })
    }

    it('is gone from a block beside the chain as well', async () => {
      await grow(store, 2)
      const other = block(1, ['1-a', 'other'])
      await store.putBeside(other.block, other.hash)
      await store.redact([gone().record])
      assert.deepEqual((await store.besideChain(other.hash))?.transactions[0], gone().block.transactions[0])
    })

    it('does not come back with a block beside the chain that has it too', async () => {
      await grow(store, 6)
      await archiveAll(store, 6)
      await store.redact([gone().record])
      const other = block(1, ['1-a', 'other'])
      await store.putBeside(other.block, other.hash)
      const [hole, shown] = (await store.besideChain(other.hash))!.transactions
      assert.deepEqual([hole, shown], [gone().block.transactions[0], other.block.transactions[1]])
      await store.close()
      await assertNowhere(folder.path, nonce())
      await open()
    })

    for (const was of ['beside the chain before', 'at another height of a chain that was given up'] as const) {
      it(`is out of LevelDB's files where its block was ${was}`, async () => {
        await store.close()
        const db = (await openLevel(level)) as TextLevel & { compactRange(start: string, end: string): Promise<void> }
        store = await chainStore(db)
        const { block: whole, hash } = made(1)
        const left = { ...sealed(2, whole.transactions, 'left'), transactions: whole.transactions }
        if (was === 'beside the chain before') await store.putBeside(whole, hash)
        else await db.put(heightKey('body', 2), JSON.stringify(left.transactions))
        // Into a file of its own.
        await db.compactRange('', '~')
        await grow(store, 6)
        if (was !== 'beside the chain before') await store.putBeside(left, hashHeader(left.header))
        await store.redact([gone().record])
        await mkdir(archive)
        await assertNowhere(folder.path, nonce())
      })
    }

    for (const [name, wrap] of Object.entries(faults)) {
      it(`is in its place after ${name}, and goes at the next try`, async () => {
        await grow(store, 6)
        await archiveAll(store, 6)
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
        await grow(store, 10)
        await archiveAll(store, 4)
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
          await assert.rejects(assertNowhere(folder.path, nonce(5)), assert.AssertionError)
          await store.redact([])
          await assertNowhere(folder.path, nonce(5))
          return
        }
        await db.close()
        await assert.rejects(assertNowhere(folder.path, nonce(5)), assert.AssertionError)
        await open()
        await assertNowhere(folder.path, nonce(5))
        assert.deepEqual(await store.block(5), gone(5).block)
      })
    }

    it('that the block does not have is an error, and nothing is recorded', async () => {
      await grow(store, 3)
      await assert.rejects(store.redact([{ ...gone().record, height: 2 }]), corruptIn('height 2'))
      assert.deepEqual(await store.redactions(0), [])
    })
  })

  it('removes a file that a kill left before LevelDB knew of it, but none that may be all that is left', async () => {
    await grow(store, 3)
    const files = await openArchiveFiles(archive)
    await files.write({ from: 0, to: 3 }, ['[]', '[]', '[]'])
    await files.write({ from: 2, to: 5 }, ['[]', '[]', '[]'])
    await writeFile(join(archive, `${FIRST}.tmp`), 'half')
    await store.close()
    await open()
    assert.deepEqual(await readdir(archive), ['000000000002-000000000004.bodies'])
    await checkAll(store, 3)
  })
})
