import assert from 'node:assert/strict'
import { serveMembership } from '../../../src/engine/block-server.ts'
import { passOnMembership } from '../../../src/engine/membership-relay.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { signMembership, type Membership } from '../../../src/protocol/membership.ts'
import { MEMBERSHIP_PATH, membershipAnswer } from '../../../src/protocol/messages.ts'
import { signRequest, type PeerCredential, type PeerRequest } from '../../../src/protocol/request.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { ledgerOf, namesake, replicaFolder, type TestReplica } from './replica-harness.ts'

const street = createStreet({ voters: ['ann', 'ben'], validators: ['v1', 'v2'] })

describe('a request for a certificate that a validator passes on', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica
  let peers: Peers
  let clock: VirtualClock
  let ids: number
  /** What the authority waits for. */
  let release: Promise<unknown>

  beforeEach(async () => {
    folder = await replicaFolder(street)
    node = await folder.open()
    clock = createVirtualClock(node.clock.now())
    peers = createPeers()
    ids = 0
    release = Promise.resolve()
    const { chain } = node
    const ledger = ledgerOf(node)
    for (const name of ['v1', 'v2']) passOnMembership({ chain, ledger, requests: peers.of(name), clock })
    const membership = async (id: string) => {
      await release
      return namesake(chain, id, clock.now())
    }
    serveMembership({ chain, ledger: { ...ledger, membership }, requests: peers.of('authority'), clock })
    peers.connect('phone', 'v1')
  })
  afterEach(() => folder.remove())

  function credential(changes: Partial<PeerRequest> = {}): PeerCredential {
    const id = (++ids).toString(16).padStart(32, '0')
    const ends = { from: 'phone', to: 'v1' }
    const request = { method: 'P2P', path: MEMBERSHIP_PATH, timestamp: clock.now(), id, ...ends, ...changes } as const
    return signRequest('ann', street.chainId, request, namedKey('ann'))
  }
  const askAs = async (asker: string, peer: string, asked: object): Promise<Membership> =>
    membershipAnswer(await peers.of(asker).request(peer, 'membership', asked), 'membership').membership
  const ask = (known?: Membership): Promise<Membership> =>
    askAs('phone', 'v1', { credential: credential(), ...(known !== undefined && { membership: known }) })
  const refusedWith = (code: string) => (error: unknown) =>
    isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code

  it('is answered by an authority to which it is connected, and by nobody else', async () => {
    await assert.rejects(ask(), refusedWith('no_membership'))
    peers.connect('v1', 'authority')
    const first = await ask()
    assert.deepEqual([first.voter_id, first.user_id, first.issuer], ['ann', 'ann', 'authority'])
    clock.advance(1_000)
    assert.equal((await ask(first)).issued_at, first.issued_at + 1_000)
  })

  const without = ({ chain_id, voter_id, user_id, issued_at, expires_at, issuer }: Membership) => ({
    ...{ chain_id, voter_id, user_id, issued_at, expires_at, issuer },
  })
  const lies: Readonly<Record<string, (shown: Membership, now: number) => Membership>> = {
    'the one that the device has': (shown) => shown,
    'one of her own making': (shown, now) => signMembership({ ...without(shown), issued_at: now }, namedKey('mallory')),
    'one in her name': (shown, now) =>
      signMembership({ ...without(shown), issued_at: now, issuer: 'mallory' }, namedKey('mallory')),
    'one of another user': (shown) => ({ ...shown, user_id: 'ben' }),
    'that of another device': (_shown, now) => namesake(node.chain, 'ben', now),
    'one that is over': ({ issued_at, ...shown }) =>
      signMembership({ ...without({ issued_at, ...shown }), expires_at: issued_at }, namedKey('authority')),
  }
  for (const [what, lie] of Object.entries(lies)) {
    it(`is answered by the authority though a peer without a key is faster, with ${what}`, async () => {
      const known = namesake(node.chain, 'ann', clock.now())
      peers.of('mallory').serve('membership', (params) => {
        const { membership } = params as { readonly membership: Membership }
        return Promise.resolve({ membership: lie(membership, clock.now()) })
      })
      peers.connect('v1', 'mallory')
      peers.connect('v1', 'authority')
      release = new Promise(setImmediate)
      clock.advance(1_000)
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await ask(known), namesake(node.chain, 'ann', clock.now()))
      }
    })
  }

  it('is for the validator and of the device: nobody else passes it on, and once it was passed on it goes no further', async () => {
    peers.connect('v1', 'authority')
    peers.connect('v2', 'authority')
    peers.connect('v1', 'v2')
    peers.connect('mallory', 'authority')
    peers.connect('mallory', 'v1')
    peers.connect('mallory', 'v2')
    for (const [asker, peer] of [
      ['mallory', 'v1'],
      ['mallory', 'v2'],
      ['mallory', 'authority'],
      ['v1', 'v2'],
    ] as const) {
      await assert.rejects(
        askAs(asker, peer, { credential: credential() }),
        refusedWith('forbidden'),
        `${asker} ${peer}`,
      )
    }
    const used = credential()
    await askAs('phone', 'v1', { credential: used })
    await assert.rejects(askAs('phone', 'v1', { credential: used }), refusedWith('forbidden'))
    await assert.rejects(askAs('v1', 'authority', { credential: used }), refusedWith('forbidden'))
    const otherPath = credential({ path: 'trades?height=0' })
    await assert.rejects(askAs('v1', 'authority', { credential: otherPath }), refusedWith('forbidden'))
  })

  it('is asked of few, and a refusal of all says why', async () => {
    for (let index = 0; index < 20; index++) {
      peers.of(`peer-${index}`).serve('membership', () => Promise.reject(ledgerError('not_ready', { reason: 'busy' })))
      peers.connect('v1', `peer-${index}`)
    }
    await assert.rejects(ask(), (error) => refusedWith('no_membership')(error) && String(error).includes('busy'))
    assert.equal(peers.asked.filter(({ asker }) => asker === 'v1').length, 8)
  })
})
