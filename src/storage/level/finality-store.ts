import type { BranchVotes, VoteCount, VoteOutcome } from '../../ports/finality-store.ts'
import type { Hash } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import type { BlockPoint } from '../../protocol/finality.ts'
import { voteShape, type Vote } from '../../protocol/vote.ts'
import { decodeText } from '../decode.ts'
import { serialTasks } from '../serial.ts'
import { heightKey, keyOf, sortable } from './keyspaces.ts'
import { DURABLE, guardLevel, readValue, type TextLevel } from './level.ts'

/** Votes of everybody and what they made final, beside the chain whose blocks `isOnChain` knows. */
export function finalityStore(db: TextLevel, isOnChain: (hash: Hash) => Promise<boolean>): BranchVotes {
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

    acksOf: guardLevel('acksOf', async (voterId, fromHeight, limit) => {
      const keys = await db.keys({ ...underPrefix(acksOf(voterId)), gte: acksAt(voterId, fromHeight), limit }).all()
      const acks = await Promise.all(keys.map((key) => readVote(db, voteId(placeOfAck(key).hash, voterId, ACK))))
      return acks.filter((vote) => vote !== undefined)
    }),

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
        const from = { ...underPrefix(acksOf(voterId)), gte: acksAt(voterId, height) }
        const ack = await firstOnChain(db, isOnChain, from)
        const vote = ack && (await readVote(db, voteId(ack.hash, voterId, ACK)))
        if (vote !== undefined) acks.push(vote)
      }
      return acks
    }),
    acksBesideFrom: guardLevel('acksBesideFrom', async (height) => {
      const acks: Vote[] = []
      for await (const voterId of voters(db)) {
        const from = { ...underPrefix(acksOf(voterId)), gte: acksAt(voterId, height) }
        for (const hash of await hashesBeside(db, isOnChain, from)) {
          const vote = await readVote(db, voteId(hash, voterId, ACK))
          if (vote !== undefined) acks.push(vote)
        }
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
const acksAt = (voterId: string, height: number): string => `${acksOf(voterId)}${sortable(height)}/`
const underPrefix = (prefix: string) => ({ gte: prefix, lt: `${prefix}~` })

async function putVotes(db: TextLevel, votes: readonly Vote[]): Promise<VoteOutcome[]> {
  const batch = db.batch()
  const fresh = new Set<string>()
  const freshAcks = new Map<string, Vote>()
  const outcomes: VoteOutcome[] = []
  for (const vote of votes) {
    const { header_hash, voter_id, height, decision } = vote
    const id = voteId(header_hash, voter_id, decision === 'ack' ? ACK : REJECT)
    if (fresh.has(id) || (await readVote(db, id)) !== undefined) {
      outcomes.push({ outcome: 'same' })
      continue
    }
    fresh.add(id)
    batch.put(keyOf('anyVote', id), canonicalText(vote))
    const place = acksAt(voter_id, height)
    const other = decision === 'ack' ? (freshAcks.get(place) ?? (await ackAt(db, voter_id, height))) : undefined
    if (decision === 'ack') {
      batch.put(place + header_hash, '')
      freshAcks.set(place, vote)
    }
    outcomes.push(other === undefined ? { outcome: 'stored' } : { outcome: 'conflict', stored: other, kept: true })
  }
  await batch.write(DURABLE)
  return outcomes
}

const readVote = (db: TextLevel, id: string): Promise<Vote | undefined> => readValue(db, 'anyVote', id, voteShape)

async function ackAt(db: TextLevel, voterId: string, height: number): Promise<Vote | undefined> {
  const [key] = await db.keys({ ...underPrefix(acksAt(voterId, height)), limit: 1 }).all()
  return key === undefined ? undefined : await readVote(db, voteId(placeOfAck(key).hash, voterId, ACK))
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
    const voterId = key.slice(1, key.indexOf('/'))
    yield voterId
    after = `${acksOf(voterId)}~`
  }
}

async function firstOnChain(
  db: TextLevel,
  isOnChain: (hash: Hash) => Promise<boolean>,
  range: { readonly gte: string; readonly lt: string; readonly reverse?: boolean },
): Promise<BlockPoint | undefined> {
  for await (const key of db.keys(range)) {
    const place = placeOfAck(key)
    if (await isOnChain(place.hash)) return place
  }
  return undefined
}

/** The headers of a voter's acks in this range, up to its first on the chain, which ends the search. */
async function hashesBeside(
  db: TextLevel,
  isOnChain: (hash: Hash) => Promise<boolean>,
  range: { readonly gte: string; readonly lt: string },
): Promise<readonly Hash[]> {
  const hashes: Hash[] = []
  for await (const key of db.keys(range)) {
    const { hash } = placeOfAck(key)
    if (await isOnChain(hash)) break
    hashes.push(hash)
  }
  return hashes
}

/** The header that the ack of this key is on. */
function placeOfAck(key: string): BlockPoint {
  const [, height = '', hash = ''] = key.split('/')
  return { hash, height: Number.parseInt(height, 16) }
}

async function finalHeight(db: TextLevel): Promise<number> {
  const [key] = await db.keys({ gte: keyOf('final'), lte: keyOf('final', '~'), reverse: true, limit: 1 }).all()
  return key === undefined ? -1 : Number.parseInt(key.slice(1), 16)
}
