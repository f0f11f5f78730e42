import assert from 'node:assert/strict'
import { portableHasher } from '../../../src/protocol/hash.ts'
import { canonicalText } from '../../../src/protocol/canonical-json.ts'
import { hashHeader, type Header } from '../../../src/protocol/header.ts'
import { searchNonce } from '../../../src/protocol/work.ts'
import { sealTestChain } from '../../vectors/chain-cases.ts'

const [block] = sealTestChain([3])
const header: Header = { ...block!.sealed.header, difficulty: 2 }

/** Every nonce of [from, from + count) that fits, the whole header hashed anew for each. */
function fitting(header: Header, from: number, count: number): number[] {
  const nonces = Array.from({ length: count }, (_, index) => from + index)
  return nonces.filter((nonce) => hashHeader({ ...header, nonce }).startsWith('0'.repeat(header.difficulty)))
}

describe('searchNonce', () => {
  it('finds what trying every nonce finds, one after another', () => {
    const found: number[] = []
    for (let from = 0; ;) {
      const nonce = searchNonce(header, from, 3_000 - from)
      if (nonce === undefined) break
      found.push(nonce)
      from = nonce + 1
    }
    assert.ok(found.length > 3)
    assert.deepEqual(found, fitting(header, 0, 3_000))
  })

  it('looks at its range alone: from the first on, and not at the one behind the last', () => {
    const [nonce = NaN] = fitting(header, 0, 3_000)
    assert.equal(searchNonce(header, nonce, 1), nonce)
    assert.equal(searchNonce(header, 0, nonce + 1), nonce)
    assert.equal(searchNonce(header, 0, nonce), undefined)
    assert.equal(searchNonce(header, nonce, 0), undefined)
    assert.notEqual(searchNonce(header, nonce + 1, 3_000), nonce)
  })

  it('does the same for every difficulty, height and name of a sealer', () => {
    for (const change of [
      { difficulty: 0 },
      { difficulty: 1, height: 10, nonce: 0 },
      { miner_id: 'nonce:0', tx_count: 0 },
      { miner_id: 'a.b_c:d@e+f-0', timestamp: 0 },
      { difficulty: 3, height: Number.MAX_SAFE_INTEGER },
    ]) {
      const changed = { ...header, ...change }
      assert.equal(searchNonce(changed, 0, 10_000), fitting(changed, 0, 10_000)[0], JSON.stringify(change))
    }
  })

  it('gives the same whatever nonce the header has, also near the greatest', () => {
    assert.equal(searchNonce({ ...header, nonce: 12_345 }, 0, 3_000), searchNonce(header, 0, 3_000))
    const from = Number.MAX_SAFE_INTEGER - 2_000
    const [nonce = NaN] = fitting(header, from, 2_000)
    assert.equal(searchNonce(header, from, 2_000), nonce)
    assert.ok(portableHasher.hex(canonicalText({ ...header, nonce })).startsWith('00'))
  })

  it('refuses a header that has no canonical text', () => {
    assert.throws(() => searchNonce({ ...header, miner_id: 'Stra\u00dfe' }, 0, 1), { code: 'not_canonical' })
  })
})
