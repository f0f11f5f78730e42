import assert from 'node:assert/strict'
import '../../../src/network/node-shims.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import { PER_KEY, WRONG_PER_ADDRESS } from '../../../src/http/rate-limits.ts'
import { decodePostedRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import { DEVICES, type MemoryLedger } from '../../helpers/memory-ledger.ts'
import { signObject, signVote } from '../../helpers/sign-now.ts'
import { change, freshKey, ORDER, sealOne, startServer, type TestServer } from './harness.ts'

describe('HTTP, for those who share an address with others', () => {
  let server: TestServer
  afterEach(() => server.stop())

  const place = (orderId: string) => {
    const order = { ...ORDER, order_id: orderId }
    const signature = signObject('order', server.ledger.chainId, order, DEVICES['household-7.phone'].key)
    return server.request('POST', '/orders/', { body: { ...order, signature } })
  }
  const post = (transaction: object) => server.request('POST', '/registry/', { body: transaction })
  const rotationOf = (device: 'household-7.phone' | 'household-9.phone') => {
    const fields = { subject_id: device, public_key: freshKey().publicKey } as const
    return change(server.ledger, DEVICES[device].key, { action: 'rotate', ...fields })
  }
  const votes = async () => {
    const { blockHash } = await sealOne(server)
    const { height } = (await server.ledger.block(blockHash)).header
    const body = { chain_id: server.ledger.chainId, header_hash: blockHash, height, voter_id: 'household-7.phone' }
    const good = signVote({ ...body, decision: 'ack' }, DEVICES['household-7.phone'].key)
    const cast = async (vote: object) => {
      const { status, json } = await server.request('POST', `/blocks/${blockHash}/vote/`, { body: vote })
      return [status, json.code]
    }
    return { good, cast }
  }

  it('a change that is being sealed holds up nobody', async () => {
    const sealing = Promise.withResolvers<undefined>()
    const begun = Promise.withResolvers<undefined>()
    const wrap = (ledger: MemoryLedger): Ledger => ({
      ...ledger,
      async register(...asked) {
        begun.resolve(undefined)
        await sealing.promise
        return await ledger.register(...asked)
      },
    })
    server = await startServer({ wrap })
    const slow = post(rotationOf('household-9.phone'))
    await begun.promise
    assert.equal((await place('meanwhile')).status, 201)
    sealing.resolve(undefined)
    assert.equal((await slow).status, 202)
  })

  it('no more changes are in hand than may turn out wrong, and the others follow', async () => {
    const full = Promise.withResolvers<undefined>()
    let inHand = 0
    let most = 0
    const wrap = (ledger: MemoryLedger): Ledger => ({
      ...ledger,
      async register(...asked) {
        most = Math.max(most, ++inHand)
        if (inHand === WRONG_PER_ADDRESS) full.resolve(undefined)
        await full.promise
        inHand--
        return await ledger.register(...asked)
      },
    })
    server = await startServer({ wrap })
    const transaction = rotationOf('household-9.phone')
    await server.ledger.register(decodePostedRegistryTransaction(transaction))
    const answers = await Promise.all(Array.from({ length: 5 * WRONG_PER_ADDRESS }, () => post(transaction)))
    assert.ok(answers.every(({ status }) => status === 202))
    assert.equal(most, WRONG_PER_ADDRESS)
  })

  it('wrong signatures of votes count as others do', async () => {
    server = await startServer()
    const { good, cast } = await votes()
    const wrong = { ...good, decision: 'reject' }
    const told = await Promise.all(Array.from({ length: 2 * WRONG_PER_ADDRESS }, () => cast(wrong)))
    assert.ok(told.some(([, code]) => code === 'bad_signature'))
    assert.ok(told.some(([, code]) => code === 'too_many_requests'))
    assert.ok(told.every(([, code]) => code === 'bad_signature' || code === 'too_many_requests'))
  })

  it('a vote that others send again uses up nothing of its voter', async () => {
    server = await startServer()
    const { good, cast } = await votes()
    const told = await Promise.all(Array.from({ length: 3 * PER_KEY }, () => cast(good)))
    assert.ok(told.every(([status]) => status === 202))
  })
})
