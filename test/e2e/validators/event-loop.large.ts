import assert from 'node:assert/strict'
import { request } from 'node:http'
import { join } from 'node:path'
import { auditDirectory } from '../../../src/node/audit.ts'
import { MAX_TICK_BYTES, MAX_TRANSACTIONS_PER_BLOCK } from '../../../src/protocol/limits.ts'
import { canWatchLoop, watchLoop, type LoopWatch } from '../../helpers/loop-watch.ts'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  type RunningAuthority,
  type RunningLight,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

const NOW = Date.now()
/** Of them ann is a party. */
const OWN = 6_000
/** With them the tick nearly fills the body that a platform may send. */
const NAME_LENGTH = 56
/** At once, without pieces, the longest was above 2,000. */
const LIMIT_MS = 100

const longName = (name: string): string => name.padEnd(NAME_LENGTH, '-')
const rowAt = (n: number) => ({
  ...{ id: longName(`trade-${n}`), kwh: '1.5', price_per_kwh: '0', total_amount: '0', timestamp: NOW },
  ...{ from_user_id: n < OWN ? 'ann' : longName('somebody'), to_user_id: longName('somebody-else') },
})

/** Gives the beginning of the answer: what a client does with the rest is not watched. */
function call(url: string, method: string, token: string, sent?: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(sent && { 'content-type': 'application/json', 'content-length': sent.length }),
    }
    const asked = request(url, { method, headers }, (answer) => {
      let beginning = ''
      answer.on('data', (part: Buffer) => {
        if (beginning.length < 1_000) beginning += part.toString('latin1', 0, 1_000)
      })
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(beginning)
        else reject(new Error(`${method} ${url}: ${answer.statusCode}, ${beginning}`))
      })
    })
    asked.on('error', reject)
    if (sent === undefined) asked.end()
    // As a network brings it, not in one write.
    else void writeParts(asked, sent)
  })
}

async function writeParts(asked: ReturnType<typeof request>, sent: Buffer): Promise<void> {
  for (let start = 0; start < sent.length; start += 65_536) {
    if (!asked.write(sent.subarray(start, start + 65_536))) await new Promise((resolve) => asked.once('drain', resolve))
  }
  asked.end()
}

/** An authority, a validator and a household in this process: what one of them does keeps the others waiting. */
const describeWatched = canWatchLoop ? describe : () => undefined
describeWatched('the event loop at the largest block', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let household: RunningLight
  let watch: LoopWatch

  before(async () => {
    network = await createValidatorNetwork({ finality: 'validators:1', validators: ['v1'], voters: ['ann'] })
    authority = await network.startAuthority()
    await network.startValidator('v1', [authority.address])
    household = await network.startHousehold('ann', [authority.address])
  })
  after(() => network.stop())

  it(`does nothing for more than ${LIMIT_MS} ms, whatever is asked about ${MAX_TRANSACTIONS_PER_BLOCK} trades`, async () => {
    const transactions = Array.from({ length: MAX_TRANSACTIONS_PER_BLOCK }, (_, n) => rowAt(n))
    const body = Buffer.from(JSON.stringify({ tick_id: 'large', timestamp: NOW, transactions }))
    assert.ok(body.length < MAX_TICK_BYTES && body.length > 0.8 * MAX_TICK_BYTES, String(body.length))
    transactions.length = 0
    watch = watchLoop()

    watch.during('a platform posts it')
    const { url, node, token } = authority
    const sealed = await call(`${url}/ticks/`, 'POST', token('platform'), body)
    const block_hash = /"block_hash":"([0-9a-f]{64})"/.exec(sealed)?.[1] ?? ''
    const tx_hash = /"tx_hash":"([0-9a-f]{64})"/.exec(sealed)?.[1] ?? ''

    watch.during('a validator takes it')
    await eventually('it is final', async () => (await node.ledger.blockStatus(block_hash)).status === 'final')
    watch.during('a household checks its own trades')
    await eventually('the household acks it', () =>
      household.events.some((event) => event.type === 'vote' && event.vote.header_hash === block_hash),
    )
    watch.during('a platform posts it again')
    await call(`${url}/ticks/`, 'POST', token('platform'), body)
    watch.during('a proof, a receipt and the whole block are asked for')
    await call(`${url}/blocks/${block_hash}/merkle-proof/?tx_hash=${tx_hash}`, 'GET', token('operator'))
    await call(`${url}/transactions/${longName('trade-99999')}/receipt`, 'GET', token('platform'))
    await call(`${url}/blocks/${block_hash}`, 'GET', token('operator'))
    watch.during('the nodes stop')
    const data = join(network.folder, 'authority')
    await node.stop()
    watch.during('it is audited')
    const report = await auditDirectory(data, { kind: 'sqlite', path: join(data, 'ledger.db') }, () => undefined)
    watch.stop()
    assert.deepEqual([report.transactions, report.total_findings], [MAX_TRANSACTIONS_PER_BLOCK, 0])
    const { ms, during } = watch.longest()
    assert.ok(ms < LIMIT_MS, `${ms.toFixed(0)} ms while ${during}`)
  })
})
