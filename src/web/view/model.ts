import type { NodeInfo } from '../answers.ts'
import type { Check, CheckContext } from '../checks.ts'
import type { BlockRecord, PageState } from '../state.ts'
import type { Summary } from '../summary.ts'
import type { Trust } from '../trust.ts'

/** All that the page shows at one moment. */
export interface Model {
  readonly state: PageState
  readonly context: CheckContext
  readonly summary: Summary
  /** The block shown in full; `undefined` on an empty chain. */
  readonly shown: BlockRecord | undefined
  readonly trust: Trust
  readonly node: NodeInfo
  /** Whether what was seen at the last visit is still there; null if there is nothing to compare. */
  readonly lastVisit: Check | null
  /** Unix milliseconds. */
  readonly now: number
}

/** A part of the page: an element that follows the model. */
export interface View {
  readonly element: HTMLElement
  update(model: Model): void
}
