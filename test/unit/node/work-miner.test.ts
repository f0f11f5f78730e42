import assert from 'node:assert/strict'
import { createWorkMiner } from '../../../src/node/work-miner.ts'
import type { Miner } from '../../../src/ports/miner.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Header } from '../../../src/protocol/header.ts'
import { searchNonce } from '../../../src/protocol/work.ts'
import { sealTestChain } from '../../vectors/chain-cases.ts'
import { spentMs } from '../../helpers/patience.ts'

const [block] = sealTestChain([1])
const header: Header = { ...block!.sealed.header, difficulty: 3 }
/** More than anybody will ever do. */
const endless: Header = { ...header, difficulty: 64 }

describe('the mining thread', () => {
  let miner: Miner
  beforeEach(() => {
    miner = createWorkMiner()
  })
  afterEach(() => miner.stop())

  const reasonOf = async (mining: Promise<unknown>): Promise<string> => {
    const error = await mining.then(
      () => assert.fail('it was mined'),
      (rejected: unknown) => rejected,
    )
    assert.ok(isSolarError(error, 'not_ready'), String(error))
    return error.message
  }

  it('finds the smallest nonce, and changes nothing else', async () => {
    assert.deepEqual(await miner.mine(header), { ...header, nonce: searchNonce(header, 0, 100_000) })
    assert.deepEqual(await miner.mine({ ...header, nonce: 5 }), await miner.mine(header))
  })

  it('mines one header after another, also if they come at once', async () => {
    const headers = [1, 2, 3].map((height) => ({ ...header, height }))
    const mined = await Promise.all(headers.map((one) => miner.mine(one)))
    assert.deepEqual(
      mined,
      headers.map((one) => ({ ...one, nonce: searchNonce(one, 0, 100_000) })),
    )
  })

  it('is broken off at once when it is stopped, and then mines nothing any more', async () => {
    await miner.mine(header)
    const mining = reasonOf(miner.mine(endless))
    const waiting = reasonOf(miner.mine(header))
    // Its thread is at work by now.
    await new Promise((resolve) => setImmediate(resolve))
    const begun = spentMs()
    await miner.stop()
    assert.ok(spentMs() - begun < 1_000)
    for (const reason of [await mining, await waiting, await reasonOf(miner.mine(header))]) {
      assert.match(reason, /^not ready: the node is stopping; /)
    }
  })

  it('can be stopped before it has mined anything, and twice', async () => {
    await miner.stop()
    await miner.stop()
    await reasonOf(miner.mine(header))
  })

  it('tells the caller why its thread broke down, and mines the next header in another', async () => {
    const broken = { ...header, miner_id: 'Stra\u00dfe' }
    assert.match(await reasonOf(miner.mine(broken)), /the mining thread failed: .*outside printable ASCII/)
    assert.equal((await miner.mine(header)).nonce, searchNonce(header, 0, 100_000))
  })
})
