import assert from 'node:assert/strict'
import { fetchBlock, fetchShownBlock } from '../../../src/engine/block-fetcher.ts'
import { createCredentialSigner } from '../../../src/engine/credential-signer.ts'
import { serveBlocks } from '../../../src/engine/block-server.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import type { Membership } from '../../../src/protocol/membership.ts'
import { merkleRoot, verifyMerkleProof } from '../../../src/protocol/merkle.ts'
import { MAX_RESPONSE_BYTES } from '../../../src/protocol/limits.ts'
import {
  blockAnswer,
  blockPath,
  MIN_TRADES_OF_PAGE,
  MIN_TRANSACTIONS_OF_PAGE,
  tradesAnswer,
  tradesPath,
} from '../../../src/protocol/messages.ts'
import type { PeerRequest } from '../../../src/protocol/request.ts'
import { hashTransaction, leafOf } from '../../../src/protocol/transaction.ts'
import { correction, createStreet, namedKey, STREET_TIME, trade, type Branch } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { signMembership, signRequest, type TestKey } from '../../helpers/sign-now.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { ledgerOf, replicaFolder, type TestReplica } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 2 },
  validators: ['v1', 'v2'],
  voters: ['ann', 'ben', 'cem'],
  recoverable: true,
})
/** Of no block that is asked for here is it in question whether it is final. */
const neverAsked = () => Promise.reject(new Error('nobody asks for this'))

const TOKEN = 'a-token-that-may-read-blocks'
const enrol = street.change('enrol-dee', namedKey('dee'), {
  action: 'enrol',
  subject_id: 'dee',
  role: 'voter',
  public_key: namedKey('dee').publicKey,
})
const base = street.start.add([
  trade('t0', 'mine'),
  trade('t0', 'bought', { from_user_id: 'cem', to_user_id: 'ann' }),
  trade('t0', 'theirs', { from_user_id: 'ben', to_user_id: 'cem' }),
])
const chain = base
  .add([correction('t1', 'fix-mine', 'mine'), correction('t1', 'fix-theirs', 'theirs'), trade('t1', 'late')])
  .add([enrol])

