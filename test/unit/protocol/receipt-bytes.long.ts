import assert from 'node:assert/strict'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { createTestChain, entryOf, genesisOf } from '../../helpers/test-chain.ts'
import { receiptNamed } from '../../vectors/receipt-chains.ts'

describe('a receipt with one byte changed', () => {
  /**
   * The text without the sizes of registry trees: a root does not tell its size, and one that gives the path the same form
   * says nothing about the entry.
   */
  const withoutSizes = (value: unknown): string =>
    JSON.stringify(value, (key, inner: unknown) =>
      ['registry_proof', 'policy_proof', 'trusted_proof', 'parent_policy_proof'].includes(key) && inner !== null
        ? { ...(inner as object), tree_size: 0 }
        : inner,
    )

  /** Every byte of the file, each changed to another. */
  function check(name: string, text: string, chainId: string): void {
    const original = verifyReceipt(JSON.parse(text), chainId)
    assert.ok(original.ok)
    const meaning = withoutSizes(JSON.parse(text))
    const bytes = Buffer.from(text)
    let parsed = 0
    for (let at = 0; at < bytes.length; at++) {
      const mask = at % 2 === 0 ? 0x01 : 0x10
      bytes[at]! ^= mask
      const value = parse(bytes.toString('latin1'))
      bytes[at]! ^= mask
      if (value === undefined) continue
      parsed += 1
      const verdict = verifyReceipt(value, chainId)
      if (verdict.ok && withoutSizes(value) === meaning) continue
      assert.ok(!verdict.ok, `${name}: byte ${at} (${text.slice(at - 20, at + 20)}) changed by ${mask} verifies`)
    }
    assert.ok(parsed > bytes.length / 4, `only ${parsed} changes of ${name} were JSON`)
  }

  function parse(text: string): unknown {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return undefined
    }
  }

  for (const name of [
    'authority, height 0',
    'authority, with an anchor',
    'votes:2 with a quorum and an anchor',
    'votes:2, voters under a registry that has changed',
    'validators:3, a block between two handovers',
    'a recovered authority',
    'a recovered authority, sealed by the new key',
    'the recovery itself',
    'validators:2, up to a recovery',
    'authority, a block of a deputy whose coming is left out',
    'validators:2, two changes left out',
    'a trade with two corrections',
  ]) {
    it(`is refused wherever it is: ${name}`, () => {
      const { chain_id, receipt } = receiptNamed(name)
      check(name, JSON.stringify(receipt), chain_id)
    })
  }

  it('is refused in a checkpoint that the authority alone has signed', async () => {
    const made = await createTestChain(genesisOf({ policy: 'authority' }, entryOf('authority', 'authority')))
    for (let i = 0; i < 5; i++) await made.trade(1)
    await made.checkpoint()
    const receipt = await made.receipt('tx-tick-2-0')
    assert.ok(receipt.checkpoint !== undefined)
    check('checkpoint', JSON.stringify(receipt), made.chain.chainId)
  })

  it('may verify in white space alone, and is the same receipt then', () => {
    const { chain_id, receipt } = receiptNamed('authority, height 0')
    const spaced = JSON.stringify(receipt, null, 2).replaceAll('\n', '\r\n')
    assert.ok(verifyReceipt(JSON.parse(spaced), chain_id).ok)
  })
})
