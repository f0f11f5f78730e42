import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { historyLeaf, MemoryTree } from '../../../src/protocol/history.ts'
import { merkleProof } from '../../../src/protocol/merkle.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { verifyVote, voteShape, type Vote } from '../../../src/protocol/vote.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { copyOf } from '../../vectors/case.ts'
import { CHAIN_ID, GENESIS, REGISTRY, sealTestChain } from '../../vectors/chain-cases.ts'
import { testKey, testSecretHex } from '../../vectors/keys.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { hasPython, runPython } from './python.ts'

const CHAIN = sealTestChain([3, 1, 2, 4, 1, 1, 2, 5])
const HISTORY = new MemoryTree(CHAIN.map((block) => historyLeaf(block.hash)))

/** What the HTTP table of docs/protocol.md says for the calls of a light client, over a fixed chain. */
function answerOf(url: URL, votes: Vote[], body: string): { status: number; json: unknown } {
  const number = (name: string) => Number(url.searchParams.get(name))
  const [, room, hash = '', what] = url.pathname.split('/')
  const at = CHAIN.findIndex((block) => block.hash === hash)
  const block = CHAIN[at]
  const ok = (json: unknown) => ({ status: 200, json })
  if (room === 'genesis') return ok({ chain_id: CHAIN_ID, genesis: GENESIS })
  if (room === 'history' && hash === 'inclusion') return ok(HISTORY.inclusion(number('height'), number('size')))
  if (room === 'history') return ok(HISTORY.consistency(number('from'), number('to')))
  if (hash === 'latest-headers') {
    const headers = CHAIN.slice(-number('n')).map((b) => ({ ...b.sealed, header_hash: b.hash, status: 'final' }))
    return ok({ chain_id: CHAIN_ID, tip_height: CHAIN.length - 1, headers })
  }
  if (block === undefined) return { status: 404, json: { code: 'unknown_block' } }
  if (what === 'votes') return ok({ votes: votes.map((vote) => ({ vote, entry: REGISTRY.entry(vote.voter_id) })) })
  if (what === 'vote') {
    const vote = voteShape(JSON.parse(body), 'vote')
    const verdict = verifyVote(vote, CHAIN_ID, { hash, height: at }, REGISTRY.entry(vote.voter_id))
    if (!verdict.ok) return { status: 403, json: { code: verdict.code } }
    votes.push(vote)
    return {
      status: 202,
      json: { header_hash: hash, status: 'final', votes: { ack: votes.length, reject: 0, required: 0 } },
    }
  }
  const hashes = block.transactions.map(hashTransaction)
  const { searchParams } = url
  const index = block.transactions.findIndex(
    (tx, i) => tx.id === searchParams.get('tx_id') || hashes[i] === searchParams.get('tx_hash'),
  )
  if (index < 0) return { status: 404, json: { code: 'unknown_transaction' } }
  const { merkle_root } = block.sealed.header
  return ok({ block_hash: hash, tx_hash: hashes[index], merkle_root, ...merkleProof(hashes, index) })
}

type Answer = Record<string, object> & {
  path: string[]

  headers: { header: Record<string, unknown>; signature: string; header_hash: string }[]
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  return body
}

/** Changes the last header and seals it again with the right key: only what it says is wrong. */
function rewrite(answer: Answer, change: Record<string, unknown>): void {
  const header = { ...CHAIN.at(-1)!.sealed.header, ...change }
  Object.assign(answer.headers[4]!, sealHeader(header, testKey('authority')), { header_hash: hashHeader(header) })
}

type Lie = readonly [name: string, path: RegExp, change: (answer: Answer) => void, complaint: RegExp]
const LIES: readonly Lie[] = [
  [
    'another genesis',
    /genesis/,
    (a) => Object.assign(a.genesis!, { name: 'Another street' }),
    /not that of the pinned chain/,
  ],
  ['a genesis with a field more', /genesis/, (a) => Object.assign(a.genesis!, { note: '' }), /unknown field/],
  ['a changed header', /latest/, (a) => (a.headers[2]!.header.tx_count = 9), /another header hash/],
  ['another header hash', /latest/, (a) => (a.headers[4]!.header_hash = '0'.repeat(64)), /another header hash/],
  ['headers that do not link', /latest/, (a) => a.headers.splice(2, 1), /wrong height/],
  ['headers in another order', /latest/, (a) => a.headers.reverse(), /wrong height/],
  ['a tip left out', /latest/, (a) => a.headers.pop(), /another tip height/],
  [
    'the seal of another header',
    /latest/,
    (a) => (a.headers[4]!.signature = a.headers[3]!.signature),
    /not sealed by this key/,
  ],
  ['a resealed history', /latest/, (a) => rewrite(a, { history_root: '0'.repeat(64) }), /another (root|history)/],
  [
    'a resealed registry',
    /latest/,
    (a) => rewrite(a, { registry_root: '0'.repeat(64) }),
    /registry is not that of the genesis/,
  ],
  ['a seal of a voter', /latest/, (a) => rewrite(a, { miner_id: 'alice' }), /sealed by nobody who may/],
  ['a header from the future', /latest/, (a) => rewrite(a, { timestamp: 9e15 }), /from the future/],
  ['another consistency proof', /consistency/, (a) => Object.assign(a, HISTORY.consistency(4, 7)), /other sizes/],
  ['a broken inclusion proof', /inclusion/, (a) => a.path.reverse(), /another root/],
  [
    'a proof of another transaction',
    /merkle-proof/,
    (a) => Object.assign(a, { tx_hash: '0'.repeat(64) }),
    /another (root|transaction)/,
  ],
  ['a proof at another index', /merkle-proof/, (a) => Object.assign(a, { index: 0 }), /another root/],
  ['votes without the vote', /votes/, (a) => Object.assign(a, { votes: [] }), /does not show the vote/],
]

