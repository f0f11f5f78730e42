import type { Hash } from '../protocol/bytes.ts'
import type { Api } from './api.ts'
import { checkHistory, type Check, type CheckContext } from './checks.ts'
import type { PageState } from './state.ts'
import { outcomeOf } from './summary.ts'
import type { Memory, Remembered, Trust } from './trust.ts'

/** What this browser saw at its last visit, and what it keeps for the next. */
export interface Visit {
  /** null until it is compared, and where there is nothing to compare. */
  readonly compared: () => Check | null
  readonly remembered: () => Remembered | undefined
  /** All is checked: compares once, then keeps the newest final block that passed. */
  settle(state: PageState, context: CheckContext, trust: Trust): Promise<void>
  /** The reader says that a changed chain id is right. */
  accept(now: number): void
}

export function createVisit(memory: Memory, chainId: Hash, api: Pick<Api, 'historyInclusion'>): Visit {
  let remembered = memory.recall()
  let compared: Check | null = null
  let isCompared = false

  function remember(value: Remembered): void {
    remembered = value
    memory.remember(value)
  }

  return {
    compared: () => compared,
    remembered: () => remembered,
    async settle(state, context, trust) {
      const known = remembered?.chain_id === chainId ? remembered.anchor : null
      if (!isCompared && state.loaded) {
        isCompared = true
        if (known !== null) compared = await compareWith(known, state, api)
      }
      if (trust.kind === 'changed' || trust.kind === 'wrong-pin' || compared?.outcome === 'fail') return
      const best = state.blocks.findLast(
        (block) => block.status === 'final' && outcomeOf(block, state.blocks, context) === 'pass',
      )
      const anchor = best === undefined ? known : { height: best.header.height, hash: best.hash }
      if (remembered !== undefined && anchor?.hash === known?.hash) return
      if (known !== null && anchor !== null && anchor.height < known.height) return
      remember({ chain_id: chainId, first_seen: remembered?.first_seen ?? context.now, anchor })
    },
    accept: (now) => remember({ chain_id: chainId, first_seen: now, anchor: null }),
  }
}

async function compareWith(
  seen: { readonly height: number; readonly hash: Hash },
  { blocks }: PageState,
  api: Pick<Api, 'historyInclusion'>,
): Promise<Check> {
  const part = { id: 'history', title: 'Last visit', values: [] } as const
  const tip = blocks[blocks.length - 1]
  if (tip === undefined || tip.header.height < seen.height) {
    return { ...part, outcome: 'fail', detail: `Block ${seen.height}, seen before, is not there any more.` }
  }
  if (tip.header.height === seen.height) {
    return tip.hash === seen.hash
      ? { ...part, outcome: 'pass', detail: `Block ${seen.height} is still the newest.` }
      : { ...part, outcome: 'fail', detail: `Block ${seen.height} is another one than before.` }
  }
  try {
    const proof = await api.historyInclusion(seen.height, tip.header.height)
    return { ...checkHistory(seen, tip.header, proof), title: part.title }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { ...part, outcome: 'open', detail: `Could not be compared: ${reason}` }
  }
}
