import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createKeyFile } from '../../../src/keys/key-file.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import { eventually } from '../../helpers/network.ts'
import { startPostgres, type PostgresServer } from '../../helpers/postgres.ts'
import { blockStatus, getJson, tipHeight, type ProcessNode } from '../../helpers/process-network.ts'
import { call, createPair, otherOf, shareTokens, startLoad, type Name, type Pair } from './pair.ts'

describe('two authorities on one PostgreSQL', () => {
  let pair: Pair
  afterEach(() => pair.stop())

  const roleOf = async (name: Name): Promise<string> => {
    const answer = await call(`${pair.node(name).url}/ready`)
    return answer?.status === 200 ? (answer.json as { role: string }).role : 'none'
  }
  const isUp = (name: Name) => eventually(`${name} is ready`, async () => (await roleOf(name)) !== 'none')
  const has = (node: ProcessNode, height: number | null) =>
    eventually(`it has block ${height}`, async () => (await tipHeight(node)) === height)
  async function startBoth(): Promise<void> {
    await pair.start('authority')
    await shareTokens(pair.network.folder)
    await pair.start('second')
    await Promise.all([isUp('authority'), isUp('second')])
  }
  const post = async (name: Name, path: string, body: object, role: 'platform' | 'operator') =>
    await call(`${pair.node(name).url}${path}`, {
      body: JSON.stringify(body),
      token: await pair.network.tokenOf(role),
    })
  const order = (order_id: string, side: 'buy' | 'sell') => ({
    ...{ order_id, side, user_id: side === 'buy' ? 'ben' : 'ann' },
    ...{ kwh: '1', price_per_kwh: '0.2', timestamp: Date.now() - 1_000 },
  })
  const answersOf = (...answers: TickAnswer[]) => new Map(answers.map((answer) => [answer.tick_id, answer]))

  it('started at the same moment on an empty database: one leads, the other follows', async () => {
    pair = await createPair({ finality: 'authority', validators: [] })
    await Promise.all([pair.start('authority'), pair.start('second')])
    await Promise.all([isUp('authority'), isUp('second')])
    assert.deepEqual([await roleOf('authority'), await roleOf('second')].sort(), ['leader', 'standby'])
    const leader = await pair.leader()
    const body = { tick_id: 'empty' }
    const token = await pair.network.tokenOf('operator', leader)
    const answer = await call(`${pair.node(leader).url}/ticks/run/`, { body: JSON.stringify(body), token })
    assert.equal(answer?.status, 200)
    await pair.checkAndStop(new Map())
  })

  it('take orders on either, ticks on the leader alone, and tell who it is', async () => {
    pair = await createPair({ finality: 'authority', validators: [] })
    await startBoth()
    const leader = await pair.leader()
    const standby = otherOf(leader)
    assert.equal((await post(leader, '/orders/', order('sell', 'sell'), 'platform'))?.status, 201)
    assert.equal((await post(standby, '/orders/', order('buy', 'buy'), 'platform'))?.status, 201)
    for (const [path, body, role] of [
      ['/ticks/', { tick_id: 'x', timestamp: Date.now(), transactions: [] }, 'platform'],
      ['/ticks/run/', { tick_id: 'x' }, 'operator'],
      ['/blocks/propose/', {}, 'operator'],
    ] as const) {
      const refused = await post(standby, path, body, role)
      assert.deepEqual([refused?.status, (refused?.json as { code: string }).code], [503, 'not_leading'])
      assert.equal(refused?.retryAfter, '1')
    }
    const sealed = await post(leader, '/ticks/run/', { tick_id: 'market' }, 'operator')
    const tick = sealed?.json as TickAnswer
    assert.deepEqual([sealed?.status, tick.transactions.length], [200, 1])
    await has(pair.node(standby), tick.height)
    const isFinal = async () => (await blockStatus(pair.node(standby), tick.block_hash ?? '')).status === 'final'
    await eventually('the standby calls it final too', isFinal)
    for (const [name, leading] of [
      [leader, 1],
      [standby, 0],
    ] as const) {
      const metrics = await (await fetch(`${pair.node(name).url}/metrics`)).text()
      assert.match(metrics, new RegExp(`^solar_leading ${leading}$`, 'm'))
    }
    await pair.checkAndStop(answersOf(tick))
  })

  it('hand over at a rolling restart, and the market tick of an interval is run by one of them', async () => {
    pair = await createPair({ finality: 'authority', validators: [] })
    await pair.start('authority', '--tick', '1')
    await shareTokens(pair.network.folder)
    await pair.start('second', '--tick', '1')
    await Promise.all([isUp('authority'), isUp('second')])
    for (let n = 0; n < 2; n++) {
      const leader = await pair.leader()
      assert.equal((await post(otherOf(leader), '/orders/', order(`sell${n}`, 'sell'), 'platform'))?.status, 201)
      assert.equal((await post(leader, '/orders/', order(`buy${n}`, 'buy'), 'platform'))?.status, 201)
      const { process } = pair.node(leader)
      process.kill('SIGTERM')
      const at = Date.now()
      assert.deepEqual(await process.ended, { code: 0, signal: null })
      assert.equal(await pair.leader(), otherOf(leader))
      console.log(`      handed over ${Date.now() - at} ms after the leader's end`)
      await pair.start(leader, '--tick', '1')
      await eventually('both have traded', async () => (await tipHeight(pair.node(otherOf(leader)))) === n)
    }
    await isUp('authority')
    await isUp('second')
    const blocks = await getJson<{ headers: { header: { tx_count: number } }[] }>(
      pair.node('authority'),
      '/blocks/latest-headers/?n=5',
    )
    assert.deepEqual(
      blocks.headers.map(({ header }) => header.tx_count),
      [1, 1],
    )
  })

  it('make a block final together, with a vote at each of them, though no peer connects the two', async () => {
    pair = await createPair({ finality: 'votes:2', validators: [], voters: ['h1', 'h2'] })
    await pair.start('authority')
    await shareTokens(pair.network.folder)
    // Nobody listens on port 1 of this machine.
    const nobody = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWCjUC8X3Sf7iosuiMi7cMP5YJe6pwmxBKYbkQbsoZLwyA'
    await pair.start('second', '--peer', nobody)
    await pair.network.startLight('h1', [pair.node('authority').address])
    await pair.network.startLight('h2', [pair.node('second').address])
    const tick = await pair.insist('t')
    for (const name of ['authority', 'second'] as const) {
      await eventually(`it is final at ${name}`, async () => {
        const answer = await call(`${pair.node(name).url}/blocks/${tick.block_hash}/status/`)
        return (answer?.json as { status: string } | undefined)?.status === 'final'
      })
    }
    await pair.checkAndStop(answersOf(tick))
  })

  it('each with a key of its own: what either seals is accepted by households and validators', async () => {
    pair = await createPair({ finality: 'validators:1', validators: ['v1'], voters: ['h1'] })
    await pair.start('authority')
    await shareTokens(pair.network.folder)
    const { folder } = pair.network
    const keyFile = join(folder, 'second', DATA_FILES.authorityKey)
    await createKeyFile(keyFile, { randomBytes: systemRandomBytes })
    const token = join(folder, 'operator.token')
    await writeFile(token, await pair.network.tokenOf('operator'))
    const validator = await pair.network.startValidator(
      'v1',
      [pair.node('authority').address],
      '--allow-changes',
      'all',
    )
    const enrolled = await pair.network.run(
      ...['keys', 'enrol', '--key', keyFile, '--id', 'second', '--role', 'authority'],
      ...['--authority-key', join(folder, 'authority', DATA_FILES.authorityKey)],
      ...['--to', pair.node('authority').url, '--token-file', token],
    )
    assert.equal(enrolled.code, 0, enrolled.stderr)
    await pair.start('second')
    await isUp('second')
    const addresses = [pair.node('authority').address, pair.node('second').address]
    const household = await pair.network.startLight('h1', addresses)
    const first = await pair.insist('by-the-first')
    pair.node('authority').process.kill('SIGKILL')
    await eventually('the second leads', async () => (await pair.leader()) === 'second')
    await pair.start('authority')
    const second = await pair.insist('by-the-second')
    const { headers } = await getJson<{ headers: { header: { miner_id: string }; header_hash: string }[] }>(
      pair.node('second'),
      '/blocks/latest-headers/?n=2',
    )
    assert.deepEqual(
      headers.map(({ header, header_hash }) => [header.miner_id, header_hash]),
      [
        ['authority', first.block_hash],
        ['second', second.block_hash],
      ],
    )
    await has(validator, second.height)
    await eventually(
      'it is final',
      async () => (await blockStatus(validator, second.block_hash ?? '')).status === 'final',
    )
    await eventually('the household has it', async () => {
      const { state, tip } = await getJson<{ state: string; tip: { height: number } | null }>(household, '/light')
      return state === 'live' && tip?.height === second.height
    })
    await isUp('authority')
    const genesis = await readFile(join(folder, 'second', DATA_FILES.genesis), 'utf8')
    assert.ok(!genesis.includes('"second"'), 'its key is not in the genesis')
  })
})

describe('two authorities whose PostgreSQL crashes', () => {
  let server: PostgresServer
  let pair: Pair
  before(async () => {
    server = await startPostgres()
  })
  after(() => server.stop())
  afterEach(() => pair.stop())

  it('go on with one leader and one chain each time it is back, and lose no tick', async () => {
    pair = await createPair({ finality: 'authority', validators: [] }, server)
    await pair.start('authority')
    await shareTokens(pair.network.folder)
    await pair.start('second')
    const load = startLoad(pair, 3)
    for (let n = 0; n < 3; n++) {
      await load.next()
      await server.restart()
      await load.next()
    }
    await load.stop()
    await eventually('both are up', async () => {
      const answers = await Promise.all(
        (['authority', 'second'] as const).map((name) => call(`${pair.node(name).url}/ready`)),
      )
      return answers.every((answer) => answer?.status === 200)
    })
    await pair.checkAndStop(load.answers)
  })
})
