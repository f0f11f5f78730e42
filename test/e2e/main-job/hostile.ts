import { randomBytes } from 'node:crypto'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { RequestName } from '../../../src/ports/peer-requests.ts'
import { sha256 } from '../../../src/protocol/hash.ts'
import { voteParams } from '../../../src/protocol/messages.ts'
import { peerCredentialShape } from '../../../src/protocol/request.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import type { Community } from '../../helpers/community.ts'
import { eventually, realClock, TCP } from '../../helpers/network.ts'
import { signingKeyFromSecret, signRequest, type TestKey } from '../../helpers/sign-now.ts'

type Told = Record<string, unknown>
/** Changes what the authority answered to a question; what it gives back is what the asker is told. */
export type Lie = (name: RequestName, answer: Told, params: Told) => Told | Promise<Told>

const HONEST: Lie = (_name, answer) => answer
const ASKED: readonly RequestName[] = [
  'genesis',
  'status',
  'headers',
  'proof',
  'history',
  'anchor',
  'registry',
  'votes',
  'trades',
]

/** What it stands before. */
export interface HonestSide extends Pick<Community, 'chainId' | 'addressOf'> {
  /** The key of who asks: what is signed for this peer opens nothing at the authority, so it has to be signed anew. */
  readonly keyOf: (id: string) => TestKey | Promise<TestKey>
}

export const sideOf = (community: Community): HonestSide => ({
  chainId: community.chainId,
  addressOf: (transport) => community.addressOf(transport),
  keyOf: (id) => signingKeyFromSecret(community.keys.get(id)!.secret),
})

/**
 * A peer of its own on real libp2p between a node and the authority: it passes everything on, changed as it likes.
 *
 * @param more what it passes on beyond what a light node with one honest source asks for
 */
export async function startHostilePeer(
  community: HonestSide,
  more: readonly RequestName[] = [],
  name = 'hostile peer',
) {
  const votes: Vote[] = []
  let lie = HONEST
  const network = await createNodeNetwork({
    chainId: community.chainId,
    privateKey: sha256(name),
    listen: [TCP],
    peers: [community.addressOf('tcp')],
    hub: true,
    clock: realClock(),
    logger: silentLogger,
  })
  const authorityId = community.addressOf('tcp').split('/p2p/')[1] ?? ''
  async function signedAnew(params: Told): Promise<Told> {
    if (params.credential === undefined) return params
    const { voter_id, method, path } = peerCredentialShape(params.credential, 'credential')
    const ends = { from: network.peerId, to: authorityId }
    const request = { method, path, timestamp: Date.now(), id: randomBytes(16).toString('hex'), ...ends }
    return { ...params, credential: signRequest(voter_id, community.chainId, request, await community.keyOf(voter_id)) }
  }
  for (const name of [...ASKED, ...more]) {
    network.requests.serve(name, async (params) => {
      const answer = await network.requests.request(authorityId, name, await signedAnew(params as Told))
      return await lie(name, structuredClone(answer) as Told, params as Told)
    })
  }
  network.requests.serve('vote', async (params) => {
    const { vote } = voteParams(params, 'vote')
    votes.push(vote)
    return (await network.requests.request(authorityId, 'vote', { vote })) as object
  })
  await network.start()
  await eventually('the hostile peer knows the authority', () => network.requests.peers().includes(authorityId))
  return {
    address: network.multiaddrs()[0] ?? '',
    /** What was delivered to it. */
    votes: votes as readonly Vote[],
    network,
    tell: (next: Lie): void => {
      lie = next
    },
    beHonest: (): void => {
      lie = HONEST
    },
    stop: () => network.stop(),
  }
}

export type HostilePeer = Awaited<ReturnType<typeof startHostilePeer>>
