import { sql } from 'kysely'
import type { VoteCount, VoteOutcome } from '../../ports/finality-store.ts'
import type { MarketStore } from '../../ports/market-store.ts'
import type { Hash } from '../../protocol/bytes.ts'
import type { Vote } from '../../protocol/vote.ts'
import { corrupt } from '../decode.ts'
import { chunks, IN_LIST } from './chunks.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'
import { decodeVote } from './rows.ts'
import type { Database } from './schema.ts'

/** Votes as they were signed. */
export function votesTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'putVotes' | 'votesOf' | 'voteCounts'> {
  return {
    putVotes: (votes) =>
      votes.length === 0 ? Promise.resolve([]) : dialect.write(db, (trx) => insert(trx, dialect, votes)),

    async votesOf(headerHash) {
      const rows = await db
        .selectFrom('votes')
        .selectAll()
        .where('header_hash', '=', headerHash)
        .orderBy('voter_id')
        .orderBy('decision')
        .execute()
      return rows.map(decodeVote)
    },

    async voteCounts(headerHashes) {
      const counts = new Map<Hash, VoteCount>(headerHashes.map((hash) => [hash, { ack: 0, reject: 0 }]))
      for (const hashes of chunks([...counts.keys()], IN_LIST)) {
        const rows = await db
          .selectFrom('votes')
          .select(['header_hash', 'decision'])
          .select(sql<bigint>`count(*)`.as('count'))
          .where('header_hash', 'in', hashes)
          .groupBy(['header_hash', 'decision'])
          .execute()
        for (const { header_hash, decision, count } of rows) {
          counts.set(header_hash, { ack: 0, reject: 0, ...counts.get(header_hash), [decision]: Number(count) })
        }
      }
      return counts
    },
  }
}

const COLUMNS = ['chain_id', 'header_hash', 'height', 'voter_id', 'decision', 'signature'] as const
const KEY = ['header_hash', 'voter_id', 'decision'] as const

const keyOf = ({ header_hash, voter_id, decision }: Pick<Vote, 'header_hash' | 'voter_id'> & { decision: string }) =>
  `${header_hash} ${decision} ${voter_id}`
const ackKey = ({ height, voter_id }: Pick<Vote, 'height' | 'voter_id'>) => `${height} ${voter_id}`

/** Inserts what no unique key refuses, then asks for the acks that stood in the way. */
async function insert(trx: WriteTransaction, dialect: SqlDialect, votes: readonly Vote[]): Promise<VoteOutcome[]> {
  const rows = votes.map((vote) => [
    vote.chain_id,
    vote.header_hash,
    BigInt(vote.height),
    vote.voter_id,
    vote.decision,
    vote.signature,
  ])
  const batch = { table: 'votes', shared: {}, columns: COLUMNS, rows } as const
  const fresh = new Set((await dialect.insertNew(trx, batch, KEY)).map(keyOf))
  const isFresh = votes.map((vote) => fresh.delete(keyOf(vote)))
  const acks = await storedAcks(
    trx,
    votes.filter((vote, index) => !isFresh[index] && vote.decision === 'ack'),
  )
  return votes.map((vote, index) => {
    if (isFresh[index]) return { outcome: 'stored' }
    if (vote.decision === 'reject') return { outcome: 'same' }
    const stored = acks.get(ackKey(vote))
    if (stored === undefined) throw corrupt(`votes ${vote.voter_id}`, `an ack of height ${vote.height}`, 'none')
    return stored.header_hash === vote.header_hash ? { outcome: 'same' } : { outcome: 'conflict', stored, kept: false }
  })
}

/** The stored acks of these voters at these heights. */
async function storedAcks(trx: WriteTransaction, votes: readonly Vote[]): Promise<Map<string, Vote>> {
  const acks = new Map<string, Vote>()
  for (const height of new Set(votes.map((vote) => vote.height))) {
    const voters = new Set(votes.filter((vote) => vote.height === height).map(({ voter_id }) => voter_id))
    for (const ids of chunks([...voters], IN_LIST)) {
      const rows = await trx
        .selectFrom('votes')
        .selectAll()
        .where(sql<boolean>`decision = 'ack'`)
        .where('height', '=', BigInt(height))
        .where('voter_id', 'in', ids)
        .execute()
      for (const row of rows) {
        const vote = decodeVote(row)
        acks.set(ackKey(vote), vote)
      }
    }
  }
  return acks
}
