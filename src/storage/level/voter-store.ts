import { OWN_VOTES_KEPT, type VoterStore } from '../../ports/voter-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { sealedHeaderShape } from '../../protocol/header.ts'
import { array } from '../../protocol/shape.ts'
import { voteShape } from '../../protocol/vote.ts'
import { heightKey, keyOf, sortable } from './keyspaces.ts'
import { DURABLE, guardLevel, readValue, type TextLevel } from './level.ts'

const rejectedShape = array(sealedHeaderShape, OWN_VOTES_KEPT)

/** What the voter of this node must not forget. Each put is one synced batch. */
export function voterStore(db: TextLevel): VoterStore {
  return {
    lastVote: guardLevel('lastVote', () => readValue(db, 'vote', '', voteShape)),
    ownVoteAt: guardLevel('ownVoteAt', (height) => readValue(db, 'ownVote', sortable(height), voteShape)),
    putVote: guardLevel('putVote', async (vote) => {
      const text = canonicalText(vote)
      const batch = db.batch().put(keyOf('vote'), text).put(heightKey('ownVote', vote.height), text)
      const oldest = vote.height - OWN_VOTES_KEPT
      if (oldest >= 0) {
        const range = { gte: keyOf('ownVote'), lte: heightKey('ownVote', oldest) }
        for (const key of await db.keys(range).all()) batch.del(key)
      }
      await batch.write(DURABLE)
    }),
    rejected: guardLevel('rejected', async () => (await readValue(db, 'rejected', '', rejectedShape)) ?? []),
    putRejected: guardLevel('putRejected', async (headers) => {
      const sealed = headers.slice(-OWN_VOTES_KEPT).map(({ header, signature }) => ({ header, signature }))
      await db.put(keyOf('rejected'), canonicalText(sealed), DURABLE)
    }),
  }
}
