import assert from 'node:assert/strict'
import { verifyOwnTrades, type OwnTradesParts } from '../../../src/engine/own-trades.ts'
import type { CheckedTrade } from '../../../src/ports/light-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { PeerRequests } from '../../../src/ports/peer-requests.ts'
import { merkleTree } from '../../../src/protocol/merkle.ts'
import { tradesParams } from '../../../src/protocol/messages.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { createStreet, namedKey, STREET_TIME, trade } from '../../helpers/branches.ts'
import { realClock } from '../../helpers/network.ts'
import { signRequest } from '../../helpers/sign-now.ts'

const street = createStreet({ voters: ['ann'] })
const rows = Array.from({ length: 1_000 }, (_, n) => trade('t0', `trade-${n}`))
const [sealed] = street.start.add(rows).blocks
const tree = merkleTree(rows.map(hashTransaction))
const PAGE = 300

describe('a household that asks for its own trades', () => {
  /** Pages that each peer was asked for. */
  let asked: Map<string, number>
  let kept: readonly CheckedTrade[]
  let alarms: string[]

  beforeEach(() => {
    asked = new Map()
    kept = []
    alarms = []
  })

  /** Each peer answers page by page; what it changes a trade into goes with the proof of the real one. */
  const verify = (peers: Readonly<Record<string, (n: number) => (typeof rows)[0]>>) => {
    const requests: PeerRequests = {
      id: 'household',
      serve: () => undefined,
      peers: () => Object.keys(peers),
      onConnect: () => () => undefined,
      vouch: () => undefined,
      request: (peer, name, params) => {
        if (name !== 'trades') return Promise.reject(new Error(`${name} is not answered`))
        asked.set(peer, (asked.get(peer) ?? 0) + 1)
        const from = tradesParams(params, 'trades').from_index ?? 0
        const end = Math.min(rows.length, from + PAGE)
        const trades = Array.from({ length: end - from }, (_, at) => ({
          transaction: peers[peer]!(from + at),
          merkle_proof: tree.proof(from + at),
        }))
        return Promise.resolve({ trades, ...(end < rows.length && { next_index: end }) })
      },
    }
    const parts: OwnTradesParts = {
      amountDecimals: 6,
      requests,
      clock: realClock(),
      signAs: () => (to, path) => {
        const request = {
          method: 'P2P',
          path,
          timestamp: STREET_TIME,
          id: '0'.repeat(32),
          from: 'household',
          to,
        } as const
        return Promise.resolve({ credential: signRequest('ann', street.chainId, request, namedKey('ann')) })
      },
      store: {
        putTrades: (trades) => {
          kept = trades
          return Promise.resolve()
        },
      },
      logger: silentLogger,
      onVerified: () => undefined,
      onAlarm: (code) => alarms.push(code),
    }
    return verifyOwnTrades(parts, sealed!, { id: 'ann', key: namedKey('ann') })
  }

  const honest = (n: number) => rows[n]!
  const liar = (n: number) => ({ ...rows[n]!, id: `made-up-${n}` })

  it('keeps each trade once, whoever shows it', async () => {
    assert.deepEqual(await verify({ a: honest, b: honest }), { ok: true })
    assert.deepEqual(kept.map(({ transaction }) => transaction.id).sort(), rows.map(({ id }) => id).sort())
    assert.deepEqual([...asked.values()], [4, 4])
  })

  it('asks a peer for no more once a trade is not in the block, and hears the others', async () => {
    assert.deepEqual(await verify({ liar, honest }), { ok: true })
    assert.equal(asked.get('liar'), 1)
    assert.equal(kept.length, rows.length)
    assert.deepEqual(alarms, ['wrong_merkle_root'])
  })

  it('takes no trade of a block of which nobody gives what is in it', async () => {
    const verdict = await verify({ liar, another: liar })
    assert.equal(verdict.ok, false)
    assert.deepEqual(kept, [])
    assert.deepEqual([...asked.values()], [1, 1])
  })
})
