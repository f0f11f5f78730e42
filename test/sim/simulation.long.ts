import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { progressed } from '../helpers/patience.ts'

/** `npm run sim` runs a thousand. */
const SEEDS = 10
const AT_ONCE = 5
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const run = promisify(execFile)

/** What went wrong with these seeds, as the script tells it; empty if nothing did. */
async function failuresOf(from: number): Promise<string> {
  const flags = ['--from', String(from), '--seeds', String(AT_ONCE)]
  try {
    await run(process.execPath, ['--import=tsx', MAIN, ...flags], { maxBuffer: 1 << 26 })
    return ''
  } catch (error) {
    const { stdout, stderr, message } = error as Error & { readonly stdout: string; readonly stderr: string }
    return stdout + stderr || message
  }
}

describe('a seeded network with faults and an adversary', () => {
  // Each seed is one thread of computing: as many processes as there are processors.
  it(`stays safe after every step: seeds 0 to ${SEEDS - 1}`, async () => {
    const parts = Array.from({ length: SEEDS / AT_ONCE }, (_, part) => part * AT_ONCE)
    const failures: string[] = []
    const takeParts = async (): Promise<void> => {
      for (let from = parts.shift(); from !== undefined; from = parts.shift()) {
        failures.push(await failuresOf(from))
        progressed()
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, takeParts))
    assert.equal(failures.length, SEEDS / AT_ONCE)
    assert.equal(failures.join(''), '')
  })
})
