/**
 * Virtual time. What is due is done one thing at a time, in the order of time and then of asking; between two things
 * everything that the first has set off has run: promises of the code under test wait for nothing but this loop.
 */
export interface Loop {
  /** Unix milliseconds. */
  readonly now: number
  /** Gives back what cancels it. */
  schedule(delayMs: number, task: () => void): () => void
  /** Runs all that is due until `until`; `afterEach` is called between two steps. */
  run(until: number, afterEach: () => void): Promise<void>
}

interface Due {
  readonly at: number
  readonly order: number
  task: (() => void) | undefined
}

export function createLoop(start: number): Loop {
  const heap: Due[] = []
  let now = start
  let order = 0

  const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

  function push(due: Due): void {
    let at = heap.push(due) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !isBefore(due, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = due
  }

  function pop(): Due | undefined {
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      let child = heap[below]
      const right = heap[below + 1]
      if (child === undefined) break
      if (right !== undefined && isBefore(right, child)) {
        child = right
        below += 1
      }
      if (!isBefore(child, last)) break
      heap[at] = child
      at = below
    }
    heap[at] = last
    return first
  }

  return {
    get now() {
      return now
    },
    schedule(delayMs, task) {
      const due: Due = { at: now + Math.max(0, Math.round(delayMs)), order: order++, task }
      push(due)
      return () => (due.task = undefined)
    },
    async run(until, afterEach) {
      while (heap[0] !== undefined && heap[0].at <= until) {
        const due = pop()
        if (due?.task === undefined) continue
        now = due.at
        due.task()
        await settled()
        afterEach()
      }
      now = Math.max(now, until)
    },
  }
}

/** Resolves when every promise that could go on has gone on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
