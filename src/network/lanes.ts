/** Those that wait, each in a lane: one of each lane is next, then the next of each, so that a full lane holds up no other. */
export interface Lanes<T> {
  add(lane: string, one: T): void
  /** Takes out whose turn it is; `undefined` if nobody waits. */
  next(): T | undefined
  remove(lane: string, one: T): void
  isEmpty(): boolean
}

export function createLanes<T>(): Lanes<T> {
  const lanes = new Map<string, Set<T>>()
  return {
    add(lane, one) {
      lanes.set(lane, (lanes.get(lane) ?? new Set<T>()).add(one))
    },
    next() {
      for (const [lane, waiting] of lanes) {
        lanes.delete(lane)
        for (const one of waiting) {
          waiting.delete(one)
          if (waiting.size > 0) lanes.set(lane, waiting)
          return one
        }
      }
      return undefined
    },
    remove(lane, one) {
      const waiting = lanes.get(lane)
      waiting?.delete(one)
      if (waiting?.size === 0) lanes.delete(lane)
    },
    isEmpty: () => lanes.size === 0,
  }
}