describe('whole blocks and own trades over libp2p', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica
  let peers: Peers
  let clock: VirtualClock
  let nonces: number
  let standings: Map<string, () => string | undefined>

  beforeEach(async () => {
    folder = await replicaFolder(street)
    node = await folder.open()
    clock = createVirtualClock(STREET_TIME + 3_600_000)
    peers = createPeers()
    for (const name of ['asker', 'another']) peers.connect('server', name)
    nonces = 0
    standings = new Map()
    serveBlocks({
      chain: node.chain,
      ledger: ledgerOf(node),
      finalizer: node.finalizer,
      findBeside: (hash) => node.replica.find(hash),
      requests: { ...peers.of('server'), vouch: (peer, _key, standing) => standings.set(peer, standing) },
      clock,
      roleOfToken: (token) => Promise.resolve(token === TOKEN ? 'auditor' : undefined),
    })
    await node.acceptAll(chain)
  })
  afterEach(() => folder.remove())

  function credential(id: string, path: string, changes: Partial<PeerRequest> & { key?: TestKey } = {}) {
    const { key = namedKey(id), ...rest } = changes
    const request = {
      method: 'P2P' as const,
      path,
      timestamp: clock.now(),
      id: (++nonces).toString(16).padStart(32, '0'),
      from: 'asker',
      to: 'server',
    }
    return signRequest(id, street.chainId, { ...request, ...rest }, key)
  }
  /** The certificate of a device of the user of its name, or of another. */
  function membership(id: string, changes: Partial<Membership> = {}, key = namedKey('authority')): Membership {
    const [issued_at, issuer] = [clock.now(), 'authority']
    const body = {
      chain_id: street.chainId,
      voter_id: id,
      user_id: id,
      issued_at,
      expires_at: issued_at + 1000,
      issuer,
    }
    return signMembership({ ...body, ...changes }, key)
  }
  const VOTERS = ['ann', 'ben', 'cem', 'dee']
  /** A credential, of a household with its certificate. */
  const access = (id: string, path: string, changes: Parameters<typeof credential>[2] = {}) => ({
    credential: credential(id, path, changes),
    ...(VOTERS.includes(id) && { membership: membership(id) }),
  })
  const hashOf = (branch: Branch, height: number) => branch.at(height).hash
  const ask = async (params: object, from = 'asker') =>
    blockAnswer(await peers.of(from).request('server', 'block', params), 'block')
  const askWith = (id: string, height: number, from = 'asker') => {
    const block_hash = hashOf(chain, height)
    return ask({ block_hash, from_index: 0, ...access(id, blockPath(block_hash, 0), { from }) }, from)
  }
  const refusedWith = (code: string) => (error: unknown) =>
    isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === code
  const shown = ({ transactions }: Awaited<ReturnType<typeof ask>>) =>
    transactions.map((tx) => (tx.kind === 'redacted' ? '-' : tx.id))

  it('give their asker the standing of the key that has signed, as long as that is registered', async () => {
    const standing = () => standings.get('asker')?.()
    await askWith('v1', 0)
    assert.equal(standing(), 'member')
    await askWith('ann', 0)
    assert.equal(standing(), 'device')
    const revoked = street.change('revoke-ann', namedKey('authority'), { action: 'revoke', subject_id: 'ann' })
    await node.acceptAll(chain.add([revoked]))
    assert.equal(standing(), undefined)
  })

  describe('a block', () => {
    it('is shown whole to authorities, validators and bearers of a role\u2019s token', async () => {
      for (const id of ['authority', 'v1']) {
        for (const height of [0, 1, 2]) {
          const { transactions, header, signature, next_index } = await askWith(id, height)
          assert.deepEqual({ header, signature, transactions }, chain.blocks[height]!)
          assert.equal(next_index, null)
        }
      }
      const answer = await ask({ block_hash: hashOf(chain, 1), from_index: 0, token: TOKEN }, 'another')
      assert.deepEqual(answer.transactions, chain.blocks[1]!.transactions)
    })

    it('is shown to nobody who has neither, or a token or a signature that is not right', async () => {
      const block_hash = hashOf(chain, 0)
      const path = blockPath(block_hash, 0)
      const params = { block_hash, from_index: 0 }
      const cases: readonly (readonly [string, object, string])[] = [
        ['nothing', params, 'forbidden'],
        ['another token', { ...params, token: 'a-guess' }, 'forbidden'],
        [
          'a signature by another key',
          { ...params, credential: credential('v1', path, { key: namedKey('v2') }) },
          'forbidden',
        ],
        ['an id that is not registered', { ...params, credential: credential('eve', path) }, 'unknown_voter'],
        [
          'a signature of another page',
          { ...params, credential: credential('v1', blockPath(block_hash, 1)) },
          'forbidden',
        ],
        ['a signature of another request', { ...params, credential: credential('v1', tradesPath(0)) }, 'forbidden'],
        ['a signature for HTTP', { ...params, credential: { ...credential('v1', path), method: 'GET' } }, 'malformed'],
        [
          'a signature for another node',
          { ...params, credential: credential('v1', path, { to: 'another' }) },
          'forbidden',
        ],
        [
          'a signature of another peer',
          { ...params, credential: credential('v1', path, { from: 'another' }) },
          'forbidden',
        ],
        [
          'an old signature',
          { ...params, credential: credential('v1', path, { timestamp: clock.now() - 60001 }) },
          'forbidden',
        ],
        [
          'an early signature',
          { ...params, credential: credential('v1', path, { timestamp: clock.now() + 60001 }) },
          'forbidden',
        ],
      ]
      for (const [what, asked, code] of cases) await assert.rejects(ask(asked), refusedWith(code), what)
      const once = { ...params, credential: credential('v1', path) }
      await ask(once)
      await assert.rejects(ask(once), refusedWith('forbidden'), 'a signature that was used')
    })

    it('is shown to a household with its own transactions, changes of the registry, and the hashes of all others', async () => {
      assert.deepEqual(shown(await askWith('ann', 0)), ['mine', 'bought', '-'])
      assert.deepEqual(shown(await askWith('ann', 1)), ['fix-mine', '-', 'late'])
      assert.deepEqual(shown(await askWith('cem', 1)), ['-', 'fix-theirs', '-'])
      assert.deepEqual(shown(await askWith('ann', 2)), ['enrol-dee'])
      const { transactions, header } = await askWith('cem', 0)
      assert.equal(merkleRoot(transactions.map(leafOf)), header.merkle_root)
    })

    it('beside the chain is shown by the same rules, corrections of trades that only its branch has are hidden', async () => {
      const branch = base.grow('x1').add([correction('x2', 'fix-x', 'x1.1'), correction('x2', 'fix-mine', 'mine')])
      await node.cast(street.vote('v1', chain.tip))
      assert.equal(await node.acceptAll(branch), 'beside')
      const block_hash = branch.tip.hash
      const path = blockPath(block_hash, 0)
      const asked = (id: string) => ask({ block_hash, from_index: 0, ...access(id, path) })
      assert.deepEqual(shown(await asked('ann')), ['-', 'fix-mine'])
      assert.deepEqual(shown(await asked('v1')), ['fix-x', 'fix-mine'])
      assert.equal((await node.chain.headerOf(hashOf(chain, 2))).header.height, 2)
    })

    describe('beside the chain', () => {
      const next = namedKey('v2, later')
      const fields = { subject_id: 'v2', public_key: next.publicKey } as const
      const rotation = street.change('rotate-v2', namedKey('v2'), { action: 'rotate', ...fields })
      const askAs = (id: string, branch: Branch, height: number, key = namedKey(id)) => {
        const path = blockPath(hashOf(branch, height), 0)
        return ask({ block_hash: hashOf(branch, height), from_index: 0, ...access(id, path, { key }) })
      }
      /** The chain goes on, and another branch leaves it above `base`, with no more acks. */
      async function fork(main: Branch, beside: Branch): Promise<void> {
        await node.acceptAll(main)
        await node.cast(street.vote('v1', main.tip))
        assert.equal(await node.acceptAll(beside), 'beside')
        assert.equal(node.tip().hash, main.tip.hash)
      }

      it('is shown to the key that its voter has there, whichever the chain has by now', async () => {
        const beside = base.grow('x1', 'x2')
        await fork(chain.add([rotation]), beside)
        assert.deepEqual(shown(await askAs('v2', beside, 2)), ['x2.1'])
        assert.deepEqual(shown(await askAs('v2', beside, 2, next)), ['x2.1'])
      })

      it('is shown to a key that its branch alone has, from the block on that brought it', async () => {
        const beside = base.add([rotation]).grow('x2')
        await fork(chain, beside)
        assert.deepEqual(shown(await askAs('v2', beside, 2, next)), ['x2.1'])
        await assert.rejects(askAs('v2', beside, 1, next), refusedWith('forbidden'))
        await assert.rejects(askAs('v2', chain, 2, next), refusedWith('forbidden'))
        // By the chain it is the other one still, which has to judge the branch.
        assert.deepEqual(shown(await askAs('v2', beside, 2)), ['x2.1'])
      })

      it('is shown to a household whose key the chain has replaced as far as it may see it', async () => {
        const beside = base.add([trade('x1', 'x-mine'), trade('x1', 'x-theirs', { from_user_id: 'cem' })])
        const later = namedKey('ann, later').publicKey
        const change = { action: 'rotate', subject_id: 'ann', public_key: later } as const
        await fork(chain.add([street.change('rotate-ann', namedKey('ann'), change)]), beside)
        assert.deepEqual(shown(await askAs('ann', beside, 1)), ['x-mine', '-'])
      })

      it('is not shown to a key that the chain has revoked', async () => {
        const beside = base.grow('x1')
        const revoke = { action: 'revoke', subject_id: 'v2' } as const
        const more = street.change('enrol-v3', namedKey('v3'), {
          action: 'enrol',
          subject_id: 'v3',
          role: 'validator',
          public_key: namedKey('v3').publicKey,
        })
        const main = chain.add([more]).add([street.change('revoke-v2', namedKey('authority'), revoke)])
        await fork(main, beside)
        await assert.rejects(askAs('v2', beside, 1), refusedWith('unknown_voter'))
        // On the chain it acks the blocks up to that one, and no other.
        await askAs('v2', main, 4)
      })

      it('is not shown to a key that the chain has given up by a recovery, nor to what it made of itself there', async () => {
        const beside = base.grow('x1').add([rotation]).grow('x3')
        const second = namedKey('v2, third').publicKey
        const recover = { action: 'recover', subject_id: 'v2', public_key: namedKey('v2, safe').publicKey } as const
        const recovered = chain.add([street.change('recover-v2', namedKey('v2 recovery'), recover)])
        const again = { action: 'rotate', subject_id: 'v2', public_key: second } as const
        await fork(recovered.add([street.change('rotate-again', namedKey('v2, safe'), again)]), beside)
        await assert.rejects(askAs('v2', beside, 1), refusedWith('unknown_voter'))
        await assert.rejects(askAs('v2', beside, 3, next), refusedWith('unknown_voter'))
        assert.deepEqual(shown(await askAs('v2', beside, 1, namedKey('v2, third'))), ['x1.1'])
      })

      it('is not shown any more once its height is final', async () => {
        const beside = base.grow('x1')
        const main = chain.add([rotation])
        await fork(main, beside)
        await askAs('v2', beside, 1)
        await node.cast(street.vote('v1', main.at(2)), street.vote('v2', main.at(2)))
        assert.equal(node.finalizer.finalHeight, 2)
        await assert.rejects(askAs('v2', beside, 1), refusedWith('forbidden'))
      })
    })

    it('that is not here is unknown, to who may ask', async () => {
      const block_hash = 'f'.repeat(64)
      await assert.rejects(ask({ block_hash, from_index: 0 }), refusedWith('forbidden'))
      const params = { block_hash, from_index: 0, credential: credential('v1', blockPath(block_hash, 0)) }
      // Nothing of the credential is used up for what is not there.
      await assert.rejects(ask(params), refusedWith('unknown_block'))
      await assert.rejects(ask(params), refusedWith('unknown_block'))
    })

    it('is shown page by page to who may read it at that moment: who was shown one has no claim to the next', async () => {
      await askWith('v1', 0)
      const again = { block_hash: hashOf(chain, 1), from_index: 0 }
      await assert.rejects(ask(again), refusedWith('forbidden'))
      const rows = Array.from({ length: 11_000 }, (_, n) => trade('t3', `a-trade-of-a-large-tick-${n}`))
      const large = chain.add(rows)
      await node.acceptAll(large)
      const block_hash = hashOf(large, 3)
      const page = (from_index: number) =>
        ask({ block_hash, from_index, credential: credential('v2', blockPath(block_hash, from_index)) })
      const { next_index } = await page(0)
      assert.ok(next_index !== null && next_index > 0)
      const rotate = { action: 'rotate', subject_id: 'v2', public_key: namedKey('v2, later').publicKey } as const
      const after = large.add([street.change('rotate-v2', namedKey('v2'), rotate)])
      assert.equal(await node.acceptAll(after), 'on_chain')
      // While the block is not final its former key may have to ack it.
      await page(next_index)
      await node.cast(...['v1', 'v2'].map((voter) => street.vote(voter, after.tip)))
      assert.equal(node.finalizer.finalHeight, 4)
      await assert.rejects(page(next_index), refusedWith('forbidden'))
    })

    it('larger than a message comes in pages that leave out nothing', async () => {
      const rows = Array.from({ length: 11_000 }, (_, n) => trade('t3', `a-trade-of-a-large-tick-${n}`))
      const large = chain.add(rows)
      assert.equal(await node.acceptAll(large), 'on_chain')
      const block = large.blocks[3]!
      const block_hash = hashHeader(block.header)
      const first = await ask({ block_hash, from_index: 0, token: TOKEN })
      assert.equal(first.next_index, first.transactions.length)
      const bytes = JSON.stringify(first).length
      assert.ok(bytes < 0.6 * 1024 * 1024 && bytes > 0.4 * 1024 * 1024, String(bytes))
      const sign = signerOf('v1', 'another')
      const fetched = await fetchBlock({ requests: peers.of('another'), sign, clock }, 'server', block, neverAsked)
      assert.deepEqual(fetched.transactions.map(leafOf), rows.map(hashTransaction))
      const end = await ask({ block_hash, from_index: 11_000, token: TOKEN })
      assert.deepEqual([end.transactions, end.next_index], [[], null])
      await assert.rejects(ask({ block_hash, from_index: 11001, token: TOKEN }), refusedWith('out_of_range'))
    })

    it('with the largest payloads comes in pages of as many transactions as a page must have', async () => {
      const payload = Buffer.concat([Buffer.from('age-encryption.org/v1\n'), Buffer.alloc(4_074, 7)]).toString('base64')
      const rows = Array.from({ length: 600 }, (_, n) => trade('t3', `rich-${n}`, { payload }))
      const rich = chain.add(rows)
      assert.equal(await node.acceptAll(rich), 'on_chain')
      const block = rich.blocks[3]!
      const first = await ask({ block_hash: hashHeader(block.header), from_index: 0, token: TOKEN })
      assert.equal(first.transactions.length, MIN_TRANSACTIONS_OF_PAGE)
      assert.ok(JSON.stringify(first).length < MAX_RESPONSE_BYTES / 2)
      const sign = signerOf('v1', 'another')
      const fetched = await fetchBlock({ requests: peers.of('another'), sign, clock }, 'server', block, neverAsked)
      assert.deepEqual(fetched.transactions, rows)
      const asked = { height: 3, ...access('ann', tradesPath(3)) }
      const own = tradesAnswer(await peers.of('asker').request('server', 'trades', asked), 'trades')
      assert.equal(own.trades.length, MIN_TRADES_OF_PAGE)
      assert.ok(JSON.stringify(own).length < MAX_RESPONSE_BYTES / 2)
    })

    it('is fetched by a household as far as it may see it, and not taken for whole', async () => {
      const block = chain.blocks[0]!
      const parts = { requests: peers.of('asker'), sign: signerOf('ann'), clock }
      const answer = await fetchShownBlock(parts, 'server', block)
      assert.deepEqual(answer.transactions.map(leafOf), block.transactions.map(hashTransaction))
      await assert.rejects(fetchBlock(parts, 'server', block, neverAsked), refusedWith('redacted'))
    })
  })
  const signerOf = (id: string, from = 'asker') =>
    createCredentialSigner({
      chainId: street.chainId,
      requests: { id: from },
      ...(VOTERS.includes(id) && { membership: () => Promise.resolve(membership(id)) }),
      voterId: () => id,
      key: () => Promise.resolve(namedKey(id)),
      clock,
      randomBytes: (length) => new Uint8Array(length).fill(++nonces),
    })

  describe('own trades', () => {
    const own = async (id: string, height: number, changes: Parameters<typeof credential>[2] = {}) =>
      tradesAnswer(
        await peers.of('asker').request('server', 'trades', { height, ...access(id, tradesPath(height), changes) }),
        'trades',
      ).trades

    it('come with their proofs, corrections of them too, and nobody else\u2019s', async () => {
      const expected: readonly (readonly [string, number, readonly string[]])[] = [
        ['ann', 0, ['mine', 'bought']],
        ['ann', 1, ['fix-mine', 'late']],
        ['ben', 0, ['mine', 'theirs']],
        ['cem', 1, ['fix-theirs']],
        ['ann', 2, []],
        ['v1', 0, []],
      ]
      for (const [id, height, ids] of expected) {
        const trades = await own(id, height)
        assert.deepEqual(
          trades.map(({ transaction }) => transaction.id),
          ids,
          `${id} ${height}`,
        )
        const { header } = chain.blocks[height]!
        for (const { transaction, merkle_proof } of trades) {
          assert.ok(verifyMerkleProof(hashTransaction(transaction), merkle_proof, header).ok)
        }
      }
    })

    it('come page by page to who is a party of thousands, each block of corrected trades read once', async () => {
      const ids = Array.from({ length: 2_500 }, (_, index) => `t${index}`)
      const grown = chain
        .add(
          ids.map((id, index) => trade('many', id, index % 8 !== 0 ? {} : { from_user_id: 'cem', to_user_id: 'ben' })),
        )
        .add(ids.map((id) => correction('late', `${id}.late`, id)))
      await node.acceptAll(grown)
      for (const height of [3, 4]) {
        const found: string[] = []
        let pages = 0
        for (let from: number | undefined = 0; from !== undefined; pages++) {
          const asked = {
            height,
            ...access('ann', tradesPath(height, from)),
            ...(from > 0 && { from_index: from }),
          }
          const page = tradesAnswer(await peers.of('asker').request('server', 'trades', asked), 'trades')
          assert.ok(page.next_index === undefined || page.trades.length >= MIN_TRADES_OF_PAGE)
          for (const { transaction, merkle_proof } of page.trades) {
            found.push(transaction.id)
            assert.ok(verifyMerkleProof(hashTransaction(transaction), merkle_proof, grown.blocks[height]!.header).ok)
          }
          from = page.next_index
        }
        assert.deepEqual(
          found,
          grown.blocks[height]!.transactions.flatMap((tx, index) => (index % 8 !== 0 ? [tx.id] : [])),
        )
        assert.ok(pages > 1, `${pages} page`)
      }
      await assert.rejects(
        peers.of('asker').request('server', 'trades', {
          ...{ height: 3, from_index: 2_501, ...access('ann', tradesPath(3, 2_501)) },
        }),
        refusedWith('out_of_range'),
      )
      const other = { height: 3, from_index: 5, ...access('ann', tradesPath(3)) }
      await assert.rejects(peers.of('asker').request('server', 'trades', other), refusedWith('forbidden'))
    })

    it('are for who signs for this block, now, once', async () => {
      await assert.rejects(own('ann', 0, { key: namedKey('ben') }), refusedWith('forbidden'))
      await assert.rejects(own('ann', 0, { path: tradesPath(1) }), refusedWith('forbidden'))
      await assert.rejects(own('ann', 0, { timestamp: clock.now() - 60001 }), refusedWith('forbidden'))
      await assert.rejects(own('dan', 0), refusedWith('unknown_voter'))
      const id = 'ab'.repeat(16)
      await own('ann', 0, { id })
      await assert.rejects(own('ann', 0, { id }), refusedWith('forbidden'))
    })

    it('are those of the user whom the certificate names, whatever the device is called', async () => {
      const trades = async (id: string, shown: Membership | undefined) =>
        tradesAnswer(
          await peers.of('asker').request('server', 'trades', {
            ...{ height: 0, credential: credential(id, tradesPath(0)) },
            ...(shown !== undefined && { membership: shown }),
          }),
          'trades',
        ).trades.map(({ transaction }) => transaction.id)
      // A device that is called as a neighbour, whose user has another name.
      assert.deepEqual(await trades('ann', membership('ann', { user_id: 'mallory' })), [])
      assert.deepEqual(await trades('ann', membership('ann', { user_id: 'cem' })), ['bought', 'theirs'])
      const now = clock.now()
      const refused: readonly (readonly [string, Membership | undefined])[] = [
        ['none', undefined],
        ['that of another device', membership('ben')],
        ['one of another chain', membership('ann', { chain_id: 'f'.repeat(64) })],
        ['an expired one', membership('ann', { issued_at: now - 10, expires_at: now })],
        ['one for too long', membership('ann', { expires_at: now + 90 * 24 * 3_600_000 + 1 })],
        ['one of its own making', membership('ann', {}, namedKey('ann'))],
        ['one of a validator', membership('ann', { issuer: 'v1' }, namedKey('v1'))],
        ['one that was changed', { ...membership('ann'), user_id: 'ben' }],
      ]
      for (const [what, shown] of refused) {
        await assert.rejects(trades('ann', shown), refusedWith('no_membership'), what)
      }
    })

    it('are refused to a key that was revoked since, but of the blocks up to that one while they are not final', async () => {
      const revoke = { action: 'revoke', subject_id: 'ann' } as const
      const revoked = chain.add([street.change('revoke-ann', namedKey('authority'), revoke)]).grow('t4')
      await node.acceptAll(revoked)
      const { height } = revoked.tip
      assert.equal((await own('ann', 0)).length, 2)
      await own('ann', height - 1)
      await assert.rejects(own('ann', height), refusedWith('unknown_voter'))
      await assert.rejects(own('ann', 0, { key: namedKey('ben') }), refusedWith('unknown_voter'))
      await node.cast(...['v1', 'v2'].map((id) => street.vote(id, revoked.tip)))
      await assert.rejects(own('ann', 0), refusedWith('unknown_voter'))
    })
  })
})
