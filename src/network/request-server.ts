import type { Stream } from '@libp2p/interface'
import { canonicalBytes, parseCanonicalBytes } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from '../protocol/limits.ts'
import { steadyNow, type Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { RequestHandler } from '../ports/peer-requests.ts'
import { BAD_REQUEST_COST, REFUSED_COST } from './costs.ts'
import { deadline, pause, reasonOf, within } from './deadline.ts'
import { frameStream, FrameTooLarge, type FrameStream } from './frames.ts'
import type { PeerGuard } from './guard.ts'
import { BUDGET_WAIT_MS, FRAME_LIMIT_MS, HANDLER_LIMIT_MS, INBOUND_IDLE_MS, STREAM_CLOSE_LIMIT_MS } from './limits.ts'
import { encodeRefusal, refusalOf } from './refusal.ts'

export interface ServedStream {
  readonly stream: Stream
  /** Protocol and peer, for the log. */
  readonly protocol: string
  readonly from: string
  readonly handler: RequestHandler
  readonly clock: Clock
  readonly logger: Logger
  readonly guard: PeerGuard
  /** Aborted when the node stops. */
  readonly stopping: AbortSignal
}

/**
 * Answers the requests of one inbound stream, one after another, until the other side ends it, is silent for too long, or
 * sends what is no request. Never rejects, and always leaves the stream closed.
 */
export async function serveStream(served: ServedStream): Promise<void> {
  const frames = frameStream(served.stream, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES)
  try {
    let open = true
    while (open && (await timed(served, INBOUND_IDLE_MS, 'an idle stream', (signal) => frames.readable(signal)))) {
      open = await serveOne(served, frames)
    }
    const closing = deadline(served.clock, STREAM_CLOSE_LIMIT_MS, 'closing', served.stopping)
    await frames.close(closing.signal)
    closing.clear()
  } catch (reason) {
    served.logger.debug(
      { peer: served.from, protocol: served.protocol, reason: reasonOf(reason) },
      'request stream ended',
    )
    frames.abort(reason)
  }
}

/** One request and its answer. False if the stream cannot go on: where the next frame begins is then unknown. */
async function serveOne(served: ServedStream, frames: FrameStream): Promise<boolean> {
  const { guard, from } = served
  const refusal = await awaitBudget(served)
  const request = await readRequest(served, frames)
  const answer = 'refusal' in request ? request.refusal : (refusal ?? (await answerOf(served, request.params)))
  guard.chargeQuestion(from, { bytes: answer.byteLength })
  await timed(served, FRAME_LIMIT_MS, 'taking the answer', (signal) => frames.write(answer, signal))
  return !('refusal' in request)
}

/** Waits until the peer may cause more work, and for its turn; if that takes too long, the refusal that says so. */
async function awaitBudget({ guard, from, clock, stopping }: ServedStream): Promise<Uint8Array | undefined> {
  const limit = deadline(clock, BUDGET_WAIT_MS, 'waiting for its turn', stopping)
  const until = steadyNow(clock) + BUDGET_WAIT_MS
  try {
    for (let waitMs = guard.waitMs(from); waitMs > 0; waitMs = guard.waitMs(from)) {
      if (steadyNow(clock) + waitMs > until) {
        guard.chargePeer(from, REFUSED_COST)
        return tooMany(
          `this peer has asked for more than its share of this node: again in ${Math.ceil(waitMs / 1_000)} s`,
        )
      }
      await pause(waitMs, clock, limit.signal)
    }
    await guard.turn(from, limit.signal)
    return undefined
  } catch (error) {
    if (stopping.aborted) throw error
    return tooMany('too many peers that are not known here ask at once: again in a few seconds')
  } finally {
    limit.clear()
  }
}

const tooMany = (message: string): Uint8Array => encodeRefusal({ code: 'too_many_requests', message })

async function readRequest(
  served: ServedStream,
  frames: FrameStream,
): Promise<{ readonly params: unknown } | { readonly refusal: Uint8Array }> {
  try {
    const bytes = await timed(served, FRAME_LIMIT_MS, 'sending a request', (signal) => frames.read(signal))
    return { params: parseCanonicalBytes(bytes) }
  } catch (error) {
    if (error instanceof FrameTooLarge || isSolarError(error)) served.guard.charge(served.from, BAD_REQUEST_COST)
    if (error instanceof FrameTooLarge) {
      return { refusal: encodeRefusal({ code: 'too_large', message: `the request is ${error.message}` }) }
    }
    if (isSolarError(error)) return { refusal: encodeRefusal(refusalOf(error)) }
    throw error
  }
}

async function answerOf(served: ServedStream, params: unknown): Promise<Uint8Array> {
  const { handler, from, protocol, logger, guard } = served
  const limit = deadline(served.clock, HANDLER_LIMIT_MS, 'answering', served.stopping)
  const isDone = guard.begin(from)
  try {
    const answer = canonicalBytes(await within(handler(params, from), limit.signal))
    if (answer.byteLength <= MAX_RESPONSE_BYTES) return answer
    const message = `the answer has ${answer.byteLength} bytes, at most ${MAX_RESPONSE_BYTES}: ask for less`
    return encodeRefusal({ code: 'too_large', message })
  } catch (error) {
    if (isSolarError(error, 'malformed') || isSolarError(error, 'bad_signature')) guard.charge(from, BAD_REQUEST_COST)
    if (!isSolarError(error)) logger.error({ peer: from, protocol, err: error }, 'a request handler failed')
    return encodeRefusal(refusalOf(error))
  } finally {
    isDone()
    limit.clear()
  }
}

async function timed<T>(
  { clock, stopping }: ServedStream,
  limitMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = deadline(clock, limitMs, what, stopping)
  try {
    return await work(limit.signal)
  } finally {
    limit.clear()
  }
}
