import { MAX_ACKS_OF_HEIGHT, OWN_VOTES_KEPT, type VoterStore } from '../../ports/voter-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { sealedHeaderShape } from '../../protocol/header.ts'
import { array } from '../../protocol/shape.ts'
import { voteShape, type Vote } from '../../protocol/vote.ts'
import { decodeText } from '../decode.ts'
import { heightKey, keyOf } from './keyspaces.ts'
import { DURABLE, guardLevel, readText, readValue, type TextLevel } from './level.ts'

const rejectedShape = array(sealedHeaderShape, OWN_VOTES_KEPT)

/** What the voter of this node must not forget. Each put is one synced batch. */
export function voterStore(db: TextLevel): VoterStore {
  return {
    lastVote: guardLevel('lastVote', () => readValue(db, 'vote', '', voteShape)),
    ownVotesAt: guardLevel('ownVotesAt', (height) => ownVotes(db, { ...ofHeight(height), limit: MAX_ACKS_OF_HEIGHT })),
    putVote: guardLevel('putVote', async (vote) => {
      const text = canonicalText(vote)
      const batch = db.batch().put(keyOf('vote'), text).put(heightKey('ownVote', vote.height), text)
      for (const key of await keysTooOld(db, vote.height)) batch.del(key)
      await batch.write(DURABLE)
    }),
    ownVotesFrom: guardLevel('ownVotesFrom', (fromHeight) =>
      ownVotes(db, { gte: heightKey('ownVote', fromHeight), lt: keyOf('ownVote', '~') }),
    ),
    putForgotten: guardLevel('putForgotten', async (votes) => {
      const stored = await readValue(db, 'vote', '', voteShape)
      const last = [...(stored === undefined ? [] : [stored]), ...votes].reduce((a, b) => (b.height > a.height ? b : a))
      const kept = votes.filter(({ height }) => height > last.height - OWN_VOTES_KEPT)
      const batch = db.batch().put(keyOf('vote'), canonicalText(last)).put(keyOf('forgotten'), '')
      for (const [height, ofOne] of groupByHeight(kept)) {
        for (const [key, vote] of await besideKnown(db, height, ofOne)) batch.put(key, canonicalText(vote))
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

/** The ack of a height that was put first has the height as its key, others follow with their hashes. */
const ofHeight = (height: number) => ({ gte: heightKey('ownVote', height), lt: heightKey('ownVote', height + 1) })

async function ownVotes(
  db: TextLevel,
  range: { readonly gte: string; readonly lt: string; readonly limit?: number },
): Promise<readonly Vote[]> {
  const entries = await db.iterator(range).all()
  return entries.map(([key, text]) => decodeText(`level ${key}`, text, voteShape))
}

function groupByHeight(votes: readonly Vote[]): ReadonlyMap<number, readonly Vote[]> {
  const groups = new Map<number, Vote[]>()
  for (const vote of votes) groups.set(vote.height, [...(groups.get(vote.height) ?? []), vote])
  return groups
}

/** Acks of one height that are not known, with their keys: as many as there is room for. */
async function besideKnown(db: TextLevel, height: number, votes: readonly Vote[]): Promise<ReadonlyMap<string, Vote>> {
  const known = await ownVotes(db, ofHeight(height))
  const hashes = new Set(known.map(({ header_hash }) => header_hash))
  const added = new Map<string, Vote>()
  for (const vote of votes) {
    if (hashes.has(vote.header_hash) || hashes.size >= MAX_ACKS_OF_HEIGHT) continue
    const first = heightKey('ownVote', height)
    added.set(hashes.size === 0 ? first : `${first}/${vote.header_hash}`, vote)
    hashes.add(vote.header_hash)
  }
  return added
}

/** Of acks that are too far below the last one to be asked for again. */
async function keysTooOld(db: TextLevel, lastHeight: number): Promise<readonly string[]> {
  const oldest = lastHeight - OWN_VOTES_KEPT
  return oldest < 0 ? [] : await db.keys({ gte: keyOf('ownVote'), lt: heightKey('ownVote', oldest + 1) }).all()
}
