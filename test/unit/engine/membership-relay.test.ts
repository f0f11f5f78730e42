import assert from 'node:assert/strict'
import { serveMembership } from '../../../src/engine/block-server.ts'
import { passOnMembership } from '../../../src/engine/membership-relay.ts'
import { platformUsers } from '../../../src/engine/platform-users.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Membership } from '../../../src/protocol/membership.ts'
import { MEMBERSHIP_PATH, membershipAnswer } from '../../../src/protocol/messages.ts'
import type { PeerCredential, PeerRequest } from '../../../src/protocol/request.ts'
import { createStreet, namedKey, STREET_TIME } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { signMembership, signRequest } from '../../helpers/sign-now.ts'
import { tempSqlite } from '../../helpers/stores.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { ledgerOf, replicaFolder, type TestReplica } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 2 },
  validators: ['v1', 'v2'],
  voters: ['ann', 'ben'],
})

/** ann is connected to the validators alone, and they to the authority. */
describe('a request for a membership certificate', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica
  let peers: Peers
  let clock: VirtualClock
  let nonces: number
  /** Peers that the operator of v1 and v2 has named, by their addresses. */
  let named: Map<string, string>

  beforeEach(async () => {
    folder = await replicaFolder(street)
    node = await folder.open()
    await node.acceptAll(street.start.grow('t0'))
    clock = createVirtualClock(STREET_TIME + 3_600_000)
    peers = createPeers()
    nonces = 0
    named = new Map()
    const namedPeers = { reached: () => named }
    const parts = (name: string) => ({ chain: node.chain, clock, requests: peers.of(name), ledger: ledgerOf(node) })
    serveMembership({
      ...parts('authority'),
      ledger: {
        ...ledgerOf(node),
        membership(voter_id) {
          return Promise.resolve(certificate(voter_id, clock.now()))
        },
      },
    })
    for (const name of ['v1', 'v2']) passOnMembership({ ...parts(name), namedPeers })
    for (const [one, other] of [
      ['ann', 'v1'],
      ['thief', 'v1'],
      ['thief', 'v2'],
      ['thief', 'authority'],
      ['v1', 'v2'],
      ['v2', 'authority'],
    ] as const) {
      peers.connect(one, other)
    }
  })
  afterEach(() => folder.remove())

  function certificate(voter_id: string, issued_at: number): Membership {
    const body = { chain_id: street.chainId, voter_id, user_id: `user-of-${voter_id}`, issued_at, issuer: 'authority' }
    return signMembership({ ...body, expires_at: issued_at + 86_400_000 }, namedKey('authority'))
  }
  function credential(to: string, changes: Partial<PeerRequest> = {}, key = namedKey('ann')): PeerCredential {
    const id = (++nonces).toString(16).padStart(32, '0')
    const request = { method: 'P2P' as const, path: MEMBERSHIP_PATH, timestamp: clock.now(), id, from: 'ann', to }
    return signRequest('ann', street.chainId, { ...request, ...changes }, key)
  }
  async function ask(asker: string, peer: string, given: PeerCredential, held?: Membership): Promise<Membership> {
    const params = { credential: given, ...(held !== undefined && { membership: held }) }
    return membershipAnswer(await peers.of(asker).request(peer, 'membership', params), 'membership').membership
  }
  const refusedWith = (code: string) => (error: unknown) =>
    isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code

  it('is passed on by a node that knows no users to the authority, once', async () => {
    peers.connect('v1', 'authority')
    assert.equal((await ask('ann', 'v1', credential('v1'))).user_id, 'user-of-ann')
    const asked = peers.asked.filter(({ asker }) => asker !== 'ann').map(({ asker, peer }) => `${asker} ${peer}`)
    assert.ok(asked.includes('v1 authority'))
    assert.ok(!asked.includes('v2 authority'), 'v2 was asked as well, and passes nothing on that is not for it')
    assert.ok(!asked.includes('v1 ann'))
  })

  it('goes to who issued the last one first', async () => {
    peers.connect('v1', 'authority')
    for (let n = 0; n < 12; n++) peers.connect('v1', `light ${n}`)
    for (let found = false; !found;) found = await ask('ann', 'v1', credential('v1')).then(Boolean, () => false)
    const before = peers.asked.length
    await ask('ann', 'v1', credential('v1'))
    const [, first, ...others] = peers.asked.slice(before).map(({ peer }) => peer)
    assert.equal(first, 'authority')
    assert.ok(others.length < 8, 'and to few others')
  })

  it('is refused with a reason where no authority can be reached', async () => {
    await assert.rejects(
      ask('ann', 'v1', credential('v1')),
      /no_membership.*no authority that this node is connected to/,
    )
  })

  it('is passed on for nobody but the peer that has signed it, to nobody but by the peer that it is for', async () => {
    peers.connect('v1', 'authority')
    const shapes: readonly (readonly [what: string, peer: string, given: PeerCredential])[] = [
      ['another asks', 'v1', credential('v1')],
      ['it is for another', 'v2', credential('v1')],
      ['it is for another, and sent to the authority', 'authority', credential('v1')],
      ['the asker has made it up', 'v1', credential('v1', { from: 'thief' }, namedKey('thief'))],
      ['the asker says that it passes it on', 'authority', credential('thief', {}, namedKey('thief'))],
      ['it is for another path', 'authority', credential('thief', { path: 'trades?height=0' })],
    ]
    for (const [what, peer, given] of shapes) {
      await assert.rejects(ask('thief', peer, given), refusedWith('forbidden'), what)
    }
    assert.ok(!peers.asked.some(({ asker }) => asker !== 'thief'), 'nothing of it was passed on')
    clock.advance(3_600_000)
    await assert.rejects(ask('ann', 'v1', credential('v1', { timestamp: STREET_TIME })), refusedWith('forbidden'))
  })

  it('counts once', async () => {
    peers.connect('v1', 'authority')
    const given = credential('v1')
    await ask('ann', 'v1', given)
    await assert.rejects(ask('ann', 'v1', given), refusedWith('forbidden'))
    await assert.rejects(peers.of('v1').request('authority', 'membership', { credential: given }), /was used before/)
  })

  describe('with the certificate that the device has', () => {
    const isShownTo = (peer: string) =>
      peers.asked.some((one) => one.asker === 'v1' && one.peer === peer && 'membership' in one.params)
    const wasAsked = (peer: string) => peers.asked.some((one) => one.asker === 'v1' && one.peer === peer)

    it('shows it to peers that the operator has named, and to nobody else, though he has given back a true one', async () => {
      peers.connect('v1', 'stranger')
      peers.connect('ben', 'v1')
      named.set('/dns4/town.example/tcp/4001', 'authority')
      // Ben lets a peer of his own give back his own certificate, so that it has issued one.
      const bens = certificate('ben', clock.now())
      peers.of('stranger').serve('membership', () => Promise.resolve({ membership: bens }))
      const asBen = credential('v1', { from: 'ben' }, namedKey('ben'))
      assert.deepEqual(await ask('ben', 'v1', { ...asBen, voter_id: 'ben' }), bens)
      peers.connect('v1', 'authority')
      const held = certificate('ann', clock.now())
      clock.advance(1_000)
      assert.equal((await ask('ann', 'v1', credential('v1'), held)).issued_at, clock.now())
      assert.deepEqual(['stranger', 'v2', 'authority'].map(wasAsked), [true, true, true])
      assert.deepEqual(['stranger', 'v2', 'authority'].map(isShownTo), [false, false, true])
    })

    it('asks a named peer each time, however many strangers are connected', async () => {
      for (let n = 0; n < 40; n++) peers.connect('v1', `stranger ${n}`)
      peers.connect('v1', 'authority')
      named.set('/dns4/town.example/tcp/4001', 'authority')
      assert.equal((await ask('ann', 'v1', credential('v1'))).user_id, 'user-of-ann')
    })

    describe('by an authority whose database has lost its users', () => {
      let opened: Awaited<ReturnType<typeof tempSqlite>>
      beforeEach(async () => {
        opened = await tempSqlite()
        const { chain } = node
        const keyOf = () => Promise.resolve(namedKey('authority'))
        const own = { chain, clock, store: opened.store, users: new Map<string, string>(), minerId: 'authority', keyOf }
        const ledger = { ...ledgerOf(node), ...platformUsers(own) }
        serveMembership({ chain, clock, requests: peers.of('authority'), ledger })
        peers.connect('v1', 'authority')
      })
      afterEach(() => opened.cleanup())

      it('is renewed where the authority is named: it learns the user from it', async () => {
        named.set('/dns4/town.example/tcp/4001', 'authority')
        const held = certificate('ann', clock.now())
        clock.advance(1_000)
        const { user_id, issued_at } = await ask('ann', 'v1', credential('v1'), held)
        assert.deepEqual([user_id, issued_at], ['user-of-ann', clock.now()])
      })

      it('is not exchanged for one of nobody’s device where the authority is not named', async () => {
        const held = certificate('ann', clock.now())
        clock.advance(1_000)
        await assert.rejects(ask('ann', 'v1', credential('v1'), held), /authority knows no user of it any more/)
      })
    })
  })
})
