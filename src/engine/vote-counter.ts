import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { FinalityStore, VoteCount, VoteOutcome } from '../ports/finality-store.ts'
import type { VoteAnswer } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import { CHECKED_IN_PLACE, type SignatureChecks } from '../ports/signature-checks.ts'
import type { Hash } from '../protocol/bytes.ts'
import { requiredVotes } from '../protocol/finality.ts'
import type { Registry } from '../protocol/registry.ts'
import { verifyVote, type Vote } from '../protocol/vote.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'
import type { EvidenceOutcome, EvidencePool } from './evidence-pool.ts'
import type { Finalizer } from './finalizer.ts'

/** A header that is known here, with the registry that decides who votes on it. */
export interface VoteTarget {
  readonly height: number
  readonly registryBefore: Registry
  readonly isOnChain: boolean
}

export interface VoteCounterParts {
  readonly chainId: Hash
  /** The header that a vote names, if it is known here. */
  readonly find: (headerHash: Hash) => Promise<VoteTarget | undefined>
  readonly store: FinalityStore
  readonly evidence: Pick<EvidencePool, 'foundVotes'>
  readonly events: EventHub
  readonly finalizer: Finalizer
  /** Where signatures are checked; in place if absent. */
  readonly signatures?: SignatureChecks | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** A vote that is stored, and what its sender hears: the counts include it. */
export interface CountedVote {
  readonly outcome: 'stored' | 'same'
  readonly answer: VoteAnswer
}

/**
 * Checks, stores and counts votes. Votes that arrive together are one SQL transaction, one count of their headers and
 * one look at what is final now.
 */
export interface VoteCounter {
  /**
   * Durable once it returns. Throws `wrong_chain`, `unknown_block`, `wrong_header`, `unknown_voter`, `bad_signature`,
   * `vote_conflict`; nothing is stored then, but a second ack of a height where branches are kept. The same vote again is `same`.
   */
  cast(vote: Vote): Promise<CountedVote>
}

/** How long a vote waits for others, at least: those of one packet are checked before a timer has its turn. */
const GATHER_MS = 2
/** How often it waits once more for those that came before it and are being checked, at most. */
const MAX_GATHERINGS = 100
/** Votes of one transaction: some 10 ms, so that ticks and reads need not wait long for their turn. */
const MAX_BATCH = 1_000

interface Waiting {
  /** Which vote it is of those that came. */
  readonly order: number
  readonly vote: Vote
  /** The header that it is on. */
  readonly target: VoteTarget
  readonly resolve: (counted: CountedVote) => void
  readonly reject: (error: unknown) => void
}

export function createVoteCounter(parts: VoteCounterParts): VoteCounter {
  const { clock } = parts
  const check = createCheck(parts)
  let waiting: Waiting[] = []
  let gathering = false
  let came = 0
  let checking = 0

  /** Signatures are checked side by side: votes that came together are counted together, in the order in which they came. */
  function gather(times: number): void {
    clock.after(GATHER_MS, () => {
      if (checking > 0 && times < MAX_GATHERINGS) {
        gather(times + 1)
        return
      }
      waiting.sort((a, b) => a.order - b.order)
      void drain()
    })
  }

  async function checked(vote: Vote): Promise<VoteTarget> {
    checking += 1
    try {
      return await check(vote)
    } finally {
      checking -= 1
    }
  }

  /** One batch at a time; what arrives meanwhile goes into the next. */
  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH)
      waiting = waiting.slice(MAX_BATCH)
      try {
        await count(batch, parts)
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    gathering = false
  }

  return {
    async cast(vote) {
      const order = came++
      const target = await checked(vote)
      return await new Promise((resolve, reject) => {
        waiting.push({ order, vote, target, resolve, reject })
        if (gathering) return
        gathering = true
        gather(1)
      })
    },
  }
}

/** Stores and counts a batch, then answers each of it. What it throws comes before the first answer. */
async function count(batch: readonly Waiting[], parts: VoteCounterParts): Promise<void> {
  const { store, finalizer } = parts
  const outcomes = await store.putVotes(batch.map(({ vote }) => vote))
  const stored = batch.flatMap(({ vote }, index) => (isStored(outcomes[index]) ? [vote] : []))
  // First: what is stored counts, even if the questions after it fail.
  await finalizer.count(stored)
  const counts = await store.voteCounts([...new Set(stored.map(({ header_hash }) => header_hash))])
  batch.forEach(({ vote, target, resolve, reject }, index) => {
    const result = outcomes[index]
    if (result === undefined) {
      reject(new Error(`the store has ${outcomes.length} outcomes for ${batch.length} votes`))
    } else if (result.outcome === 'conflict') {
      const { voter_id, height } = vote
      if (result.kept) announce(vote, answerOf(vote, target, counts, finalizer), parts)
      reject(ledgerError('vote_conflict', { voter_id, height, header_hash: result.stored.header_hash }))
      void reportDoubleVote(result.stored, vote, parts)
    } else {
      const answer = answerOf(vote, target, counts, finalizer)
      if (result.outcome === 'stored') announce(vote, answer, parts)
      resolve({ outcome: result.outcome, answer })
    }
  })
}

