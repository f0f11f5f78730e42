import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { createProgressReport } from '../../../src/cli/progress.ts'

/** What is written while a clock that the test moves goes on. */
function reportOf(json: boolean, isTTY = false) {
  const output = Object.assign(new PassThrough(), { isTTY })
  let now = 1_000
  const report = createProgressReport('auditing', output, json, () => now)
  return {
    ...report,
    wait: (ms: number) => void (now += ms),
    written: () => String((output.read() as Buffer | null) ?? ''),
  }
}

describe('the progress of work through a chain', () => {
  it('is a line every few seconds without a terminal, with rate and time left', () => {
    const report = reportOf(false)
    report.wait(4_999)
    report.onProgress({ blocks: 10, transactions: 1_000, total: 100 })
    assert.equal(report.written(), '')
    report.wait(1)
    report.onProgress({ blocks: 20, transactions: 2_000, total: 100 })
    report.onProgress({ blocks: 21, transactions: 2_100, total: 100 })
    assert.equal(report.written(), 'auditing: 20/100 blocks, 2000 transactions, 400/s, 20 s left\n')
    report.wait(595_000)
    report.onProgress({ blocks: 50, transactions: 6_000, total: 100 })
    assert.equal(report.written(), 'auditing: 50/100 blocks, 6000 transactions, 10/s, 10 min left\n')
  })

  it('leaves the time out where nobody knows how many blocks there are', () => {
    const report = reportOf(false)
    report.wait(10_000)
    report.onProgress({ blocks: 20, transactions: 2_000, total: null })
    assert.equal(report.written(), 'auditing: 20 blocks, 2000 transactions, 200/s\n')
  })

  it('is a JSON line where that is asked for, also on a terminal', () => {
    const report = reportOf(true, true)
    report.wait(10_000)
    report.onProgress({ blocks: 20, transactions: 2_000, total: 40 })
    const expected = { event: 'progress', doing: 'auditing', blocks: 20, transactions: 2_000, total: 40 }
    assert.deepEqual(JSON.parse(report.written()), { ...expected, transactions_per_second: 200, seconds_left: 10 })
  })
})
