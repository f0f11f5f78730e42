import assert from 'node:assert/strict'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createAuthority } from '../../../src/node/authority.ts'
import type { LedgerEvent } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import type { Hash } from '../../../src/protocol/bytes.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { sha256, sha256Hex } from '../../../src/protocol/hash.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import { signingKeyFromSecret, signVote } from '../../helpers/sign-now.ts'
import { tempDir } from '../../helpers/temp.ts'

const VOTERS = ['ann', 'bob', 'cem', 'dee', 'eva', 'fay']
/** Acks that make a block final. */
const THRESHOLD = 4
const keyOf = (id: string) => signingKeyFromSecret(sha256(`voter ${id}`))

interface Block {
  readonly hash: Hash
  readonly height: number
}

/** A real authority with two blocks. `faults` are called before the store's own methods, whose calls are counted. */
async function startAuthority(faults: Partial<Record<keyof MarketStore, () => void>> = {}) {
  const folder = await tempDir()
  const flags = { data: folder.path, http: 'off', listen: [], tick: 'off', finality: `votes:${THRESHOLD}` }
  const config = loadAuthorityConfig({ flags, env: {} })
  const voters = VOTERS.map((id) => ({ id, publicKey: keyOf(id).publicKey, recoveryKey: null, userId: undefined }))
  const calls = { putVotes: 0, voteCounts: 0, finalizeUpTo: 0 }
  let store: MarketStore | undefined
  const authority = createAuthority(
    { ...config, genesis: { ...config.genesis, voters } },
    {
      logger: silentLogger,
      wrapMarketStore: (sql) => {
        store = sql
        const counted =
          <Args extends unknown[], T>(name: keyof typeof calls, call: (...args: Args) => Promise<T>) =>
          async (...args: Args): Promise<T> => {
            calls[name] += 1
            faults[name]?.()
            return await call(...args)
          }
        return {
          ...sql,
          putVotes: counted('putVotes', (votes: readonly Vote[]) => sql.putVotes(votes)),
          voteCounts: counted('voteCounts', (hashes: readonly Hash[]) => sql.voteCounts(hashes)),
          finalizeUpTo: counted('finalizeUpTo', (height: number, at: number) => sql.finalizeUpTo(height, at)),
        }
      },
    },
  )
  const { chainId } = await authority.start()
  const { ledger } = authority
  const events: LedgerEvent[] = []
  ledger.subscribe((event) => events.push(event))
  const seal = async (name: string): Promise<Block> => {
    const row = { kind: 'trade', id: name, from_user_id: 'ann', to_user_id: 'bob', timestamp: Date.now() } as const
    const money = { kwh: '1', price_per_kwh: '0.2', total_amount: '0.2' }
    const answer = await ledger.acceptTick({
      tick_id: name,
      timestamp: Date.now(),
      transactions: [{ ...row, ...money }],
    })
    return { hash: answer.block_hash ?? '', height: answer.height ?? -1 }
  }
  const blocks = { first: await seal('tick-0'), second: await seal('tick-1') }
  return {
    ...blocks,
    ledger,
    events,
    calls,
    putVotes: (votes: readonly Vote[]) => store?.putVotes(votes),
    voteOf: (id: string, { hash, height }: Block, decision: Vote['decision'] = 'ack') =>
      signVote({ chain_id: chainId, header_hash: hash, height, voter_id: id, decision }, keyOf(id)),
    stop: async () => {
      await authority.stop()
      await folder.remove()
    },
  }
}

type Authority = Awaited<ReturnType<typeof startAuthority>>

describe('the vote counter', () => {
  let authority: Authority
  afterEach(() => authority.stop())

  const finals = () => authority.events.flatMap((event) => (event.type === 'final' ? [event.height] : []))
  const votes = () => authority.events.flatMap((event) => (event.type === 'vote' ? [event.vote] : []))

  it('makes of votes that arrive together one transaction, one count and one look at finality', async () => {
    authority = await startAuthority()
    const { first, second, voteOf, ledger, calls } = authority
    const cast = [
      ...VOTERS.map((id) => voteOf(id, second)),
      ...VOTERS.slice(0, 2).map((id) => voteOf(id, first)),
      voteOf('ann', first, 'reject'),
    ]
    const answers = await Promise.all(cast.map((vote) => ledger.castVote(vote)))
    assert.deepEqual(calls, { putVotes: 1, voteCounts: 1, finalizeUpTo: 1 })
    answers.forEach(({ header_hash, status, votes }, index) => {
      assert.equal(header_hash, cast[index]!.header_hash)
      assert.equal(status, 'final')
      assert.deepEqual(votes, {
        ack: header_hash === first.hash ? 2 : 6,
        reject: header_hash === first.hash ? 1 : 0,
        required: THRESHOLD,
      })
    })
    assert.deepEqual(new Set(votes()), new Set(cast))
    assert.deepEqual(finals(), [first.height, second.height])
  })

  it('answers each vote of a batch by itself: what is refused harms no other', async () => {
    authority = await startAuthority()
    const { second, voteOf, putVotes, ledger } = authority
    const other = { hash: sha256Hex('another header'), height: second.height }
    await putVotes([voteOf('bob', other)])
    const good = voteOf('ann', second)
    const forged = { ...voteOf('cem', second), signature: voteOf('cem', second, 'reject').signature }
    const madeUp = { ...voteOf('bob', { ...other, hash: sha256Hex('a made-up header') }), signature: forged.signature }
    const cast = [good, good, voteOf('bob', second), forged, voteOf('dee', other), voteOf('eva', second), madeUp]
    const results = await Promise.allSettled(cast.map((vote) => ledger.castVote(vote)))
    const said = results.map((result): unknown => {
      if (result.status === 'fulfilled') return result.value.votes.ack
      return isSolarError(result.reason) ? result.reason.code : result.reason
    })
    assert.deepEqual(said, [2, 2, 'vote_conflict', 'bad_signature', 'unknown_block', 2, 'bad_signature'])
    assert.deepEqual(votes(), [good, cast[5]])
  })

  it('tells a whole batch that could not be stored, and takes the same votes afterwards', async () => {
    let failures = 1
    authority = await startAuthority({
      putVotes: () => {
        if (failures-- > 0) throw new Error('the disk is full')
      },
    })
    const { second, voteOf, ledger } = authority
    const cast = VOTERS.map((id) => voteOf(id, second))
    const results = await Promise.allSettled(cast.map((vote) => ledger.castVote(vote)))
    for (const result of results) assert.equal(result.status, 'rejected')
    assert.deepEqual(votes(), [])
    const answers = await Promise.all(cast.map((vote) => ledger.castVote(vote)))
    for (const { status, votes } of answers) assert.deepEqual([status, votes.ack], ['final', VOTERS.length])
    assert.deepEqual(votes(), cast)
  })

  it('finalizes by acks that were counted although what came after them failed', async () => {
    let failures = 1
    authority = await startAuthority({
      finalizeUpTo: () => {
        if (failures-- > 0) throw new Error('the connection is lost')
      },
    })
    const { first, second, voteOf, ledger } = authority
    const cast = VOTERS.map((id) => voteOf(id, second))
    const results = await Promise.allSettled(cast.map((vote) => ledger.castVote(vote)))
    for (const result of results) assert.equal(result.status, 'rejected')
    assert.deepEqual(finals(), [])
    assert.equal((await ledger.castVote(cast[0]!)).status, 'final')
    assert.deepEqual(finals(), [first.height, second.height])
  })
})
