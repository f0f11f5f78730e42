/**
 * `solar-node/light`: the light node as a library, for browsers, phones and gateways. It runs on what browsers have.
 *
 * @example
 * const store = await openLightStore('my-ledger')
 * const { client } = await joinChain({
 *   store, clock: hostClock, randomBytes: hostRandomBytes, logger: silentLogger,
 *   createNetwork: (chainId) => createBrowserNetwork({ chainId, privateKey, peers, clock: hostClock, logger: silentLogger }),
 *   pin: '<chain_id>', key: null, signal: new AbortController().signal,
 *   windowSize: 5, staleAfterMs: 900_000, pollMs: 15_000, onEvent: console.log,
 * })
 * await client.ready()
 * await client.prove({ tx_id: '2016-08-08T12:00:00.0' })
 */
import type { Clock, RandomBytes } from './ports/clock.ts'

export { joinChain, type Joined, type JoinableNetwork, type JoinParts } from './engine/join-chain.ts'
export {
  createLightClient,
  type CheckedProof,
  type LightClient,
  type LightClientParts,
  type LightEvent,
  type LightStatus,
} from './engine/light-client.ts'
export type { Identity } from './engine/own-trades.ts'
export { createBrowserNetwork } from './network/browser-network.ts'
export type { PeerNetwork } from './network/peer-network.ts'
export { silentLogger, type Logger } from './ports/logger.ts'
export type { CheckedTrade, LightStore, LightWindow } from './ports/light-store.ts'
export type { Clock, RandomBytes } from './ports/clock.ts'
export * from './protocol/index.ts'
export { openLightStore } from './storage/level/light-store.ts'

/** The host's clock. */
export const hostClock: Clock = {
  now: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}

/** The host's random source. */
export const hostRandomBytes: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length))
