import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import { shown } from '../protocol/shown.ts'

export interface Refusal {
  readonly method: string
  /** Of the table of calls, not what was asked for: there are few of them. */
  readonly route: string
  readonly code: string
  readonly status: number
  /** IP address. */
  readonly client: string
  /** Of the token that was sent, if it is one of this node. */
  readonly token_name?: string
}

/** Tells the operator what was refused. A flood of one kind is one line a second, with how many there were between. */
export interface RefusalLog {
  /** @param detail may quote what was sent; no credential is ever among it */
  warn(refusal: Refusal, detail: string): void
}

const INTERVAL_MS = 1_000
/** Enough to find the fault. */
const MAX_DETAIL_LENGTH = 300

export function createRefusalLog(logger: Logger, clock: Pick<Clock, 'now'>): RefusalLog {
  /** By method, route and code: as many as the API has, whatever is sent. */
  const kinds = new Map<string, { loggedAt: number; unlogged: number }>()
  return {
    warn(refusal, detail) {
      const { method, route, code } = refusal
      const kind = `${method} ${route} ${code}`
      const now = clock.now()
      const last = kinds.get(kind)
      if (last !== undefined && Math.abs(now - last.loggedAt) < INTERVAL_MS) {
        last.unlogged += 1
        return
      }
      const more = last === undefined || last.unlogged === 0 ? {} : { more_like_this: last.unlogged }
      kinds.set(kind, { loggedAt: now, unlogged: 0 })
      const text = shown(detail, MAX_DETAIL_LENGTH)
      logger.warn({ ...refusal, ...more }, `refused ${method} ${route}: ${text}`)
    },
  }
}
