/** Measures what each of several tasks that run side by side in one thread costs. */
export interface Meter {
  /** Begins a task; the function it gives back ends it and says how many milliseconds it cost. */
  begin(): () => number
}

/**
 * JavaScript does not tell whose turn it is, so the time in which several tasks are in hand is divided between them, with
 * one share for what the process does besides (a tick, say). The shares add up to the time that was used, at most.
 *
 * @param usedMs milliseconds that this process has used so far, from any start
 */
export function createMeter(usedMs: () => number): Meter {
  const inHand = new Set<{ ms: number }>()
  let settledAt = usedMs()

  function settle(): void {
    const now = usedMs()
    const share = (now - settledAt) / (inHand.size + 1)
    for (const task of inHand) task.ms += share
    settledAt = now
  }

  return {
    begin() {
      settle()
      const task = { ms: 0 }
      inHand.add(task)
      return () => {
        settle()
        inHand.delete(task)
        return task.ms
      }
    },
  }
}
