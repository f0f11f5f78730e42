import assert from 'node:assert/strict'
import { fetchBlock } from '../../../src/engine/block-fetcher.ts'
import { createCredentialSigner } from '../../../src/engine/credential-signer.ts'
import { createHolePatience } from '../../../src/engine/hole-patience.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { PeerRequests } from '../../../src/ports/peer-requests.ts'
import type { Block } from '../../../src/protocol/block.ts'
import { invalid, isSolarError } from '../../../src/protocol/errors.ts'
import { sha256 } from '../../../src/protocol/hash.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { MAX_PAYLOADS_PER_BLOCK } from '../../../src/protocol/limits.ts'
import { blockParams, blockPath, type BlockParams } from '../../../src/protocol/messages.ts'
import { verifyCredential } from '../../../src/protocol/request.ts'
import { hashTransaction, type Trade } from '../../../src/protocol/transaction.ts'
import { CHAIN, sealed, T0, trade } from '../../contract/fixtures.ts'
import { createPeers } from '../../helpers/peers.ts'
import { signingKeyFromSecret } from '../../helpers/sign-now.ts'

const key = signingKeyFromSecret(sha256('whoever asks for blocks'))
const clock = { now: () => T0, after: () => () => undefined }
const sign = createCredentialSigner({
  chainId: CHAIN,
  requests: { id: 'me' },
  voterId: () => 'asker',
  key: () => Promise.resolve(key),
  clock,
  randomBytes: (length) => sha256(`${length}`).subarray(0, length),
})

/** The peer proves of no block that it is final. */
const neverFinal = () => Promise.resolve(invalid('no_quorum', 'nobody has acked it'))

const blockOf = (transactions: readonly Trade[]): Block => ({
  ...sealed(0, transactions),
  transactions: [...transactions],
})

const trades = Array.from({ length: 700 }, (_, n) => trade('t1', `trade-${n}`))
const block = blockOf(trades)

/** A peer that answers each request for a block as the test says. */
function peerThat(answer: (params: BlockParams) => object): { readonly requests: PeerRequests; asked: BlockParams[] } {
  const asked: BlockParams[] = []
  const requests: PeerRequests = {
    id: 'me',
    serve: () => undefined,
    vouch: () => undefined,
    peers: () => ['peer'],
    onConnect: () => () => undefined,
    request: (peer, name, params) => {
      assert.deepEqual([peer, name], ['peer', 'block'])
      asked.push(blockParams(params, 'params'))
      return Promise.resolve(answer(blockParams(params, 'params')))
    },
  }
  return { requests, asked }
}

/** Pages of 300 transactions, honest. */
function pageOf({ header, signature, transactions }: Block, { from_index }: BlockParams) {
  const end = Math.min(from_index + 300, transactions.length)
  const next_index = end < transactions.length ? end : null
  return { header, signature, transactions: transactions.slice(from_index, end), next_index }
}

