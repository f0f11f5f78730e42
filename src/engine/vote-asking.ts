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

/**
 * While the tip is not final, asks one peer every 20 s for the votes on the newest blocks, and if that has more final for all that proves it: a vote that was
 * lost on its way, or could not be stored, is not sent again by who is still connected. Returns how to end it.
 */
export function keepAskingForVotes({ requests, chain, finalizer, votes, clock, logger }: VoteAskerParts): () => void {
  let turn = 0
  let stopped = false
  let cancel = (): void => undefined

  async function ask(peer: string): Promise<void> {
    const from = Math.max(finalizer.finalHeight + 1, chain.size - NEWEST)
    for (const { hash } of await chain.headers(from, NEWEST)) await votes.takeOn(peer, hash)
    const status = statusAnswer(await requests.request(peer, 'status', {}), 'status')
    if ((status.final_height ?? -1) > finalizer.finalHeight) await votes.take(peer, status)
  }

  const wait = (): void => {
    cancel = clock.after(ASK_EVERY_MS, () => {
      const peers = requests.peers()
      const peer = peers[turn++ % peers.length]
      if (peer !== undefined && finalizer.finalHeight < chain.size - 1) {
        ask(peer).catch((error: unknown) => {
          if (!stopped) logger.debug({ error, peer }, `the votes that ${peer} has are not known`)
        })
      }
      wait()
    })
  }
  wait()
  return () => {
    stopped = true
    cancel()
  }
}
