import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Membership } from '../../../src/protocol/membership.ts'
import { blockPath, receiptPath, tradesPath } from '../../../src/protocol/messages.ts'
import { cliGroup } from '../main-job/cli.ts'
import { eventually, networkOptions, TCP } from '../../helpers/network.ts'
import {
  readTestKey,
  signingKeyFromSecret,
  signRegistryTransaction,
  signRequest,
  type TestKey,
} from '../../helpers/sign-now.ts'
import {
  createValidatorNetwork,
  sealTick,
  type RunningAuthority,
  type RunningValidator,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

const hex = (): string => randomBytes(16).toString('hex')
const peerOf = (address: string): string => address.split('/p2p/')[1] ?? ''
const codeOf = (answer: Promise<unknown>): Promise<unknown> =>
  answer.then(
    () => 'answered',
    (error: unknown) => (isSolarError(error, 'peer_refused') ? (error.fields as { code: string }).code : error),
  )

describe('a peer without a key, beside an authority and a validator', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let v1: RunningValidator
  let mallory: PeerNetwork
  /** What was asked of her. */
  let asked: string[]
  let sealed: Awaited<ReturnType<typeof sealTick>>

  before(async () => {
    network = await createValidatorNetwork({ finality: 'authority', validators: ['v1'], voters: ['ann'] })
    authority = await network.startAuthority()
    sealed = await sealTick(authority, 't0')
    v1 = await network.startValidator('v1', [authority.address])
    const options = { chainId: network.chainId, peers: [authority.address, v1.address], listen: [TCP] }
    mallory = await createNodeNetwork(networkOptions('mallory', options))
    asked = []
    for (const name of ['genesis', 'receipt'] as const) {
      mallory.requests.serve(name, () => {
        asked.push(name)
        return Promise.reject(new Error('she only listens'))
      })
    }
    await mallory.start()
    await eventually('both are connected', () => mallory.requests.peers().length === 2)
    await eventually('the validator has the block', async () => (await v1.ledger.latestHeaders(1)).headers.length === 1)
  })
  after(async () => {
    await mallory.stop()
    await network.stop()
  })

  const signed = (voter: string, key: TestKey, path: string, from: string, to: string) =>
    signRequest(voter, network.chainId, { method: 'P2P', path, timestamp: Date.now(), id: hex(), from, to }, key)

  it('is shown nothing for credentials that a validator or a household has signed for others, nor for her', async () => {
    const { requests, peerId } = mallory
    const ids = { authority: peerOf(authority.address), v1: peerOf(v1.address), mallory: peerId }
    const keys = {
      v1: await readTestKey(join(network.folder, 'v1', DATA_FILES.validatorKey)),
      ann: await readTestKey(join(network.folder, 'ann', DATA_FILES.voterKey)),
    }
    const { block_hash } = sealed
    const asked = [
      ['v1', 'block', blockPath(block_hash, 0), { block_hash, from_index: 0 }],
      ['ann', 'block', blockPath(block_hash, 0), { block_hash, from_index: 0 }],
      ['ann', 'trades', tradesPath(0), { height: 0 }],
      ['ann', 'receipt', receiptPath('t0.1'), { tx_id: 't0.1' }],
    ] as const
    for (const [voter, name, path, params] of asked) {
      for (const server of [ids.authority, ids.v1]) {
        // What she was shown herself, and what she has seen of a connection of others.
        for (const [from, to] of [
          [ids.v1, ids.mallory],
          [ids.v1, server],
          [ids.mallory, ids.v1 === server ? ids.authority : ids.v1],
        ] as const) {
          const credential = signed(voter, keys[voter], path, from, to)
          assert.equal(await codeOf(requests.request(server, name, { ...params, credential })), 'forbidden', name)
        }
        assert.equal(
          await codeOf(requests.request(server, name, { ...params })),
          name === 'trades' ? 'malformed' : 'forbidden',
        )
      }
    }
  })

  it('is given no token: prove takes it to one node alone, pinned by its id', async () => {
    const tokenFile = join(network.folder, 'platform.token')
    await writeFile(tokenFile, authority.token('platform'), { mode: 0o600 })
    const unpinned = authority.address.replace(/\/p2p\/.*$/, '')
    const cli = cliGroup()
    try {
      const common = ['prove', 't0.1', '--chain', network.chainId, '--token-file', tokenFile]
      const prove = (...peers: string[]) => cli.run(...common, '--out', `${tokenFile}.json`, '--peer', ...peers)
      const refused = await prove(unpinned)
      assert.deepEqual([refused.code, refused.stdout], [2, ''])
      assert.ok(refused.stderr.includes(`write --peer ${unpinned}/p2p/ID`), refused.stderr)
      const two = await prove(authority.address, v1.address)
      assert.equal(two.code, 2)
      assert.match(two.stderr, /the token is one node's/)
      assert.equal((await prove(authority.address)).code, 0)
      // Her address with the id of the authority: who answers there is not that, and is told nothing.
      const [hers = ''] = mallory.multiaddrs()
      const taken = `${hers.replace(/\/p2p\/.*$/, '')}/p2p/${peerOf(authority.address)}`
      const other = await cli.run(...common, '--out', `${tokenFile}.other.json`, '--peer', taken)
      assert.deepEqual([other.code, other.stdout, asked], [1, '', []])
      assert.match(other.stderr, /another node answers there, its peer id is 12D3/)
    } finally {
      await cli.killAll()
    }
  })

  it('is shown the trades of her own user, whatever her device is called', async () => {
    const { requests, peerId } = mallory
    const key = signingKeyFromSecret(new Uint8Array(randomBytes(32)))
    // A neighbour of the platform, who has no device, trades under this name.
    const device = 'ben'
    const body = {
      kind: 'registry' as const,
      action: 'enrol' as const,
      id: `enrol-${hex()}`,
      subject_id: device,
      role: 'voter' as const,
      public_key: key.publicKey,
      timestamp: Date.now(),
      nonce: hex(),
    }
    const posted = await fetch(`${authority.url}/registry/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${authority.token('platform')}` },
      body: JSON.stringify({ transaction: signRegistryTransaction(body, network.chainId, key), user_id: 'mallory' }),
    })
    assert.equal(posted.status, 202)
    await eventually('the validator knows the device', () => v1.ledger.activeEntry(device) !== undefined)
    const [issuer, server] = [peerOf(authority.address), peerOf(v1.address)]
    const credential = (path: string, to: string) => signed(device, key, path, peerId, to)
    const { membership } = (await requests.request(issuer, 'membership', {
      credential: credential('membership', issuer),
    })) as { membership: Membership }
    assert.deepEqual([membership.voter_id, membership.user_id], [device, 'mallory'])

    const trades = (to: string, shown: object) =>
      requests.request(to, 'trades', { height: 0, credential: credential(tradesPath(0), to), ...shown })
    assert.equal(await codeOf(trades(server, {})), 'no_membership')
    for (const to of [issuer, server]) assert.deepEqual(await trades(to, { membership }), { trades: [] })
    assert.equal(await codeOf(trades(server, { membership: { ...membership, user_id: 'ben' } })), 'no_membership')
    for (const to of [issuer, server]) {
      const asked = { tx_id: 't0.1', credential: credential(receiptPath('t0.1'), to), membership }
      assert.equal(await codeOf(requests.request(to, 'receipt', asked)), 'forbidden')
    }
  })
})
