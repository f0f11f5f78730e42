import type { Clock } from '../ports/clock.ts'
import { deadline, within } from './deadline.ts'
import type { FrameStream } from './frames.ts'
import { OUTBOUND_IDLE_MS, OUTBOUND_STREAMS, STREAM_CLOSE_LIMIT_MS } from './limits.ts'

/**
 * The streams to one peer and protocol. A new stream costs a round trip of negotiation (1.3 ms on loopback against 0.1 ms
 * for one that is open), so streams are kept for a while; requests beyond their number wait in order.
 */
export interface StreamPool {
  /** Runs `exchange` alone on a stream. If it rejects, its stream is reset: what is still on it belongs to nobody. */
  use<T>(exchange: (stream: FrameStream) => Promise<T>, signal: AbortSignal): Promise<T>
  /** True if nothing runs, waits or is kept. */
  isEmpty(): boolean
  /** Resets what is kept. */
  clear(): void
}

export interface StreamPoolOptions {
  readonly open: (signal: AbortSignal) => Promise<FrameStream>
  readonly clock: Clock
  readonly stopping: AbortSignal
  /** Called when the last kept stream was let go. */
  readonly onIdle: () => void
}

interface KeptStream {
  readonly stream: FrameStream
  readonly forget: () => void
}

export function createStreamPool({ open, clock, stopping, onIdle }: StreamPoolOptions): StreamPool {
  const kept: KeptStream[] = []
  const waiting: (() => void)[] = []
  let running = 0

  async function enter(signal: AbortSignal): Promise<void> {
    if (running < OUTBOUND_STREAMS) {
      running++
      return
    }
    // Whoever leaves hands its place over, so `running` stays as it is.
    const turn = Promise.withResolvers<undefined>()
    const take = () => turn.resolve(undefined)
    waiting.push(take)
    try {
      await within(turn.promise, signal)
    } catch (reason) {
      const position = waiting.indexOf(take)
      if (position >= 0) waiting.splice(position, 1)
      else leave()
      throw reason
    }
  }

  function leave(): void {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }

  function takeKept(): FrameStream | undefined {
    for (let entry = kept.pop(); entry !== undefined; entry = kept.pop()) {
      entry.forget()
      if (entry.stream.isOpen()) return entry.stream
      entry.stream.abort(new Error('the other side has ended this stream'))
    }
    return undefined
  }

  function keep(stream: FrameStream): void {
    const forget = clock.after(OUTBOUND_IDLE_MS, () => {
      kept.splice(kept.indexOf(entry), 1)
      const closing = deadline(clock, STREAM_CLOSE_LIMIT_MS, 'closing', stopping)
      void stream.close(closing.signal).finally(() => closing.clear())
      onIdle()
    })
    const entry = { stream, forget }
    kept.push(entry)
  }

  return {
    use: async (exchange, signal) => {
      await enter(signal)
      try {
        const stream = takeKept() ?? (await open(signal))
        try {
          const result = await exchange(stream)
          keep(stream)
          return result
        } catch (reason) {
          stream.abort(reason)
          throw reason
        }
      } finally {
        leave()
      }
    },
    isEmpty: () => running === 0 && waiting.length === 0 && kept.length === 0,
    clear: () => {
      for (const { stream, forget } of kept.splice(0)) {
        forget()
        stream.abort(new Error('the node stops'))
      }
    },
  }
}
