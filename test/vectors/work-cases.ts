import { chainIdOf, type Genesis } from '../../src/protocol/genesis.ts'
import { hashHeader, headerShape, verifyHeaderLink, type Header } from '../../src/protocol/header.ts'
import { searchNonce } from '../../src/protocol/work.ts'
import { copyOf, outcomeOf, type VectorFile } from './case.ts'
import { GENESIS, sealTestChain } from './chain-cases.ts'

type Draft = Record<string, unknown>

const DIFFICULTY = 2
const ENOUGH = 100_000
const WORK_GENESIS: Genesis = { ...GENESIS, seal: 'work', difficulty: DIFFICULTY }

function nonceFrom(header: Header, from: number): number {
  const nonce = searchNonce(header, from, ENOUGH)
  if (nonce === undefined) throw new Error(`no nonce from ${from} on fits`)
  return nonce
}

/** Headers under seal `work`: those that meet the difficulty, and those that do not. */
export function workCases(): VectorFile {
  const draft = sealTestChain([3], WORK_GENESIS)[0]!.sealed.header
  const smallest = nonceFrom(draft, 0)
  const changes: readonly (readonly [name: string, change: (header: Draft) => void])[] = [
    ['the smallest nonce, which a sealer takes', (h) => (h.nonce = smallest)],
    ['a greater nonce with enough work', (h) => (h.nonce = nonceFrom(draft, smallest + 1))],
    ['no work', (h) => (h.nonce = 0)],
    ['one zero too few', (h) => (h.nonce = oneZeroTooFew(draft))],
    ['the nonce of another header', (h) => Object.assign(h, { nonce: smallest, tx_count: 4 })],
    ['more work than the genesis asks, and says so', (h) => Object.assign(h, mined({ ...draft, difficulty: 3 }))],
    ['less work than the genesis asks, and says so', (h) => Object.assign(h, mined({ ...draft, difficulty: 1 }))],
    ['a nonce below 0', (h) => (h.nonce = -1)],
    ['a nonce as a string', (h) => (h.nonce = String(smallest))],
  ]
  const chainId = chainIdOf(WORK_GENESIS)
  return {
    about:
      'Is "header" one that may follow "genesis", with enough work? "smallest" is the smallest nonce that does, which a sealer finds by trying from 0 on.',
    cases: changes.map(([name, change]) => {
      const header = copyOf(draft) as unknown as Draft
      change(header)
      const outcome = outcomeOf(() => verifyHeaderLink(headerShape(header, 'header'), null, WORK_GENESIS, chainId))
      if (!outcome.ok) return { name, genesis: WORK_GENESIS, header, ...outcome }
      const header_hash = hashHeader(headerShape(header, 'header'))
      return { name, genesis: WORK_GENESIS, header, header_hash, smallest, ok: true }
    }),
  }
}

const mined = (header: Header): Header => ({ ...header, nonce: nonceFrom(header, 0) })

/** A nonce whose hash has exactly one zero less than it takes. */
function oneZeroTooFew(header: Header): number {
  for (let nonce = 0; ; nonce++) {
    if (/^0[^0]/.test(hashHeader({ ...header, nonce }))) return nonce
  }
}
