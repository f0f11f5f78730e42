import { checksOf, type CheckContext, type Outcome } from './checks.ts'
import type { BlockRecord } from './state.ts'

/** What all checks together say. */
export interface Summary {
  readonly checkedBlocks: number
  readonly checkedVotes: number
  /** Blocks and votes that are still to be checked. */
  readonly waiting: number
  /** Blocks of which this page still has to be told the votes. */
  readonly votesToCome: number
  /** Seals, registries, votes and claims of finality that this page cannot decide. */
  readonly undecided: number
  readonly failures: readonly { readonly block: BlockRecord; readonly what: string; readonly detail: string }[]
}

export function summarize(blocks: readonly BlockRecord[], context: CheckContext): Summary {
  const failures: Summary['failures'][number][] = []
  let checkedVotes = 0
  let waiting = 0
  let undecided = 0
  for (const block of blocks) {
    if (block.checks === null) waiting += 1
    for (const { id, outcome, title, detail } of checksOf(block, blocks, context)) {
      if (outcome === 'fail') failures.push({ block, what: title, detail })
      if (outcome === 'open' && id === 'final' && block.status === 'final' && block.votesLoaded) undecided += 1
      if (outcome === 'open' && (id === 'seal' || id === 'registry') && block.status !== 'orphaned') undecided += 1
    }
    if (block.body?.matches === false) {
      const detail = 'The trades that the node shows do not lead to the Merkle root in the header.'
      failures.push({ block, what: 'Trades', detail })
    }
    for (const { vote, finding } of block.votes) {
      if (finding === null) waiting += 1
      else checkedVotes += 1
      if (finding?.outcome === 'open') undecided += 1
      if (finding?.outcome === 'fail') {
        failures.push({ block, what: `Vote of ${vote.voter_id}`, detail: finding.reason })
      }
    }
  }
  const checkedBlocks = blocks.filter(({ checks }) => checks !== null).length
  const votesToCome = blocks.filter(({ votesLoaded }) => !votesLoaded).length
  return { checkedBlocks, checkedVotes, waiting, votesToCome, undecided, failures }
}

/** The worst that was found about a block; `open` while it is not checked or one of its checks cannot be decided. */
export function outcomeOf(block: BlockRecord, blocks: readonly BlockRecord[], context: CheckContext): Outcome {
  const checks = checksOf(block, blocks, context)
  const outcomes = [...checks.map(({ outcome }) => outcome), ...block.votes.map(({ finding }) => finding?.outcome)]
  if (block.body?.matches === false) return 'fail'
  if (outcomes.includes('fail')) return 'fail'
  const decided = checks.every(({ id, outcome }) => outcome === 'pass' || id === 'link' || id === 'final')
  return checks.length > 0 && decided ? 'pass' : 'open'
}
