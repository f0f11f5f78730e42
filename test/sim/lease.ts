import type { SharedLeadership } from '../../src/ports/leadership.ts'
import type { Loop } from './loop.ts'
import type { Port } from './network.ts'
import type { Random } from './random.ts'

/** The lock by which one of the authorities on a database leads, as in src/storage/sql/postgres-leadership.ts. */
export interface Lease {
  /** Leadership of one life of an authority. */
  join(port: Port, mayLead: () => boolean): SharedLeadership
  /** The process is gone; the lock is free once the server has noticed. */
  leave(port: Port): void
  /** The server ends the session of who leads, which may not notice for a while: two believe to lead. */
  depose(): void
}

const PERIOD_MS = 500
const NOTICED_MS = 4_000
const BLIND_MS = 6_000

export function createLease(loop: Loop, random: Random): Lease {
  let holder: Port | undefined
  /** Until when who has lost the lock does not know. */
  const blindUntil = new Map<Port, number>()

  return {
    join(port, mayLead) {
      const listeners = new Set<() => void>()
      let believes = false
      let term = 0
      let isStopped = false
      let cancel = (): void => undefined

      function believe(leads: boolean): void {
        if (believes === leads) return
        believes = leads
        if (leads) term += 1
        for (const listener of listeners) listener()
      }

      function ask(): void {
        if (isStopped || loop.now < (blindUntil.get(port) ?? 0)) return
        if (!mayLead() && holder === port) holder = undefined
        if (mayLead()) holder ??= port
        believe(holder === port)
      }

      function askAgain(): void {
        ask()
        cancel = port.clock.after(PERIOD_MS, askAgain)
      }

      return {
        leads: () => believes,
        trouble: () => undefined,
        get term() {
          return term
        },
        confirm() {
          ask()
          return Promise.resolve(believes)
        },
        onChange(listener) {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
        start() {
          askAgain()
          return Promise.resolve()
        },
        stop() {
          isStopped = true
          cancel()
          if (holder === port) holder = undefined
          believe(false)
          return Promise.resolve()
        },
      }
    },
    leave(port) {
      if (holder !== port) return
      loop.schedule(NOTICED_MS, () => {
        if (holder === port) holder = undefined
      })
    },
    depose() {
      if (holder === undefined) return
      blindUntil.set(holder, loop.now + random.between(0, BLIND_MS))
      holder = undefined
    },
  }
}