function withPython(): void {
  describe('a client in Python that shares no code with the server', () => {
    let server: Server
    let folder: string
    let votes: Vote[]
    let lie: Lie | undefined

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'solar-client-'))
      writeFileSync(join(folder, 'alice.key'), `${testSecretHex('alice')}\n`)
      writeFileSync(join(folder, 'bob.key'), testSecretHex('bob'))
      votes = []
      lie = undefined
      server = createServer((request, response) => {
        void bodyOf(request).then((body) => {
          const { status, json } = answerOf(new URL(request.url ?? '', 'http://localhost'), votes, body)
          const answer = copyOf(json) as Answer
          if (status === 200 && lie?.[1].test(request.url ?? '')) lie[2](answer)
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
        })
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    })
    afterEach(async () => {
      await new Promise((resolve) => server.close(resolve))
      rmSync(folder, { recursive: true })
    })

    const client = (chainId: string, ...args: readonly string[]) =>
      runPython('client.py', [`http://127.0.0.1:${(server.address() as AddressInfo).port}`, chainId, ...args])
    const asAlice = () => ['--voter', 'alice', '--key', join(folder, 'alice.key')]

    it('checks genesis, headers, history, a proof, and casts a vote that counts', async () => {
      const { code, stdout, stderr } = await client(CHAIN_ID, '--tx-id', 'tx-tick-3-2', ...asAlice())
      assert.equal(stderr, '')
      assert.equal(code, 0)
      const tx = CHAIN[3]!.transactions[2]!
      const tip = CHAIN.at(-1)!.hash
      assert.deepEqual(JSON.parse(stdout), {
        chain_id: CHAIN_ID,
        headers: 5,
        tip,
        transaction: { tx_hash: hashTransaction(tx), block_hash: CHAIN[3]!.hash, height: 3 },
        vote: { header_hash: tip, status: 'final', votes: { ack: 1, reject: 0, required: 0 } },
      })
      assert.equal(votes.length, 1)
    })

    it('recomputes the history itself when it sees the chain from height 0', async () => {
      const { code, stdout } = await client(
        CHAIN_ID,
        '--headers',
        '100',
        '--tx-hash',
        hashTransaction(CHAIN[0]!.transactions[0]!),
      )
      assert.equal(code, 0)
      assert.equal((JSON.parse(stdout) as { headers: number }).headers, CHAIN.length)
    })

    it('refuses another chain than the pinned one', async () => {
      const { code, stderr } = await client('0'.repeat(64))
      assert.equal(code, 1)
      assert.match(stderr, /not that of the pinned chain/)
    })

    it('finds no transaction that is not there', async () => {
      const { code, stderr } = await client(CHAIN_ID, '--tx-id', 'nothing')
      assert.equal(code, 1)
      assert.match(stderr, /no block of the last 5/)
    })

    it('casts no vote with the key of somebody else', async () => {
      const { code, stderr } = await client(CHAIN_ID, '--voter', 'alice', '--key', join(folder, 'bob.key'))
      assert.equal(code, 1)
      assert.match(stderr, /403.*bad_signature/)
      assert.equal(votes.length, 0)
    })

    for (const [name, path, change, complaint] of LIES) {
      it(`refuses a server that shows ${name}`, async () => {
        lie = [name, path, change, complaint]
        const { code, stdout, stderr } = await client(CHAIN_ID, '--tx-id', 'tx-tick-3-2', ...asAlice())
        assert.equal(code, 1, stdout)
        assert.match(stderr, complaint)
        assert.equal(votes.length, name.startsWith('votes') ? 1 : 0)
      })
    }
  })
}

if (hasPython) withPython()
