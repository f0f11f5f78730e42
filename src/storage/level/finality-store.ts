import type { FinalityStore, VoteCount, VoteOutcome } from '../../ports/finality-store.ts'
import type { Hash } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { voteShape, type Vote } from '../../protocol/vote.ts'
import { decodeText } from '../decode.ts'
import { serialTasks } from '../serial.ts'
import { heightKey, keyOf, sortable } from './keyspaces.ts'
import { DURABLE, guardLevel, readText, readValue, type TextLevel } from './level.ts'

/** Votes of everybody and what they made final, beside the chain whose blocks `isOnChain` knows. */
export function finalityStore(db: TextLevel, isOnChain: (hash: Hash) => Promise<boolean>): FinalityStore {
  const inTurn = serialTasks()
  return {
    putVotes: guardLevel('putVotes', (votes) => inTurn(() => putVotes(db, votes))),
    votesOf: guardLevel('votesOf', (hash) => votesOf(db, hash)),
    voteCounts: guardLevel('voteCounts', async (hashes) => {
      const counts = new Map<Hash, VoteCount>()
      for (const hash of hashes) {
        const decisions = (await db.keys(underPrefix(keyOf('anyVote', `${hash}/`))).all()).map((key) => key.at(-1))
        const ack = decisions.filter((decision) => decision === ACK).length
        counts.set(hash, { ack, reject: decisions.length - ack })
      }
      return counts
    }),
    ackAt: guardLevel('ackAt', (voterId, height) => ackAt(db, voterId, height)),

    ackHeights: guardLevel('ackHeights', async () => {
      const heights = new Map<string, number>()
      for await (const voterId of voters(db)) {
        const ack = await firstOnChain(db, isOnChain, { ...underPrefix(acksOf(voterId)), reverse: true })
        if (ack !== undefined) heights.set(voterId, ack.height)
      }
      return heights
    }),
    acksFrom: guardLevel('acksFrom', async (height) => {
      const acks: Vote[] = []
      for await (const voterId of voters(db)) {
        const from = { ...underPrefix(acksOf(voterId)), gte: ackKey(voterId, height) }
        const ack = await firstOnChain(db, isOnChain, from)
        const vote = ack && (await readVote(db, voteId(ack.hash, voterId, ACK)))
        if (vote !== undefined) acks.push(vote)
      }
      return acks
    }),

    // Synced, and with it every block and vote that was written before: LevelDB has one log.
    finalizeUpTo: guardLevel('finalizeUpTo', (height, at) =>
      inTurn(async () => {
        if (height > (await finalHeight(db))) await db.put(heightKey('final', height), String(at), DURABLE)
      }),
    ),
    finalHeight: guardLevel('finalHeight', () => finalHeight(db)),
  }
}

/** When the block of this height became final; null while it is not. */
export async function finalizedAt(db: TextLevel, height: number): Promise<number | null> {
  const [at] = await db.values({ gte: heightKey('final', height), lte: keyOf('final', '~'), limit: 1 }).all()
  return at === undefined ? null : Number(at)
}

const ACK = 'a'
const REJECT = 'r'
/** Identifiers have no slash, so a key says where its parts end. */
const voteId = (hash: Hash, voterId: string, decision: string): string => `${hash}/${voterId}/${decision}`
const acksOf = (voterId: string): string => keyOf('ack', `${voterId}/`)
const ackKey = (voterId: string, height: number): string => `${acksOf(voterId)}${sortable(height)}`
const underPrefix = (prefix: string) => ({ gte: prefix, lt: `${prefix}~` })

async function putVotes(db: TextLevel, votes: readonly Vote[]): Promise<VoteOutcome[]> {
  const batch = db.batch()
  const fresh = new Map<string, Vote>()
  const outcomes: VoteOutcome[] = []
  for (const vote of votes) {
    const { header_hash, voter_id, height, decision } = vote
    const id = voteId(header_hash, voter_id, decision === 'ack' ? ACK : REJECT)
    const key = decision === 'ack' ? ackKey(voter_id, height) : id
    const stored = fresh.get(key) ?? (decision === 'ack' ? await ackAt(db, voter_id, height) : await readVote(db, id))
    if (stored !== undefined) {
      outcomes.push(stored.header_hash === header_hash ? { outcome: 'same' } : { outcome: 'conflict', stored })
      continue
    }
    fresh.set(key, vote)
    batch.put(keyOf('anyVote', id), canonicalText(vote))
    if (decision === 'ack') batch.put(key, header_hash)
    outcomes.push({ outcome: 'stored' })
  }
  await batch.write(DURABLE)
  return outcomes
}

const readVote = (db: TextLevel, id: string): Promise<Vote | undefined> => readValue(db, 'anyVote', id, voteShape)

async function ackAt(db: TextLevel, voterId: string, height: number): Promise<Vote | undefined> {
  const hash = await readText(db, ackKey(voterId, height))
  return hash === undefined ? undefined : await readVote(db, voteId(hash, voterId, ACK))
}

async function votesOf(db: TextLevel, hash: Hash): Promise<Vote[]> {
  const entries = await db.iterator(underPrefix(keyOf('anyVote', `${hash}/`))).all()
  return entries.map(([key, text]) => decodeText(`level ${key}`, text, voteShape))
}

/** Every voter with an ack: one step in the index from each to the next, however many acks there are. */
async function* voters(db: TextLevel): AsyncGenerator<string> {
  let after = keyOf('ack')
  for (;;) {
    const [key] = await db.keys({ gte: after, lt: keyOf('ack', '~'), limit: 1 }).all()
    if (key === undefined) return
    const voterId = key.slice(1, key.lastIndexOf('/'))
    yield voterId
    after = `${acksOf(voterId)}~`
  }
}

async function firstOnChain(
  db: TextLevel,
  isOnChain: (hash: Hash) => Promise<boolean>,
  range: { readonly gte: string; readonly lt: string; readonly reverse?: boolean },
): Promise<{ readonly hash: Hash; readonly height: number } | undefined> {
  for await (const [key, hash] of db.iterator(range)) {
    if (await isOnChain(hash)) return { hash, height: Number.parseInt(key.slice(key.lastIndexOf('/') + 1), 16) }
  }
  return undefined
}

async function finalHeight(db: TextLevel): Promise<number> {
  const [key] = await db.keys({ gte: keyOf('final'), lte: keyOf('final', '~'), reverse: true, limit: 1 }).all()
  return key === undefined ? -1 : Number.parseInt(key.slice(1), 16)
}
