import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { sha256 } from '../protocol/hash.ts'
import { steadyNow, type Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { DialEvent } from '../ports/dial.ts'
import { deadline, pause } from './deadline.ts'
import { dialReason } from './dial-reason.ts'
import { DIAL_LIMIT_MS, REDIAL_FIRST_MS, REDIAL_GROWTH, REDIAL_MAX_MS, STABLE_CONNECTION_MS } from './limits.ts'

export interface RedialOptions {
  readonly node: Libp2p
  readonly clock: Clock
  readonly logger: Logger
  /** How loudly it says that it is connected. */
  readonly connectedLevel: 'debug' | 'info'
  readonly stopping: AbortSignal
  /** Hears of each dial, and of each connection that is lost. */
  readonly onDial: (event: DialEvent) => void
}

/**
 * Keeps an address connected for as long as the node runs. libp2p's own reconnecting gives up for good after a few
 * failures. Resolves when the node stops; never rejects.
 */
export async function keepConnected(address: Multiaddr, options: RedialOptions): Promise<void> {
  const { node, clock, logger, connectedLevel, stopping, onDial } = options
  const target = address.toString()
  const giveUp = () => stopping.aborted
  let failures = 0
  let lastReason = ''
  while (!giveUp()) {
    const dialledAt = steadyNow(clock)
    try {
      const peer = await dial(address, options)
      const fields = { address: target, peer: peer.toString() }
      logger[connectedLevel](fields, `connected to ${target}`)
      onDial({ type: 'connected', ...fields })
      lastReason = ''
      await disconnected(node, peer, stopping)
      if (giveUp()) return
      if (steadyNow(clock) - dialledAt >= STABLE_CONNECTION_MS) failures = 0
      logger.warn(fields, `connection to ${target} lost, dialling again`)
      onDial({ type: 'lost', ...fields })
    } catch (error) {
      if (giveUp()) return
      const fields = { address: target, reason: dialReason(target, error) }
      // One line for each reason: what stays the same is no news.
      const level = fields.reason === lastReason ? 'debug' : 'warn'
      logger[level](fields, `cannot connect to ${target}: ${fields.reason}; trying again`)
      lastReason = fields.reason
      onDial({ type: 'failed', ...fields })
    }
    const delay = redialDelay(failures, `${node.peerId.toString()} ${target}`)
    await pause(delay, clock, stopping).catch(() => undefined)
    failures++
  }
}

/**
 * Milliseconds before the next dial after `failures` in a row: half a second at first, five at most, spread by up to a
 * fifth either way. The spread comes from `seed`, so that the nodes of one authority do not come back in one wave.
 */
export function redialDelay(failures: number, seed: string): number {
  const delay = Math.min(REDIAL_FIRST_MS * REDIAL_GROWTH ** failures, REDIAL_MAX_MS)
  const chance = (sha256(`${seed} ${failures}`)[0] ?? 0) / 255
  return Math.min(Math.round(delay * (0.8 + 0.4 * chance)), REDIAL_MAX_MS)
}

async function dial(address: Multiaddr, { node, clock, stopping }: RedialOptions): Promise<PeerId> {
  const limit = deadline(clock, DIAL_LIMIT_MS, 'dialling', stopping)
  try {
    return (await node.dial(address, { signal: limit.signal })).remotePeer
  } finally {
    limit.clear()
  }
}

/** Resolves when the peer's last connection is closed, or when the node stops. */
function disconnected(node: Libp2p, peer: PeerId, stopping: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!stopping.aborted && node.getConnections(peer).length > 0) return
      node.removeEventListener('peer:disconnect', check)
      stopping.removeEventListener('abort', check)
      resolve()
    }
    node.addEventListener('peer:disconnect', check)
    stopping.addEventListener('abort', check)
    check()
  })
}
