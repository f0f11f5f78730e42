import type { Clock } from '../ports/clock.ts'
import type { LedgerErrorCode } from '../ports/errors.ts'
import type { PlatformTick, TickAnswer } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { OutboxStore, OutboxTick } from '../ports/outbox.ts'
import { inTurns } from '../ports/turns.ts'
import { isSolarError, protocolError, type ProtocolErrorCode, type SolarError } from '../protocol/errors.ts'
import { parseJsonInPieces } from '../protocol/json-pieces.ts'
import { MAX_TICK_BYTES } from '../protocol/limits.ts'
import type { Pieces } from '../protocol/pieces.ts'
import { shown } from '../protocol/shown.ts'

export interface OutboxParts {
  readonly store: OutboxStore
  /** Checks a platform's tick, by the same rules as over HTTP. */
  readonly readTick: (value: unknown, path: string) => Pieces<PlatformTick>
  /** Commits and seals; idempotent by tick_id. */
  readonly accept: (tick: PlatformTick) => Promise<TickAnswer>
  readonly clock: Clock
  readonly logger: Logger
  /** Rows are looked for this often even if nobody tells of any. */
  readonly pollMs: number
  /** What became of a row. */
  readonly onRow: (outcome: 'sealed' | 'parked') => void
  /** Rows name users whom the log shall not: what is wrong with one is in the table alone. */
  readonly isDiscreet?: boolean
}

/** Takes the ticks of the outbox, one at a time. Only who leads takes them. */
export interface OutboxReader {
  start(): void
  /** Waits for the row in hand; no other is taken until the next `start`. */
  stop(): Promise<void>
}

/**
 * What is wrong with the row itself: it is parked, and the next one is taken. Any other error is trouble of this node or its
 * stores: nothing is parked, and the same row is tried again.
 */
const FAULTS_OF_ROWS: readonly string[] = [
  'malformed',
  'wrong_total',
  'bad_transaction',
  'refused_row',
  'from_the_future',
  'tick_too_large',
  'payloads_too_large',
  'tick_conflict',
  'tick_void',
  'duplicate_transaction',
] satisfies (LedgerErrorCode | ProtocolErrorCode)[]

/** Rows of one look at the table. */
const BATCH = 100
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 30_000
/** Enough to find the fault. */
const MAX_REASON_LENGTH = 500

/**
 * Each look at the table takes what waits, lowest id first: so a platform's ticks are sealed in the order in which it committed
 * them, as far as one of its transactions knew of the other. What commits later with a lower id is found by a later look.
 *
 * A crash between the tick's seal and the row's end changes nothing: the row still waits, and its tick has the same answer.
 */
export function createOutboxReader(parts: OutboxParts): OutboxReader {
  const { store, clock, logger, pollMs } = parts
  let stopped = true
  let stopListening = (): Promise<void> => Promise.resolve()
  let cancelNext = (): void => undefined
  let running: Promise<void> | undefined
  /** Somebody told of rows while a look was under way, which may have been too early for them. */
  let isToldAgain = false
  let retryMs = FIRST_RETRY_MS

  function wake(): void {
    if (stopped) return
    isToldAgain = true
    cancelNext()
    running ??= run()
  }

  async function run(): Promise<void> {
    let nextMs = pollMs
    try {
      while (isToldAgain) {
        isToldAgain = false
        while (await takeBatch()) {
          // takeBatch says when nothing waits any more
        }
      }
      retryMs = FIRST_RETRY_MS
    } catch (error) {
      nextMs = retryMs
      retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)
      logger.warn({ error }, `the outbox waits, nothing of it is lost; trying again in ${nextMs / 1000} s`)
    }
    running = undefined
    if (!isStopped()) cancelNext = clock.after(nextMs, wake)
  }

  /** False if there was nothing to take. */
  async function takeBatch(): Promise<boolean> {
    const ids = await store.outboxRows(BATCH)
    for (const id of ids) {
      if (isStopped()) return false
      await take(id)
    }
    return ids.length > 0
  }

  async function take(id: bigint): Promise<void> {
    const row = await store.outboxTick(id)
    if (row === undefined) return
    let answer: TickAnswer
    try {
      answer = await parts.accept(await inTurns(parseTick(row, parts.readTick)))
    } catch (error) {
      if (!isSolarError(error) || !FAULTS_OF_ROWS.includes(error.code)) throw error
      await park(id, error)
      return
    }
    await store.finishOutboxRow(id, answer, clock.now())
    parts.onRow('sealed')
  }

  async function park(id: bigint, { code, message }: SolarError): Promise<void> {
    // It quotes the row, which may hold anything; the databases take no text with zero bytes.
    const reason = shown(message, MAX_REASON_LENGTH)
    await store.parkOutboxRow(id, { code, reason })
    parts.onRow('parked')
    const why = parts.isDiscreet === true ? 'the table says why' : reason
    logger.error({ row: String(id), code }, `ALARM outbox row ${id} is parked: ${code}, ${why}`)
  }

  // Asked anew after each await, which the compiler does not know of a variable.
  const isStopped = (): boolean => stopped

  return {
    start() {
      if (!stopped) return
      stopped = false
      stopListening = store.onOutbox(wake)
      wake()
    },
    async stop() {
      stopped = true
      cancelNext()
      const stopThis = stopListening
      // At once: it may be started again before it has stopped.
      stopListening = () => Promise.resolve()
      await Promise.all([running, stopThis()])
    },
  }
}

/** Throws `malformed`. */
function* parseTick(row: OutboxTick, readTick: OutboxParts['readTick']): Pieces<PlatformTick> {
  if ('tooLong' in row) {
    throw protocolError('malformed', {
      path: 'tick',
      expected: `at most ${MAX_TICK_BYTES} bytes`,
      got: `${row.tooLong} bytes`,
    })
  }
  let value: unknown
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(row.bytes)
    const parsed = yield* parseJsonInPieces(text)
    if (parsed.repeatsName) throw new Error('a field twice')
    value = parsed.value
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error)
    throw protocolError('malformed', { path: 'tick', expected: 'JSON', got }, error)
  }
  return yield* readTick(value, 'tick')
}