describe('fetching a whole block from a peer', () => {
  it('puts its pages together, and signs for each', async () => {
    const { requests, asked } = peerThat((params) => pageOf(block, params))
    assert.deepEqual(await fetchBlock({ requests, sign, clock }, 'peer', block, neverFinal), block)
    assert.deepEqual(
      asked.map(({ from_index }) => from_index),
      [0, 300, 600],
    )
    for (const { block_hash, from_index, credential } of asked) {
      assert.equal(block_hash, hashHeader(block.header))
      assert.ok(credential !== undefined)
      assert.equal(credential.voter_id, 'asker')
      const received = { method: 'P2P', path: blockPath(block_hash, from_index), from: 'me', to: ['peer'] } as const
      assert.deepEqual(verifyCredential(credential, received, CHAIN, key.publicKey, T0), { ok: true })
    }
  })

  it('of one page takes one request', async () => {
    const small = blockOf(trades.slice(0, 2))
    const { requests, asked } = peerThat((params) => pageOf(small, params))
    assert.deepEqual(await fetchBlock({ requests, sign, clock }, 'peer', small, neverFinal), small)
    assert.equal(asked.length, 1)
  })

  it('ends where the payloads are more than a block has: a large block is no way to fill the memory', async () => {
    const payload = Buffer.concat([Buffer.from('age-encryption.org/v1\n'), Buffer.alloc(4_074, 7)]).toString('base64')
    const rich = trades.slice(0, 300).map((one) => ({ ...one, payload }))
    const { header, signature } = block
    const endless = { header: { ...header, tx_count: 100_000 }, signature }
    const { requests, asked } = peerThat(({ from_index }) => ({
      ...endless,
      transactions: rich,
      next_index: from_index + rich.length,
    }))
    await assert.rejects(
      fetchBlock({ requests, sign, clock }, 'peer', endless, neverFinal),
      (error) =>
        isSolarError(error, 'peer_refused') && (error.fields as { code: string }).code === 'payloads_too_large',
    )
    assert.equal(asked.length, Math.ceil((MAX_PAYLOADS_PER_BLOCK + 1) / (300 * payload.length)))
  })

  const other: Trade = { ...trade('t1', 'trade-699'), kwh: '3', total_amount: '0.6' }
  const redacted = { kind: 'redacted', tx_hash: hashTransaction(trades[0]!) }
  const first = (params: BlockParams) => pageOf(block, params)
  const cases: readonly (readonly [string, string, (params: BlockParams) => object])[] = [
    ['another block', 'wrong_header', (params) => pageOf(blockOf([other]), params)],
    ['fewer transactions', 'wrong_tx_count', (params) => ({ ...first(params), next_index: null })],
    ['more transactions', 'wrong_tx_count', (params) => ({ ...first(params), transactions: [...trades, other] })],
    [
      'another transaction',
      'wrong_merkle_root',
      (params) => ({ ...first(params), transactions: [...trades.slice(0, 699), other], next_index: null }),
    ],
    [
      'transactions in another order',
      'wrong_merkle_root',
      (params) => ({ ...first(params), transactions: trades.toReversed(), next_index: null }),
    ],
    [
      'a redacted transaction',
      'redacted',
      (params) => {
        const page = first(params)
        return params.from_index === 0 ? { ...page, transactions: [redacted, ...page.transactions.slice(1)] } : page
      },
    ],
    ['empty pages for ever', 'malformed', (params) => ({ ...first(params), transactions: [], next_index: 1 })],
    ['a page that skips', 'malformed', (params) => ({ ...first(params), next_index: 5 })],
    ['a page that goes back', 'malformed', (params) => ({ ...first(params), next_index: 1 })],
    ['no page at all', 'malformed', () => ({ block: 'here' })],
  ]
  for (const [what, code, answer] of cases) {
    it(`refuses ${what}`, async () => {
      const { requests, asked } = peerThat(answer)
      await assert.rejects(fetchBlock({ requests, sign, clock }, 'peer', block, neverFinal), (error) => {
        assert.ok(isSolarError(error, 'peer_refused'))
        assert.equal((error.fields as { code: string }).code, code)
        return true
      })
      assert.ok(asked.length <= 3)
    })
  }

  describe('for who has to keep all bodies', () => {
    const gone = { ...block, transactions: [redacted, ...trades.slice(1)] }
    const FINAL = () => Promise.resolve({ ok: true } as const)

    /** `peer` lacks the first body; the other has it, and answers as the test says. */
    function oneOfTwo(other: 'whole' | 'silent' | 'light' | 'unknown' | 'busy') {
      const peers = createPeers()
      for (const name of ['peer', 'other']) peers.connect('me', name)
      peers.of('peer').serve('block', () => Promise.resolve({ ...gone, next_index: null }))
      const status = { mode: 'light', chain_id: CHAIN, tip: null, final_height: null }
      if (other === 'light') peers.of('other').serve('status', () => Promise.resolve(status))
      if (other === 'whole') peers.of('other').serve('block', () => Promise.resolve({ ...block, next_index: null }))
      const block_hash = hashHeader(block.header)
      if (other === 'unknown') {
        peers.of('other').serve('block', () => Promise.reject(ledgerError('unknown_block', { block_hash })))
      }
      if (other === 'busy') {
        const failure = { store: 'level', operation: 'block', retryable: true, reason: 'the disk is busy' } as const
        peers.of('other').serve('block', () => Promise.reject(ledgerError('store_failed', failure)))
      }
      return peers.of('me')
    }

    it('waits a minute for a peer that may have a body and does not answer, and no longer', async () => {
      let now = T0
      const patience = createHolePatience({ now: () => now })
      const fetch = (other: Parameters<typeof oneOfTwo>[0]) =>
        fetchBlock({ requests: oneOfTwo(other), sign, clock }, 'peer', block, FINAL, patience)
      const waits = /nobody has shown the transaction [0-9a-f]{64} yet, and other did not answer/
      await assert.rejects(fetch('silent'), waits)
      now += 59_999
      await assert.rejects(fetch('silent'), waits)
      assert.deepEqual(await fetch('whole'), block)
      now += 1
      assert.equal((await fetch('silent')).transactions[0]?.kind, 'redacted')
      // All have answered: the next time is another one.
      assert.equal((await fetch('unknown')).transactions[0]?.kind, 'redacted')
      await assert.rejects(fetch('silent'), waits)
    })

    it('waits for a peer that fails: it may have the body', async () => {
      const patience = createHolePatience({ now: () => T0 })
      const fetched = fetchBlock({ requests: oneOfTwo('busy'), sign, clock }, 'peer', block, FINAL, patience)
      await assert.rejects(fetched, /nobody has shown/)
    })

    it('waits for nobody once another peer has shown the body', async () => {
      const requests = oneOfTwo('whole')
      const peers = () => ['never', ...requests.peers()]
      const request: PeerRequests['request'] = (peer, ...asked) =>
        peer === 'never' ? new Promise(() => undefined) : requests.request(peer, ...asked)
      assert.deepEqual(
        await fetchBlock({ requests: { ...requests, peers, request }, sign, clock }, 'peer', block, FINAL),
        block,
      )
    })

    it('counts no time in which nothing was waited for', () => {
      let now = T0
      const patience = createHolePatience({ now: () => now })
      const mayTake = (block: string) => patience.mayTake(block, ['other'])
      assert.equal(mayTake('first'), false)
      now += 50_000
      assert.equal(mayTake('first'), false)
      // The other has shown it; an hour later the next block lacks a body.
      now += 3_600_000
      assert.equal(mayTake('second'), false)
      now += 9_999
      assert.equal(mayTake('second'), false)
      now += 1
      assert.equal(mayTake('second'), true, 'a minute in all')
      assert.equal(mayTake('third'), true, 'and no other minute for each block')
      assert.equal(patience.mayTake('fourth', []), true)
      assert.equal(mayTake('fifth'), false)
    })

    it('waits for no light node, which has no bodies', async () => {
      const patience = createHolePatience({ now: () => T0 })
      const taken = await fetchBlock({ requests: oneOfTwo('light'), sign, clock }, 'peer', block, FINAL, patience)
      assert.equal(taken.transactions[0]?.kind, 'redacted')
    })
  })

  it('refuses crumbs: a page that is not the last has 256 transactions', async () => {
    const { requests, asked } = peerThat((params) => {
      const end = params.from_index + 255
      return { ...block, transactions: trades.slice(params.from_index, end), next_index: end }
    })
    await assert.rejects(fetchBlock({ requests, sign, clock }, 'peer', block, neverFinal), /255 .* at least 256/)
    assert.equal(asked.length, 1)
  })

  it('ends with a peer that lets each page wait: 30 s for a block, and 10 ms for each transaction', async () => {
    let now = T0
    const clock = { now: () => now, after: () => () => undefined }
    const { requests, asked } = peerThat((params) => {
      now += 30_000 + 700 * 10 + (asked.length === 1 ? 0 : 1)
      return pageOf(block, params)
    })
    await assert.rejects(fetchBlock({ requests, sign, clock }, 'peer', block, neverFinal), (error) => {
      assert.ok(isSolarError(error, 'peer_unreachable'))
      assert.match(error.message, /took longer than 37000 ms/)
      return true
    })
    assert.equal(asked.length, 2)
  })

  it('asks others for what is missing alone, from there on, until nothing is', async () => {
    const peers = createPeers()
    const asked: string[] = []
    const without = (...gone: readonly number[]) =>
      trades.map((tx, index) => (gone.includes(index) ? { kind: 'redacted', tx_hash: hashTransaction(tx) } : tx))
    const serve = (name: string, transactions: readonly object[]) => {
      peers.connect('me', name)
      peers.of(name).serve('block', (params) => {
        const { from_index } = blockParams(params, 'params')
        asked.push(`${name} ${from_index}`)
        return Promise.resolve(pageOf({ ...block, transactions } as Block, { from_index } as BlockParams))
      })
    }
    serve('peer', without(5, 650))
    serve('liar', without(650).with(5, other))
    serve('first', without(650))
    serve('second', without(5))
    const parts = { requests: peers.of('me'), sign, clock }
    assert.deepEqual(await fetchBlock(parts, 'peer', block, neverFinal), block)
    assert.deepEqual(asked.slice(0, 3), ['peer 0', 'peer 300', 'peer 600'])
    const others = asked.slice(3)
    assert.deepEqual(
      others.filter((name) => !/ (5|650)$/.test(name)),
      [],
      'only what is missing is asked for',
    )
  })
})
