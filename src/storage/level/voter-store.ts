import { OWN_VOTES_KEPT, type VoterStore } from '../../ports/voter-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { sealedHeaderShape } from '../../protocol/header.ts'
import { array } from '../../protocol/shape.ts'
import { voteShape } from '../../protocol/vote.ts'
import { decodeText } from '../decode.ts'
import { heightKey, keyOf, sortable } from './keyspaces.ts'
import { DURABLE, guardLevel, readText, readValue, type TextLevel } from './level.ts'

const rejectedShape = array(sealedHeaderShape, OWN_VOTES_KEPT)

/** What the voter of this node must not forget. Each put is one synced batch. */
export function voterStore(db: TextLevel): VoterStore {
  return {
    lastVote: guardLevel('lastVote', () => readValue(db, 'vote', '', voteShape)),
    ownVoteAt: guardLevel('ownVoteAt', (height) => readValue(db, 'ownVote', sortable(height), voteShape)),
    putVote: guardLevel('putVote', async (vote) => {
      const text = canonicalText(vote)
      const batch = db.batch().put(keyOf('vote'), text).put(heightKey('ownVote', vote.height), text)
      for (const key of await keysTooOld(db, vote.height)) batch.del(key)
      await batch.write(DURABLE)
    }),
    ownVotesFrom: guardLevel('ownVotesFrom', async (fromHeight) => {
      const range = { gte: heightKey('ownVote', fromHeight), lte: keyOf('ownVote', '~') }
      const entries = await db.iterator(range).all()
      return entries.map(([key, text]) => decodeText(`level ${key}`, text, voteShape))
    }),
    putForgotten: guardLevel('putForgotten', async (votes) => {
      const stored = await readValue(db, 'vote', '', voteShape)
      const last = [...(stored === undefined ? [] : [stored]), ...votes].reduce((a, b) => (b.height > a.height ? b : a))
      const batch = db.batch().put(keyOf('vote'), canonicalText(last)).put(keyOf('forgotten'), '')
      for (const vote of votes) {
        const key = heightKey('ownVote', vote.height)
        const isKept = vote.height > last.height - OWN_VOTES_KEPT
        if (isKept && (await readText(db, key)) === undefined) batch.put(key, canonicalText(vote))
      }
      for (const key of await keysTooOld(db, last.height)) batch.del(key)
      await batch.write(DURABLE)
    }),
    hasForgotten: guardLevel('hasForgotten', async () => (await readText(db, keyOf('forgotten'))) !== undefined),
    putRemembered: guardLevel('putRemembered', () => db.batch().del(keyOf('forgotten')).write(DURABLE)),
    rejected: guardLevel('rejected', async () => (await readValue(db, 'rejected', '', rejectedShape)) ?? []),
    putRejected: guardLevel('putRejected', async (headers) => {
      const sealed = headers.slice(-OWN_VOTES_KEPT).map(({ header, signature }) => ({ header, signature }))
      await db.put(keyOf('rejected'), canonicalText(sealed), DURABLE)
    }),
  }
}

/** Of acks that are too far below the last one to be asked for again. */
async function keysTooOld(db: TextLevel, lastHeight: number): Promise<readonly string[]> {
  const oldest = lastHeight - OWN_VOTES_KEPT
  return oldest < 0 ? [] : await db.keys({ gte: keyOf('ownVote'), lte: heightKey('ownVote', oldest) }).all()
}
