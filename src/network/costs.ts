import type { Cost } from './budget.ts'

/**
 * What is charged by a price, where it cannot be measured: milliseconds of CPU, of a core that checks 12,000 signatures a
 * second. Measured, and rounded up.
 */

/** Taking a connection that has said nothing yet. */
export const ACCEPT_COST: Cost = { ms: 1, bytes: 0 }
/** Noise, Yamux, identify and the first exchange of gossip. */
export const HANDSHAKE_COST: Cost = { ms: 10, bytes: 0 }
/** What a stranger's question is taken to cost until it is answered, so that they do not all begin at once. */
export const QUESTION_COST: Cost = { ms: 2, bytes: 0 }
/** Opening a stream: negotiation of its protocol. */
export const STREAM_COST: Partial<Cost> = { ms: 1 }
/** Decryption, framing and parsing of what comes, most of it small: a ping has some 60 bytes, a vote 350. */
export const INBOUND_MS_PER_BYTE = 1 / 1024
/** A gossiped message that leads to nothing: looked up, or its signature checked, twice if it is wrong. */
export const IGNORED_COST: Cost = { ms: 4, bytes: 0 }
/** A request of who was told to wait and did not: more than it costs to refuse, so that who goes on is cut off. */
export const REFUSED_COST: Partial<Cost> = { ms: 20 }
/** A request that no honest node sends: another form, a signature that is wrong. Its sender waits for its own sake. */
export const BAD_REQUEST_COST: Partial<Cost> = { ms: 200 }
/**
 * A gossiped message that no honest node sends. Some are forgiven (an old version, a flipped bit); with nine at once, when
 * gossip reads nothing of the sender any more (gossip-settings), its connections end too.
 */
export const REJECTED_COST: Partial<Cost> = { ms: 700 }
