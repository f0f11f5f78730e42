import { ledgerError } from '../ports/errors.ts'
import type { VoteAnswer } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { VoteOutcome } from '../ports/finality-store.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { Vote } from '../protocol/vote.ts'
import { verifyVote } from '../protocol/vote.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'
import type { Finalizer } from './finalizer.ts'

export interface VoteCounterParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly events: EventHub
  readonly finalizer: Finalizer
  readonly logger: Logger
}

/** Checks, stores and counts votes. Votes that arrive together are stored in one transaction. */
export interface VoteCounter {
  /**
   * Durable once it returns. Throws `wrong_chain`, `unknown_block`, `wrong_header`, `unknown_voter`, `bad_signature`,
   * `vote_conflict`; nothing is stored then. The same vote again is `same`.
   */
  cast(vote: Vote): Promise<{ readonly outcome: 'stored' | 'same'; readonly answer: VoteAnswer }>
}

interface Waiting {
  readonly vote: Vote
  readonly resolve: (outcome: VoteOutcome) => void
  readonly reject: (error: unknown) => void
}

export function createVoteCounter(parts: VoteCounterParts): VoteCounter {
  const { chain, store, events, finalizer, logger } = parts
  let waiting: Waiting[] = []
  let storing = false

  /** One transaction at a time; what arrives meanwhile goes into the next. */
  async function drain(): Promise<void> {
    if (storing) return
    storing = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const outcomes = await store.putVotes(batch.map(({ vote }) => vote))
        outcomes.forEach((outcome, index) => batch[index]?.resolve(outcome))
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    storing = false
  }

  function put(vote: Vote): Promise<VoteOutcome> {
    return new Promise((resolve, reject) => {
      waiting.push({ vote, resolve, reject })
      void drain()
    })
  }

  async function check(vote: Vote): Promise<void> {
    if (vote.chain_id !== chain.chainId) {
      throw ledgerError('wrong_chain', { chain_id: vote.chain_id, expected: chain.chainId })
    }
    const { header } = await chain.headerOf(vote.header_hash)
    const target = { hash: vote.header_hash, height: header.height }
    const verdict = verifyVote(vote, chain.chainId, target, chain.registryBefore(header.height).active(vote.voter_id))
    if (verdict.ok) return
    const { code, reason } = verdict
    switch (code) {
      case 'wrong_chain':
      case 'wrong_header':
        throw ledgerError('wrong_header', { header_hash: vote.header_hash, reason })
      case 'unknown_voter':
        throw ledgerError('unknown_voter', { voter_id: vote.voter_id, reason })
      case 'bad_signature':
        throw ledgerError('bad_signature', { signer: vote.voter_id })
    }
  }

  return {
    async cast(vote) {
      await check(vote)
      const result = await put(vote)
      const { voter_id, height, header_hash } = vote
      if (result.outcome === 'conflict') {
        throw ledgerError('vote_conflict', { voter_id, height, header_hash: result.stored.header_hash })
      }
      const counts = (await store.voteCounts([header_hash])).get(header_hash) ?? { ack: 0, reject: 0 }
      await finalizer.count(vote)
      const status = height <= finalizer.finalHeight ? 'final' : 'proposed'
      const answer: VoteAnswer = { header_hash, status, votes: { ...counts, required: finalizer.required(height) } }
      if (result.outcome === 'stored') {
        if (vote.decision === 'reject') {
          logger.warn({ voter_id, height, header_hash }, `${voter_id} rejects block ${height}`)
        }
        events.emit({ type: 'vote', vote, votes: answer.votes })
      }
      return { outcome: result.outcome, answer }
    },
  }
}
