/** Protocol limits, each with its reason (docs/protocol.md). Bytes, milliseconds, counts. */

/** A larger tick is refused at intake: a block stays within one database transaction and a few MiB per page. */
export const MAX_TRANSACTIONS_PER_BLOCK = 100_000
/** A tick of a platform as JSON, over HTTP or in the outbox: room for 100,000 rows. */
export const MAX_TICK_BYTES = 32 * 1024 * 1024
/** Of the payload of a trade: an age file for some ten recipients, with some sentences. */
export const MAX_PAYLOAD_BYTES = 4 * 1024
/**
 * Characters of base64 of all payloads of a block together: without it 100,000 of them would be half a
 * gigabyte.
 */
export const MAX_PAYLOADS_PER_BLOCK = 16 * 1024 * 1024
/** Rows and ticks further in the future are refused: clocks of honest servers differ by seconds. */
export const MAX_FUTURE_MS = 2 * 60 * 1000
/** One message above the transport's limit would silently end a peer's inbound gossip: sizes are checked before publishing. */
export const MAX_GOSSIP_BYTES = 8 * 1024
export const MAX_REQUEST_BYTES = 64 * 1024
export const MAX_RESPONSE_BYTES = 4 * 1024 * 1024
export const MAX_HEADERS_PER_REQUEST = 512
/**
 * The greatest threshold of a policy, and so the most votes that a proof needs. A vote with all that may come with
 * it has below 8 KiB (ids of 64 characters, 2^16 registered keys, 2^24 blocks): so many fit into one answer.
 */
export const MAX_THRESHOLD = 500
/** Handovers in one answer to `anchor`; who asks goes on from the header that they lead to. A moment's work each way. */
export const MAX_HANDOVERS_PER_ANSWER = 64
/** Handovers in a receipt, which has all of them: what they leave out before is in protocol.md 7. */
export const MAX_HANDOVERS_PER_RECEIPT = 4_000
/** Bytes of the handovers in a receipt: with all else it stays below the 16 MiB that the page takes. */
export const MAX_RECEIPT_PATH_BYTES = 8 * 1024 * 1024
/** Headers that a light node keeps (the plan's N). */
export const DEFAULT_HEADER_WINDOW = 5
/** The smallest order, in micro-kWh (the plan's MIN_TRADE_KWH, 0.01 kWh). */
export const DEFAULT_MIN_TRADE_MICRO = 10_000n
/** A device-signed request is accepted within this distance of the server's clock, once. */
export const REQUEST_VALIDITY_MS = 60_000
/** A certificate says for at most so long whose device a voter is: a key that the authority gave up is then forgotten. */
export const MAX_MEMBERSHIP_MS = 90 * 24 * 3_600_000
/**
 * A change of the registry is sealed within this time after it was signed: one that was never posted is not
 * kept for later.
 */
export const REGISTRY_VALIDITY_MS = 24 * 3_600_000
/** Canonical JSON deeper than this is refused before it can exhaust the stack. */
export const MAX_JSON_DEPTH = 32
/** Of one trade: a receipt shows all of them, and who keeps one checks it in a moment. */
export const MAX_CORRECTIONS_PER_TRADE = 1_000
