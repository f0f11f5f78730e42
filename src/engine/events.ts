import type { LedgerEvent } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'

export type EventListener = (event: LedgerEvent) => void

/** What happened, told to everybody who listens, in order. A listener that throws is logged and harms nobody. */
export interface EventHub {
  emit(event: LedgerEvent): void
  subscribe(listener: EventListener): () => void
}

export function createEventHub(logger: Logger): EventHub {
  const listeners = new Set<EventListener>()
  return {
    emit(event) {
      for (const listener of listeners) {
        try {
          listener(event)
        } catch (error) {
          logger.error({ error, event: event.type }, 'an event listener failed')
        }
      }
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
