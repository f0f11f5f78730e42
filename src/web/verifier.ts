import { checkHeader, checkVote, type CheckContext } from './checks.ts'
import type { Action, BlockRecord, Finding, PageState, VoteRecord } from './state.ts'

/** Work of one go, so that a phone still scrolls while a hundred signatures are checked (about 1 ms each). */
const SLICE_MS = 12

export interface VerifierParts {
  readonly state: () => PageState
  readonly dispatch: (action: Action) => void
  readonly context: () => CheckContext
  /** Milliseconds, any origin. */
  readonly elapsed: () => number
  /** Lets the page breathe. */
  readonly pause: () => Promise<void>
}

/** Checks what the node tells, newest first, in slices between frames. */
export interface Verifier {
  /** Checks all that is unchecked; returns once nothing is left, also what came in meanwhile. */
  run(): Promise<void>
}

export function createVerifier(parts: VerifierParts): Verifier {
  let running: Promise<void> | undefined

  async function work(): Promise<void> {
    for (;;) {
      await parts.pause()
      const findings = checkSlice(parts)
      if (findings.length === 0) {
        // Cleared in the same turn that found nothing: whatever comes after it starts a new run.
        running = undefined
        return
      }
      parts.dispatch({ type: 'checked', findings })
    }
  }

  return {
    run() {
      running ??= work()
      return running
    },
  }
}

function checkSlice({ state, context, elapsed }: VerifierParts): readonly Finding[] {
  const findings: Finding[] = []
  const end = elapsed() + SLICE_MS
  for (const finding of findingsOf(state(), context())) {
    findings.push(finding)
    if (elapsed() >= end) break
  }
  return findings
}

/** What there is to find out, each found when it is asked for: headers first, then votes. */
function* findingsOf(state: PageState, context: CheckContext): Generator<Finding> {
  const newestFirst = [...state.blocks].reverse()
  const checkedWith = context.bookVersion
  for (const block of newestFirst) {
    const parent = parentOf(block, state)
    if (isHeaderDue(block, parent, state)) {
      yield { of: 'header', hash: block.hash, checks: checkHeader(block, parent, context), checkedWith }
    }
  }
  for (const block of newestFirst) {
    const parent = parentOf(block, state)
    for (const { vote } of block.votes.filter((record) => isVoteDue(record, state))) {
      const finding = checkVote(vote, block, parent, context)
      yield { of: 'vote', hash: block.hash, signature: vote.signature, finding }
    }
  }
}

/** The block that is named as parent; if it is not held, the one in its place, whose link check then fails. */
export function parentOf({ header }: BlockRecord, { blocks }: Pick<PageState, 'blocks'>): BlockRecord | undefined {
  if (header.height === 0) return undefined
  return (
    blocks.find(({ hash }) => hash === header.prev_hash) ??
    blocks.find((other) => other.header.height === header.height - 1)
  )
}

function isHeaderDue(
  block: BlockRecord,
  parent: BlockRecord | undefined,
  { registryVersion }: Pick<PageState, 'registryVersion'>,
): boolean {
  const undecided = block.checks?.filter(({ outcome }) => outcome !== 'pass') ?? []
  const isOpenLink = undecided.some(({ id, outcome }) => id === 'link' && outcome === 'open')
  if (block.checks === null || (parent !== undefined && isOpenLink)) return true
  return block.checkedWith < registryVersion && undecided.some(({ id }) => id === 'registry' || id === 'seal')
}

const isVoteDue = ({ finding }: VoteRecord, { registryVersion }: Pick<PageState, 'registryVersion'>): boolean =>
  finding === null || (finding.outcome !== 'pass' && finding.checkedWith < registryVersion)
