import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { bytesToHex, utf8ToBytes } from '../../../src/protocol/bytes.ts'
import { formatQuantity } from '../../../src/protocol/decimal.ts'
import { canonicalTransaction, type Trade } from '../../../src/protocol/transaction.ts'
import { VECTOR_FILES, VECTOR_FOLDER } from '../../vectors/generate.ts'
import { hasPython, runPython } from './python.ts'

const identifier = fc.stringMatching(/^[A-Za-z0-9._:@+-]{1,64}$/)
const quantity = fc.bigInt(0n, 10n ** 18n - 1n).map((micro) => formatQuantity(micro))
const trade: fc.Arbitrary<Trade> = fc.record({
  kind: fc.constant('trade' as const),
  id: identifier,
  from_user_id: identifier,
  to_user_id: identifier,
  kwh: quantity,
  price_per_kwh: quantity,
  total_amount: quantity,
  timestamp: fc.maxSafeNat(),
  tick_id: identifier,
  nonce: fc.stringMatching(/^[0-9a-f]{32}$/),
})

function withPython(): void {
  describe('an independent implementation in Python', () => {
    let folder: string
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'solar-vectors-'))
    })
    afterEach(() => rmSync(folder, { recursive: true }))

    it('agrees with every published vector', async () => {
      const { code, stdout, stderr } = await runPython('vectors.py', [VECTOR_FOLDER])
      assert.equal(stderr, '')
      assert.equal(code, 0)
      assert.equal(stdout.trim().split('\n').length, Object.keys(VECTOR_FILES).length)
    })

    const changes: readonly (readonly [file: string, from: RegExp, to: string])[] = [
      ['canonical.json', /"canonical":"null"/, '"canonical":"nil"'],
      ['decimals.json', /"quantity":"1000000"/, '"quantity":"1000001"'],
      ['signatures.json', /"ok":false/, '"ok":true'],
      ['genesis.json', /"chain_id":"./, '"chain_id":"x'],
      ['transactions.json', /"tx_hash":"./, '"tx_hash":"x'],
      ['merkle-proofs.json', /"ok":false/, '"ok":true'],
      ['history-consistency.json', /"ok":false/, '"ok":true'],
      ['votes.json', /"ok":false/, '"ok":true'],
    ]
    for (const [file, from, to] of changes) {
      it(`disagrees when ${file} is changed`, async () => {
        cpSync(VECTOR_FOLDER, folder, { recursive: true })
        const text = readFileSync(join(folder, file), 'utf8')
        assert.match(text, from)
        writeFileSync(join(folder, file), text.replace(from, to))
        const { code, stderr } = await runPython('vectors.py', [folder])
        assert.equal(code, 1)
        assert.match(stderr, /disagreement/)
      })
    }

    it("writes random transactions, by the plan's canonical_tx, as the same bytes", async () => {
      const trades = fc.sample(trade, 500)
      const input = trades.map((tx) => `${JSON.stringify(tx)}\n`).join('')
      const { code, stdout } = await runPython('vectors.py', ['--canonical'], input)
      assert.equal(code, 0)
      assert.deepEqual(
        stdout.trim().split('\n'),
        trades.map((tx) => bytesToHex(utf8ToBytes(canonicalTransaction(tx)))),
      )
    })
  })
}

if (hasPython) withPython()
