import type { Pieces } from '../protocol/pieces.ts'

/** Resolves in another turn of the event loop, after what has arrived meanwhile was served. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    // Browsers have timers alone.
    if (typeof setImmediate === 'function') setImmediate(resolve)
    else setTimeout(resolve)
  })

/** Does work in pieces, each in a turn of its own. What is no more than one piece is done when the call returns. */
export async function inTurns<T>(work: Pieces<T>): Promise<T> {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
    await nextTurn()
  }
}
