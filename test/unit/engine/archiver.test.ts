import { strict as assert } from 'node:assert'
// Promise.withResolvers on Node 20.
import '../../../src/network/node-shims.ts'
import { startArchiver, type Archiver } from '../../../src/engine/archiver.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { block, T0 } from '../../contract/fixtures.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'

const BLOCKS = 40
const PER_FILE = 4

/** Blocks of which each is a second younger than the one before: block n has the time T0 + n seconds. */
const headers = Array.from({ length: BLOCKS }, (_, height) => {
  const { block: made, hash } = block(height, [`${height}`])
  return { ...made, hash, header: { ...made.header, timestamp: T0 + 1000 * height } }
})

describe('moving old blocks into the archive', () => {
  let clock: VirtualClock
  let finalHeight: number
  let archived: number
  let failure: Error | undefined
  let told: number[]
  let archiver: Archiver | undefined
  /** Resolves at the next question whether more fills a file that is answered with no. */
  let rest: PromiseWithResolvers<undefined>

  beforeEach(() => {
    clock = createVirtualClock(T0)
    finalHeight = BLOCKS - 1
    archived = 0
    failure = undefined
    told = []
    rest = Promise.withResolvers()
  })
  afterEach(() => archiver?.stop())

  function start(afterMs: number): Promise<unknown> {
    archiver = startArchiver({
      chain: { headers: (from, count) => Promise.resolve(headers.slice(from, from + count)) },
      archive: {
        archivedSize: () => archived,
        archive: (end) => {
          if (failure !== undefined) {
            rest.resolve(undefined)
            return Promise.reject(failure)
          }
          if (end - archived < PER_FILE) {
            rest.resolve(undefined)
            return Promise.resolve(undefined)
          }
          const from = archived
          archived += PER_FILE
          return Promise.resolve({ from, to: archived, file: `${from}`, bytes: 1 })
        },
      },
      finalizer: {
        get finalHeight() {
          return finalHeight
        },
      },
      clock,
      logger: silentLogger,
      afterMs,
      onArchived: (blocks) => told.push(blocks),
    })
    return rest.promise
  }

  /** A minute later, and for `ms` more. */
  async function later(ms = 60_000): Promise<void> {
    rest = Promise.withResolvers()
    // The next look is put off once the last one has ended.
    while (clock.waiting() === 0) await new Promise(setImmediate)
    clock.advance(ms)
    await rest.promise
  }

  it('moves what is old enough, and the rest as it grows old', async () => {
    clock.advance(100_000)
    await start(90_000)
    // Blocks 0 to 10 are 90 seconds old.
    assert.equal(archived, 8)
    await later()
    assert.equal(archived, BLOCKS)
    assert.deepEqual(told, [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40])
  })

  it('moves no block that may still be given up, however old it is', async () => {
    clock.advance(1_000_000)
    finalHeight = 6
    await start(0)
    assert.equal(archived, 4)
    finalHeight = 7
    await later()
    assert.equal(archived, 8)
  })

  it('moves nothing of a chain without a final block', async () => {
    clock.advance(1_000_000)
    finalHeight = -1
    await start(0)
    assert.equal(archived, 0)
  })

  it('tries again after a failure', async () => {
    clock.advance(1_000_000)
    failure = new Error('the disk is full')
    await start(0)
    assert.equal(archived, 0)
    failure = undefined
    await later()
    assert.equal(archived, BLOCKS)
  })

  it('moves nothing any more once it was stopped', async () => {
    clock.advance(100_000)
    await start(90_000)
    await archiver?.stop()
    clock.advance(1_000_000)
    assert.equal(clock.waiting(), 0)
    assert.equal(archived, 8)
  })
})
