import { decodeEvent, EVENT_NAMES, type NodeEvent } from './answers.ts'
import type { Connection } from './state.ts'

/** An open stream can be dead without an error; a small call now and then finds out. */
const PROBE_MS = 10_000
const FIRST_RETRY_MS = 500
const MAX_RETRY_MS = 8_000

/** The part of EventSource that is used. */
export interface EventStream {
  addEventListener(name: string, listener: (event: { readonly data: string }) => void): void
  close(): void
}

export interface LiveParts {
  readonly openStream: () => EventStream
  /** Fetches what was missed. Throws if the node does not answer. */
  readonly resync: () => Promise<void>
  /** A small call that throws if the node does not answer. */
  readonly probe: () => Promise<void>
  readonly onEvent: (event: NodeEvent) => void
  readonly onConnection: (connection: Connection) => void
  /** Calls `task` once after `delayMs`; gives back what cancels it. */
  readonly after: (delayMs: number, task: () => void) => () => void
}

/** Follows the node's events and comes back by itself when it was gone. Gives back what ends it. */
export function follow(parts: LiveParts): () => void {
  let stream: EventStream | undefined
  let cancel: () => void = () => undefined
  let failures = 0
  let ended = false

  function connect(): void {
    const opened = parts.openStream()
    stream = opened
    // The stream is open before the newest headers are fetched, so nothing falls between the two.
    opened.addEventListener('open', () => void attempt(opened, parts.resync))
    opened.addEventListener('error', () => lose(opened))
    for (const name of EVENT_NAMES) {
      opened.addEventListener(name, ({ data }) => {
        if (stream === opened) receive(opened, () => parts.onEvent(decodeEvent(name, data)))
      })
    }
  }

  /** An event that cannot be read means that this page and the node differ: begin again from the headers. */
  function receive(opened: EventStream, handle: () => void): void {
    try {
      handle()
    } catch {
      lose(opened)
    }
  }

  async function attempt(opened: EventStream, call: () => Promise<void>): Promise<void> {
    try {
      await call()
    } catch {
      lose(opened)
      return
    }
    if (ended || stream !== opened) return
    failures = 0
    parts.onConnection('live')
    cancel()
    cancel = parts.after(PROBE_MS, () => void attempt(opened, parts.probe))
  }

  function lose(opened: EventStream): void {
    if (ended || stream !== opened) return
    opened.close()
    stream = undefined
    cancel()
    parts.onConnection('reconnecting')
    cancel = parts.after(Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS), connect)
    failures += 1
  }

  connect()
  return () => {
    ended = true
    cancel()
    stream?.close()
  }
}