const isStored = (result: VoteOutcome | undefined): boolean => result?.outcome !== 'conflict' || result.kept

function answerOf(
  { header_hash, height }: Vote,
  { isOnChain, registryBefore }: VoteTarget,
  counts: ReadonlyMap<Hash, VoteCount>,
  finalizer: Finalizer,
): VoteAnswer {
  const status = !isOnChain ? 'orphaned' : height <= finalizer.finalHeight ? 'final' : 'proposed'
  const { ack, reject } = counts.get(header_hash) ?? { ack: 0, reject: 0 }
  return { header_hash, status, votes: { ack, reject, required: requiredVotes(registryBefore.finality) } }
}

function announce(vote: Vote, { votes }: VoteAnswer, { events, logger }: VoteCounterParts): void {
  const { voter_id, height, header_hash, decision } = vote
  if (decision === 'reject') logger.warn({ voter_id, height, header_hash }, `${voter_id} rejects block ${height}`)
  events.emit({ type: 'vote', vote, votes })
}

/** Two acks of one height are evidence. It is kept and told in the background: who voted has its answer. */
async function reportDoubleVote(
  stored: Vote,
  vote: Vote,
  { evidence, logger }: VoteCounterParts,
): Promise<EvidenceOutcome | undefined> {
  try {
    return await evidence.foundVotes(stored, vote)
  } catch (error) {
    const { voter_id, height } = vote
    logger.error({ error, voter_id, height }, `the evidence of two acks by ${voter_id} at height ${height} is not kept`)
    return undefined
  }
}

/** The check of one vote; it throws what `cast` throws, and gives the header voted on. Cheap questions first, the signature last. */
function createCheck(parts: VoteCounterParts): (vote: Vote) => Promise<VoteTarget> {
  const { chainId, find, store, signatures = CHECKED_IN_PLACE } = parts
  return async (vote) => {
    const { chain_id, header_hash, voter_id } = vote
    if (chain_id !== chainId) throw ledgerError('wrong_chain', { chain_id, expected: chainId })
    const target = await find(header_hash)
    if (target === undefined) {
      // A header that is not known here, and yet a second ack of its height.
      const stored = vote.decision === 'ack' ? await store.ackAt(voter_id, vote.height) : undefined
      const told = stored && (await reportDoubleVote(stored, vote, parts))
      if (typeof told === 'object' && told.refused === 'bad_signature') {
        throw ledgerError('bad_signature', { signer: voter_id })
      }
      throw ledgerError('unknown_block', { block_hash: header_hash })
    }
    const { height, registryBefore } = target
    const entry = registryBefore.active(voter_id)
    const { signature, ...body } = vote
    if (entry !== undefined) {
      await signatures.settle({ type: 'vote', chainId, body, signature, publicKey: entry.public_key })
    }
    const verdict = verifyVote(vote, chainId, { hash: header_hash, height }, entry)
    if (verdict.ok) return target
    const { code, reason } = verdict
    switch (code) {
      case 'wrong_chain':
      case 'wrong_header':
        throw ledgerError('wrong_header', { header_hash, reason })
      case 'unknown_voter':
        throw ledgerError('unknown_voter', { voter_id, reason })
      case 'bad_signature':
        throw ledgerError('bad_signature', { signer: voter_id })
    }
  }
}

/** Headers of which the height is remembered: votes are on few headers, and the chain of an authority only grows. */
const MAX_HEIGHTS = 100

/** Finds headers on a chain of which no block is ever given up. */
export function findOnChain(chain: Chain): VoteCounterParts['find'] {
  const heights = new Map<Hash, Promise<number | undefined>>()

  function heightOf(headerHash: Hash): Promise<number | undefined> {
    const asked = heights.get(headerHash)
    if (asked !== undefined) return asked
    const height = chain.heightOf(headerHash)
    if (heights.size >= MAX_HEIGHTS) heights.clear()
    heights.set(headerHash, height)
    // What is not there now may come.
    const forget = (found?: number): void => {
      if (found === undefined) heights.delete(headerHash)
    }
    height.then(forget, () => forget())
    return height
  }

  return async (headerHash) => {
    const height = await heightOf(headerHash)
    if (height === undefined) return undefined
    return { height, registryBefore: await chain.registryBefore(height), isOnChain: true }
  }
}
