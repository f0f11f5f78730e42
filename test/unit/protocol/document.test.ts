import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import * as limits from '../../../src/protocol/limits.ts'
import { documentExamples } from './document-examples.ts'

const DOCUMENT = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')
/** `<!-- example: NAME -->`, then a fenced block. */
const EXAMPLE = /<!-- example: ([a-z-]+) -->\n+```[a-z]*\n([\s\S]*?)\n```/g

describe('docs/protocol.md', () => {
  const shown = new Map([...DOCUMENT.matchAll(EXAMPLE)].map(([, name = '', text = '']) => [name, text]))
  const computed = documentExamples()

  it('shows every example that the code computes, and no other', () => {
    assert.deepEqual([...shown.keys()].sort(), Object.keys(computed).sort())
    assert.equal([...DOCUMENT.matchAll(/<!-- example:/g)].length, shown.size)
  })

  for (const [name, text] of Object.entries(computed)) {
    it(`is right about ${name}`, () => assert.equal(shown.get(name), text))
  }

  it('shows a receipt that verifies', () => {
    const verdict = verifyReceipt(JSON.parse(shown.get('receipt')!), shown.get('chain-id')!)
    assert.ok(verdict.ok && verdict.status === 'final')
  })

  it('names the limits that the code has', () => {
    const thousands = (n: number) => n.toLocaleString('en')
    const facts = [
      `at most ${thousands(limits.MAX_TRANSACTIONS_PER_BLOCK)} transactions`,
      `deeper than ${limits.MAX_JSON_DEPTH}`,
      `${limits.MAX_FUTURE_MS / 60_000} minutes`,
      `${limits.MAX_GOSSIP_BYTES / 1024} KiB`,
      `${limits.MAX_REQUEST_BYTES / 1024} KiB`,
      `${limits.MAX_RESPONSE_BYTES / 1024 / 1024} MiB`,
      `up to ${limits.MAX_HEADERS_PER_REQUEST} headers`,
      `within ${limits.REQUEST_VALIDITY_MS / 1000} s`,
    ]
    for (const fact of facts) assert.ok(DOCUMENT.includes(fact), `docs/protocol.md does not say "${fact}"`)
  })
})
