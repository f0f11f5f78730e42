import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { statusAnswer } from '../protocol/messages.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import type { VoteSync } from './vote-sync.ts'

export interface VoteAskerParts {
  readonly requests: PeerRequests
  readonly chain: Chain
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly votes: Pick<VoteSync, 'take' | 'takeOn'>
  readonly clock: Clock
  readonly logger: Logger
}

const ASK_EVERY_MS = 20_000
/** An ack counts for all blocks below: the newest tell nearly all, but not what a key has acked that was changed since. */
const NEWEST = 3
/** So many light nodes are passed over in one turn. */
const MAX_LIGHT = 100

/**
 * While the tip is not final, asks one full node every 20 s for the votes on the newest blocks, or for all that proves what it has
 * final and this node has not: a vote that was lost on its way, or could not be stored, is not sent again by who is still
 * connected. Returns how to end it.
 */
export function keepAskingForVotes({ requests, chain, finalizer, votes, clock, logger }: VoteAskerParts): () => void {
  let turn = 0
  let stopped = false
  let cancel = (): void => undefined

  async function ask(peer: string): Promise<'asked' | 'light'> {
    const status = statusAnswer(await requests.request(peer, 'status', {}), 'status')
    if (status.mode === 'light') return 'light'
    if ((status.final_height ?? -1) > finalizer.finalHeight) {
      await votes.take(peer, status)
      return 'asked'
    }
    const from = Math.max(finalizer.finalHeight + 1, chain.size - NEWEST)
    for (const { hash } of await chain.headers(from, NEWEST)) await votes.takeOn(peer, hash)
    return 'asked'
  }

  /** Whoever fails has had its turn. Light nodes have no votes to tell, and may be many more than the others. */
  async function askNext(): Promise<void> {
    const peers = requests.peers()
    for (let passed = 0; passed < Math.min(peers.length, MAX_LIGHT + 1); passed++) {
      const peer = peers[turn++ % peers.length]
      if (peer === undefined || (await askSafely(peer)) === 'asked') return
    }
  }

  async function askSafely(peer: string): Promise<'asked' | 'light'> {
    try {
      return await ask(peer)
    } catch (error) {
      if (!stopped) logger.debug({ error, peer }, `the votes that ${peer} has are not known`)
      return 'asked'
    }
  }

  const wait = (): void => {
    cancel = clock.after(ASK_EVERY_MS, () => {
      if (finalizer.finalHeight < chain.size - 1) void askNext()
      wait()
    })
  }
  wait()
  return () => {
    stopped = true
    cancel()
  }
}
