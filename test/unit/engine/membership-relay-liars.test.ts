import assert from 'node:assert/strict'
import { serveMembership } from '../../../src/engine/block-server.ts'
import { passOnMembership } from '../../../src/engine/membership-relay.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Membership } from '../../../src/protocol/membership.ts'
import { MEMBERSHIP_PATH, membershipAnswer } from '../../../src/protocol/messages.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { signMembership, signRequest } from '../../helpers/sign-now.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { ledgerOf, namesake, replicaFolder, type TestReplica } from './replica-harness.ts'

const street = createStreet({ voters: ['ann', 'ben'], validators: ['v1'] })

describe('a request for a certificate that a validator passes on, beside peers without a key', () => {
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
    passOnMembership({ chain, ledger, requests: peers.of('v1'), clock, namedPeers: undefined })
    const membership = async (id: string) => {
      await release
      return namesake(chain, id, clock.now())
    }
    serveMembership({ chain, ledger: { ...ledger, membership }, requests: peers.of('authority'), clock })
    peers.connect('phone', 'v1')
  })
  afterEach(() => folder.remove())

  async function ask(membership: Membership): Promise<Membership> {
    const id = (++ids).toString(16).padStart(32, '0')
    const ends = { from: 'phone', to: 'v1' }
    const request = { method: 'P2P', path: MEMBERSHIP_PATH, timestamp: clock.now(), id, ...ends } as const
    const credential = signRequest('ann', street.chainId, request, namedKey('ann'))
    const answer = await peers.of('phone').request('v1', 'membership', { credential, membership })
    return membershipAnswer(answer, 'membership').membership
  }
  const refusedWith = (code: string) => (error: unknown) =>
    isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code

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
    it(`is answered by the authority though another peer is faster, with ${what}`, async () => {
      const known = namesake(node.chain, 'ann', clock.now())
      peers.of('mallory').serve('membership', () => Promise.resolve({ membership: lie(known, clock.now()) }))
      peers.connect('v1', 'mallory')
      peers.connect('v1', 'authority')
      release = new Promise(setImmediate)
      clock.advance(1_000)
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await ask(known), namesake(node.chain, 'ann', clock.now()))
      }
    })
  }

  it('is asked of few, and a refusal of all says why', async () => {
    for (let index = 0; index < 20; index++) {
      peers.of(`peer-${index}`).serve('membership', () => Promise.reject(ledgerError('not_ready', { reason: 'busy' })))
      peers.connect('v1', `peer-${index}`)
    }
    await assert.rejects(
      ask(namesake(node.chain, 'ann', clock.now())),
      (error) => refusedWith('no_membership')(error) && String(error).includes('busy'),
    )
    assert.equal(peers.asked.filter(({ asker }) => asker === 'v1').length, 8)
  })
})
