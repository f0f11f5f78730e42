import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../src/config/load.ts'
import { createAuthority } from '../../src/node/authority.ts'
import { createLogger } from '../../src/node/logger.ts'
import type { GossipHandler } from '../../src/ports/gossip.ts'
import { hexToBytes, type Hash } from '../../src/protocol/bytes.ts'
import { canonicalBytes } from '../../src/protocol/canonical-json.ts'
import { sha256 } from '../../src/protocol/hash.ts'
import { signingBytes } from '../../src/protocol/signature.ts'
import { signingKeyFromSecret, signVote } from '../helpers/sign-now.ts'
import { tempDir } from '../helpers/temp.ts'
import { compare, milliseconds, type BenchOptions, type BenchRow } from './compare.ts'
import { platformTick, ticksUntilNow } from './trades.ts'

const SIZES = [100, 1_000, 10_000]
const HOUSEHOLDS = 500
const WARM_UP = 3
/** Rounds by size: 10,000 votes are counted in more than a second. */
const roundsFor = (size: number): number => (size <= 1_000 ? 15 : 7)
const PEER = 'a peer'

/** Votes that arrive together by gossip until each is counted and durable, against verifying their signatures alone. */
export async function benchVotes({ rounds, sizes = SIZES }: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of sizes) rows.push(await votesRow(size, rounds ?? roundsFor(size)))
  return rows
}

async function votesRow(size: number, rounds: number): Promise<BenchRow> {
  const folder = await tempDir()
  const blocks = Math.ceil(size / HOUSEHOLDS)
  const node = await openNode(join(folder.path, 'authority'), ticksUntilNow((rounds + WARM_UP) * blocks))
  let signatures: readonly Signature[] = []
  try {
    return await compare(
      {
        name: `${size} votes at once, against verifying their signatures`,
        unit: 'votes/s',
        ours: async () => {
          const headers: Header[] = []
          for (let block = 0; block < blocks; block++) headers.push(await node.sealBlock())
          const votes = headers.flatMap(node.votesOn).slice(0, size)
          signatures = votes.map(({ signature }) => signature)
          const took = await milliseconds(() => node.receive(votes.map(({ payload }) => payload)))
          return (size * 1_000) / took
        },
        against: async () => {
          const took = await milliseconds(() => {
            verifyAll(signatures)
            return Promise.resolve()
          })
          return (size * 1_000) / took
        },
      },
      { rounds, warmUp: WARM_UP },
    )
  } finally {
    await node.stop()
    await folder.remove()
  }
}

/** What node:crypto needs to check a signature, nothing left to prepare. */
interface Signature {
  readonly message: Uint8Array
  readonly key: KeyObject
  readonly bytes: Uint8Array
}

function verifyAll(signatures: readonly Signature[]): void {
  for (const { message, key, bytes } of signatures) {
    if (!verify(null, message, key, bytes)) throw new Error('a signature is not valid')
  }
}

interface Header {
  readonly hash: Hash
  readonly height: number
}

/** An authority as it runs, without HTTP, final by the votes of most of its households. Votes are handed to it as gossip does. */
async function openNode(data: string, timeOf: (round: number) => number) {
  const voters = Array.from({ length: HOUSEHOLDS }, (_, index) => householdOf(`flat-${index}`))
  const flags = { data, http: 'off', listen: [], tick: 'off', finality: `votes:${HOUSEHOLDS / 2 + 1}` }
  const config = loadAuthorityConfig({ flags, env: {} })
  const registered = voters.map(({ id, publicKey }) => ({ id, publicKey, recoveryKey: null, userId: undefined }))
  let deliver: GossipHandler = () => Promise.reject(new Error('nobody listens to votes'))
  const authority = createAuthority(
    { ...config, genesis: { ...config.genesis, voters: registered } },
    {
      // The log is written as ever; its lines go nowhere.
      logger: createLogger({ level: 'info', pretty: false, destination: { write: () => undefined } }),
      wrapGossip: (gossip) => ({
        ...gossip,
        subscribe: (topic, handler) => {
          if (topic === 'votes') deliver = handler
        },
      }),
    },
  )
  const { chainId } = await authority.start()
  let sealed = 0
  return {
    async sealBlock(): Promise<Header> {
      const tick = platformTick(`tick-${sealed}`, 1, timeOf(sealed))
      sealed += 1
      const { header_hash, height } = await authority.ledger.acceptTick(tick)
      if (header_hash === null || height === null) throw new Error(`${tick.tick_id} made no block`)
      return { hash: header_hash, height }
    },
    votesOn: ({ hash, height }: Header) =>
      voters.map(({ id, signingKey, key }) => {
        const body = { chain_id: chainId, header_hash: hash, height, voter_id: id, decision: 'ack' } as const
        const vote = signVote(body, signingKey)
        const signature = { message: signingBytes('vote', chainId, body), key, bytes: hexToBytes(vote.signature) }
        return { payload: canonicalBytes(vote), signature }
      }),
    async receive(payloads: readonly Uint8Array[]): Promise<void> {
      const verdicts = await Promise.all(payloads.map((payload) => deliver(payload, PEER)))
      if (verdicts.some((verdict) => verdict !== 'accept')) throw new Error('a vote was not accepted')
    },
    stop: () => authority.stop(),
  }
}

function householdOf(id: string) {
  const signingKey = signingKeyFromSecret(sha256(`household ${id}`))
  const { publicKey } = signingKey
  const x = Buffer.from(publicKey, 'hex').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return { id, signingKey, publicKey, key }
}
