import type { Clock } from '../ports/clock.ts'
import { shown } from '../protocol/shown.ts'

/** A time limit as an `AbortSignal`; `clear` when the work is done, so that no timer is left behind. */
export interface Deadline {
  readonly signal: AbortSignal
  clear(): void
}

/** Aborts after `limitMs`, saying `what` took longer, or as soon as the node stops. */
export function deadline(clock: Clock, limitMs: number, what: string, stopping: AbortSignal): Deadline {
  const controller = new AbortController()
  const stop = () => controller.abort(stopping.reason)
  const cancel = clock.after(limitMs, () => controller.abort(new Error(`${what} took longer than ${limitMs} ms`)))
  if (stopping.aborted) stop()
  // By hand: what AbortSignal.any derives from a signal that lives as long as the node is not collected on Node 20.
  else stopping.addEventListener('abort', stop, { once: true })
  return {
    signal: controller.signal,
    clear: () => {
      cancel()
      stopping.removeEventListener('abort', stop)
    },
  }
}

/** Settles as `work` does, or rejects with the signal's reason if that comes first. */
export async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(asError(signal.reason))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Resolves after `delayMs`; rejects with the signal's reason if that comes first. */
export async function pause(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  let cancel: () => void = () => undefined
  const over = new Promise<void>((resolve) => {
    cancel = clock.after(delayMs, resolve)
  })
  await within(over, signal).finally(cancel)
}

/** libp2p rejects some dials with an event object: whatever was thrown, an `Error` that says what is known. */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  if (typeof thrown === 'object' && thrown !== null) {
    const { message, error, type } = thrown as { message?: unknown; error?: unknown; type?: unknown }
    if (error instanceof Error) return error
    if (typeof message === 'string' && message !== '') return new Error(message)
    if (typeof type === 'string') return new Error(`transport event "${type}"`)
  }
  return new Error(typeof thrown === 'string' ? thrown : 'no reason given')
}

/** Room for what is said of several addresses. */
const MAX_REASONS = 500

/**
 * One line for people, bounded: libp2p quotes what the other side has sent. An `AggregateError` (all addresses of a dial failed) says
 * each reason.
 */
export function reasonOf(thrown: unknown): string {
  const error = asError(thrown)
  if (error instanceof AggregateError && error.errors.length > 0) {
    return shown(error.errors.map((part) => reasonOf(part)).join('; '), MAX_REASONS)
  }
  return shown(error.message === '' ? error.name : error.message)
}

/** Why addresses cannot be listened on, each in libp2p's words: its first line is about settings that this node does not have. */
export function listenReason(thrown: unknown): string {
  const { message } = asError(thrown)
  const [first = '', ...each] = message.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
  return shown((each.length > 0 ? each : [first]).join('; '), MAX_REASONS)
}
