import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const MAIN = fileURLToPath(new URL('../bench/main.ts', import.meta.url))
const bench = (...args: readonly string[]) => promisify(execFile)(process.execPath, ['--import=tsx', MAIN, ...args])

describe('npm run bench', () => {
  for (const [name, sizes, ...more] of [
    ['tick', '3'],
    ['votes', '2,7'],
    ['proof', '2,9'],
    ['work', '100'],
    ['receipt', '3'],
    ['audit', '7', '--trades', '50'],
    ['rebuild', '7', '--trades', '50'],
  ] as const) {
    it(`${name} prints with --json nothing but an array of comparisons`, async () => {
      const { stdout } = await bench(name, '--json', '--rounds', '1', '--sizes', sizes, ...more)
      const rows = JSON.parse(stdout) as Record<string, unknown>[]
      assert.ok(rows.length > 0)
      for (const row of rows) {
        assert.deepEqual(Object.keys(row), ['name', 'ours', 'against', 'ratio', 'unit'])
        const { name: what, ours, against, ratio, unit } = row
        assert.equal(typeof what, 'string')
        assert.equal(typeof unit, 'string')
        assert.ok(Number(ours) > 0 && Number(against) > 0, stdout)
        assert.equal(ratio, Number(ours) / Number(against))
      }
    })
  }

  it('names the benchmarks and ends with code 2 if none of them is asked for', async () => {
    await assert.rejects(bench(), (error: { code: number; stdout: string; stderr: string }) => {
      assert.equal(error.code, 2)
      assert.equal(error.stdout, '')
      for (const name of ['tick', 'votes', 'proof', 'receipt', 'work', 'audit', 'rebuild', 'memory'])
        assert.match(error.stderr, new RegExp(`^  ${name} `, 'm'))
      return true
    })
  })
})
