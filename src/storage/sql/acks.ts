import { sql } from 'kysely'
import type { MarketStore } from '../../ports/market-store.ts'
import { decodeVote, toSafeInteger } from './rows.ts'
import type { Database, VotesTable } from './schema.ts'

/**
 * Acks of our own blocks, by voter. Both questions take one step in the index of acks from each voter to the next and one
 * to the ack that is asked for: their time grows with the voters, not with the years of votes.
 */
export function acksTable(db: Database): Pick<MarketStore, 'ackAt' | 'acksOf' | 'ackHeights' | 'acksFrom'> {
  return {
    async ackAt(voterId, height) {
      const row = await db
        .selectFrom('votes')
        .selectAll()
        .where(sql<boolean>`decision = 'ack'`)
        .where('voter_id', '=', voterId)
        .where('height', '=', BigInt(height))
        .executeTakeFirst()
      return row && decodeVote(row)
    },

    async acksOf(voterId, fromHeight, limit) {
      const rows = await db
        .selectFrom('votes')
        .selectAll()
        .where(sql<boolean>`decision = 'ack'`)
        .where('voter_id', '=', voterId)
        .where('height', '>=', BigInt(fromHeight))
        .orderBy('height')
        .limit(limit)
        .execute()
      return rows.map(decodeVote)
    },

    async ackHeights() {
      const { rows } = await ACK_HEIGHTS.execute(db)
      return new Map(
        rows.flatMap(({ voter_id, height }) =>
          height === null ? [] : [[voter_id, toSafeInteger(height, `votes ${voter_id} height`)]],
        ),
      )
    },

    async acksFrom(height) {
      const { rows } = await acksFrom(height).execute(db)
      return rows.map(decodeVote)
    },
  }
}

/** Every voter with an ack. `decision` is compared with a literal: SQLite takes the partial index for nothing else. */
const VOTERS = sql`
  with recursive voters (voter_id) as (
    select min(voter_id) from votes where decision = 'ack'
    union all
    select (select min(votes.voter_id) from votes where votes.decision = 'ack' and votes.voter_id > voters.voter_id)
    from voters where voters.voter_id is not null
  )`

/** Acks of the voter at hand that name a block row. */
const ACKS_OF_BLOCKS = sql`
  from votes as acks join blocks on blocks.block_hash = acks.header_hash
  where acks.decision = 'ack' and acks.voter_id = voters.voter_id`

const ACK_HEIGHTS = sql<{ readonly voter_id: string; readonly height: bigint | null }>`
  ${VOTERS}
  select voters.voter_id, (select acks.height ${ACKS_OF_BLOCKS} order by acks.height desc limit 1) as height
  from voters where voters.voter_id is not null`

const acksFrom = (height: number) => sql<VotesTable>`
  ${VOTERS}
  select votes.* from voters cross join votes
  where votes.decision = 'ack' and votes.voter_id = voters.voter_id and votes.height = (
    select acks.height ${ACKS_OF_BLOCKS} and acks.height >= ${BigInt(height)} order by acks.height limit 1
  )
  order by votes.voter_id`
