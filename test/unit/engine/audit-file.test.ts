import assert from 'node:assert/strict'
import { auditChainFile } from '../../../src/engine/audit-file.ts'
import { canonicalText } from '../../../src/protocol/canonical-json.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../../helpers/test-chain.ts'
import * as edits from '../../vectors/edit.ts'
import type { Edit } from '../../vectors/edit.ts'

/** The file of a chain, as export writes it. */
async function linesOf({ chain, finalHeight, votes }: TestChain): Promise<string[]> {
  const final = finalHeight()
  const lines = [{ format: 'solar-node chain', version: 1, chain_id: chain.chainId, genesis: chain.genesis } as object]
  for (const { hash, header } of await chain.headers(0, chain.size)) {
    const block = await chain.blockAt(header.height)
    const finalized_at = header.height <= final ? header.timestamp : null
    lines.push({ ...block, votes: votes.filter(({ header_hash }) => header_hash === hash), finalized_at })
  }
  lines.push({ end: { blocks: chain.size, final_height: final < 0 ? null : final } })
  return lines.map((line) => canonicalText(line))
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) yield await Promise.resolve(line)
}
const audit = (lines: readonly string[], chainId?: string) =>
  auditChainFile({ lines: each(lines), chainId, onProgress: () => undefined })

describe('an exported chain', () => {
  let made: TestChain
  let lines: string[]

  before(async () => {
    const voters = ['alice', 'bob', 'carol'].map((id) => entryOf(id, 'voter'))
    made = await createTestChain(
      genesisOf({ policy: 'votes', threshold: 2 }, entryOf('authority', 'authority', 'authority recovery'), ...voters),
    )
    await made.trade(3)
    await made.trade(2)
    await made.change(
      { action: 'rotate', subject_id: 'authority', public_key: namedKey('second').publicKey },
      'authority',
    )
    made.sealAs('authority', 'second')
    await made.correct('tx-tick-0-1', '-0.5', '-0.1')
    for (const id of ['alice', 'bob']) for (const height of [1, 2, 3]) await made.ack(id, height)
    await made.trade(1)
    lines = await linesOf(made)
  })

  it('is clean as it was written, through a change of the authority key, and says up to where it is final', async () => {
    assert.deepEqual(await audit(lines, made.chain.chainId), {
      chain_id: made.chain.chainId,
      blocks: 5,
      transactions: 9,
      votes: 6,
      redacted: 0,
      final_height: 3,
      findings: [],
      total_findings: 0,
      ranges: [],
    })
  })

  const at = (line: number, ...changes: Edit[]): string[] => {
    const value = JSON.parse(lines[line]!) as object
    changes.forEach((change) => change(value))
    return lines.with(line, canonicalText(value))
  }
  const tampered: readonly (readonly [what: string, change: () => string[], place: RegExp])[] = [
    ['a trade', () => at(1, edits.set('transactions.1.kwh', '9.5')), /^line 2, block 0, transactions$/],
    ['a correction', () => at(4, edits.set('transactions.1.reason', 'x')), /^line 5, block 3, transactions$/],
    ['a header', () => at(2, edits.set('header.tx_count', 1)), /^line 3, block 1, signature$/],
    ['a history root', () => at(3, edits.flip('header.history_root')), /^line 4, block 2, history_root$/],
    ['a seal', () => at(3, edits.flip('signature')), /^line 4, block 2, signature$/],
    ['a vote', () => at(3, edits.flip('votes.0.signature')), /^line 4, block 2, vote of alice$/],
    ['a vote of nobody', () => at(3, edits.set('votes.0.voter_id', 'mallory')), /^line 4, block 2, vote of mallory$/],
    ['votes, taken out', () => at(4, edits.set('votes', [])), /^blocks called final$/],
    ['a block called final that is not', () => at(5, edits.set('finalized_at', 1)), /^line 7, final_height$/],
    ['a gap in what is final', () => at(2, edits.set('finalized_at', null)), /^line 4, block 2, finalized_at$/],
    ['the registry change', () => at(3, edits.flip('transactions.0.signature')), /^line 4, block 2, registry change$/],
    ['an unknown field', () => at(2, edits.set('note', 'x')), /^line 3\.note$/],
    ['a line that is not JSON', () => lines.with(2, '{'), /^line 3$/],
    ['a block, taken out', () => lines.toSpliced(2, 1), /^line 3, block 2, header$/],
    ['a block twice', () => lines.toSpliced(2, 0, lines[2]!), /^line 4, block 1, header$/],
    ['the end, taken out', () => lines.slice(0, -1), /^line 7$/],
    ['a line after the end', () => [...lines, lines[1]!], /^line 8$/],
    ['the genesis', () => at(0, edits.set('genesis.name', 'Other street')), /^line 1, genesis$/],
    ['no chain at all', () => ['{}'], /^line 1\.format$/],
    ['nothing', () => [], /^line 1$/],
  ]
  for (const [what, change, place] of tampered) {
    it(`names the place, what was expected and what was found: ${what}`, async () => {
      const { findings } = await audit(change(), made.chain.chainId)
      const finding = findings.find((one) => place.test(one.place))
      assert.ok(finding !== undefined, JSON.stringify(findings.map((one) => one.place)))
      assert.ok(finding.expected !== '' && finding.found !== '' && finding.expected !== finding.found)
    })
  }

  it('must be the chain that is pinned', async () => {
    const { findings } = await audit(lines, '0'.repeat(64))
    assert.deepEqual(findings, [
      {
        place: 'line 1, genesis',
        expected: `the genesis of chain ${'0'.repeat(64)}`,
        found: `the genesis of chain ${made.chain.chainId}`,
      },
    ])
  })

  it('is not read where a line has a field twice', async () => {
    const twice = lines.map((line, at) => (at === 1 ? line.replace('"header":', '"header":{},"header":') : line))
    const { findings } = await audit(twice)
    assert.deepEqual(findings.map(({ place, expected, found }) => [place, expected, found])[0], [
      'line 2',
      'each field once',
      'a field twice',
    ])
  })
})
