/** Limits of the transport, each with its reason. Milliseconds and counts; sizes in bytes are the protocol's own. */

/** A request waits this long for its answer, its place in the queue and the opening of a stream included. */
export const REQUEST_LIMIT_MS = 10_000
/** A handler that has not answered by then is answered for: the stream must not be held for ever. */
export const HANDLER_LIMIT_MS = 10_000
/** A frame that has begun to arrive must end, and an answer be taken, within this. */
export const FRAME_LIMIT_MS = 10_000
/** An inbound stream on which nothing is asked is closed. */
export const INBOUND_IDLE_MS = 60_000
/** The asking side lets go first, so that no request meets a stream that the other side is just closing. */
export const OUTBOUND_IDLE_MS = 30_000
/** How long a closing stream waits for the other side before it is reset. */
export const STREAM_CLOSE_LIMIT_MS = 1_000

/** Streams that one peer's requests of one name share; more requests wait in order. */
export const OUTBOUND_STREAMS = 4
/** Twice that: the old streams of a peer that asks anew may still be closing. Counted by connection and protocol. */
export const INBOUND_STREAMS = 8
/**
 * Streams that a peer opens before this side has finished its part of the handshake. Beyond the default of 10 the whole
 * connection is dropped, and a node that begins with a dozen requests at once would never get further.
 */
export const EARLY_STREAMS = 64

/** A redial reaches a restarted authority soon, and does not hold back others while an address is dead. */
export const DIAL_LIMIT_MS = 5_000
export const REDIAL_FIRST_MS = 500
export const REDIAL_MAX_MS = 5_000
/** Grows slowly, so that a restart of a few seconds is still noticed within about one. */
export const REDIAL_GROWTH = 1.2
/** A connection that lasted shorter does not count as a success: a peer that hangs up at once is not dialled twice a second. */
export const STABLE_CONNECTION_MS = 5_000

/**
 * A half-open connection (pulled cable, suspended host) tells nothing; only an unanswered ping does. Light nodes have few
 * connections and notice within 3 + 4 s. A hub has hundreds and is pinged by all of them, so it asks less often itself.
 */
export const LIGHT_PING_INTERVAL_MS = 3_000
export const HUB_PING_INTERVAL_MS = 10_000
/** Longer than a large tick keeps an authority busy. */
export const PING_LIMIT_MS = 4_000

export const HUB_CONNECTIONS = 2_000
export const LIGHT_CONNECTIONS = 100
/** By second and host: a village behind one address comes back at once after a restart. The default of 5 locks it out. */
export const INBOUND_CONNECTIONS_PER_SECOND = 100
export const PENDING_CONNECTIONS = 200

/** The whole of `stop()`; what has not said goodbye by then is cut off. */
export const STOP_LIMIT_MS = 1_500
/** Noise sends 64 KiB at a time; before that nothing is nearly as long. The default is 100 MiB. */
export const WEBSOCKET_MESSAGE_BYTES = 128 * 1024
