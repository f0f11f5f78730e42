import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createKeyFile } from '../../../src/keys/key-file.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { cliGroup, jsonLines, type CliEnd } from '../main-job/cli.ts'
import { sealTick } from '../main-job/trades.ts'

const OTHER_PEER = '12D3KooWCjUC8X3Sf7iosuiMi7cMP5YJe6pwmxBKYbkQbsoZLwyA'
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** Sets the clock of a process wrong before it begins. */
const SKEW = `
const ms = Number(process.env.SKEW_MS), Real = Date, now = Real.now
globalThis.Date = class extends Real {
  constructor(...args) { if (args.length === 0) super(now() + ms); else super(...args) }
  static now() { return now() + ms }
}`

describe('solar-node prove tells what stands in its way', () => {
  const clis = cliGroup()
  let community: Community
  let skew: string

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
    skew = join(community.folder, 'skew.cjs')
    await writeFile(skew, SKEW)
    await sealTick(community, 0)
    const fix = { kind: 'correction', id: 'fix', corrects: 'tick-0.0', kwh_delta: '-0.5', amount_delta: '-0.1' }
    const timestamp = Date.now()
    const body = { tick_id: 'late', timestamp, transactions: [{ ...fix, reason: 'meter read late', timestamp }] }
    const { status } = await community.call('POST', '/ticks/', { role: 'platform', body })
    assert.equal(status, 200)
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })

  const keyOf = (id: string): string => join(community.folderOf(id), 'voter.key')
  const proveAt = (peers: readonly string[], more: readonly string[] = [], env = {}): Promise<CliEnd> =>
    clis.start(['prove', 'tick-0.0', '--peer', ...peers, '--chain', community.chainId, ...more], env).ended
  const portOf = (address: string): string => /\/tcp\/([0-9]+)/.exec(address)?.[1] ?? ''

  it('in words: when, who, how much, what a correction left; and the same again in the receipt, by verify', async () => {
    const out = join(community.folder, 'receipt.json')
    const proved = await proveAt([community.addressOf('tcp')], ['--key', keyOf('ann'), '--out', out])
    assert.equal(proved.code, 0, proved.stderr)
    const verified = await clis.run('verify', out, '--chain', community.chainId)
    assert.equal(verified.code, 0, verified.stdout)
    for (const { stdout } of [proved, verified]) {
      assert.match(stdout, /^date +2016-01-01 /m)
      assert.match(stdout, /^trade +ann sold 1\.5 kWh to ben at 0\.2 \w+\/kWh for 0\.3 \w+$/m)
      assert.match(stdout, /^energy +1\.5 kWh$/m)
      assert.match(stdout, /^price +0\.2 \w+\/kWh$/m)
      assert.match(stdout, /^amount +0\.3 \w+$/m)
      assert.match(stdout, /^corrected +.*: -0\.5 kWh, -0\.1 \w+ \(meter read late\) by fix$/m)
      assert.match(stdout, /^left +1 kWh, 0\.2 \w+, after 1 correction$/m)
    }
  })

  for (const [name, address, says] of [
    ['nobody listens', () => `/ip4/127.0.0.1/tcp/1/p2p/${OTHER_PEER}`, /connection refused, nothing listens there/],
    ['there is no such host', () => `/dns4/nowhere.invalid/tcp/4001/p2p/${OTHER_PEER}`, /its name is not found/],
    [
      'another node answers',
      () => `/ip4/127.0.0.1/tcp/${portOf(community.addressOf('tcp'))}/p2p/${OTHER_PEER}`,
      /another node answers there, its peer id is 12D3KooW/,
    ],
    [
      'the port is that of HTTP',
      () => `/ip4/127.0.0.1/tcp/${new URL(community.url).port}/p2p/${OTHER_PEER}`,
      /does not speak libp2p over TCP: check the port \(it may be that of HTTP\)/,
    ],
    [
      'the port is that of WebSocket',
      () => `/ip4/127.0.0.1/tcp/${portOf(community.addressOf('ws'))}/p2p/${OTHER_PEER}`,
      /does not speak libp2p over TCP: .*whether \/ws belongs into the address/,
    ],
  ] as const) {
    it(`where ${name}: one line, with a code for programs`, async () => {
      const { code, stdout, stderr } = await proveAt([address()], ['--json'])
      assert.equal(code, 1)
      assert.equal(stdout, '')
      const [failure, ...more] = jsonLines(stderr)
      assert.equal(more.length, 0)
      const { error } = failure as { error: { code: string; message: string } }
      assert.equal(error.code, 'not_ready', error.message)
      assert.match(error.message, says)
      assert.ok(error.message.includes(address()))
    })
  }

  it('goes on with a peer that answers beside one that does not', async () => {
    const { code, stderr } = await proveAt([`/ip4/127.0.0.1/tcp/1/p2p/${OTHER_PEER}`, community.addressOf('tcp')])
    assert.equal(code, 0, stderr)
  })

  for (const [off, ms] of [
    ['10 minutes', -10 * MINUTE_MS],
    ['10 minutes', 10 * MINUTE_MS],
    ['5 days', -5 * DAY_MS],
  ] as const) {
    it(`names both times where this clock is ${off} ${ms < 0 ? 'behind' : 'ahead'}`, async () => {
      const env = { NODE_OPTIONS: `--require ${skew}`, SKEW_MS: String(ms) }
      const { code, stderr } = await proveAt([community.addressOf('tcp')], [], env)
      assert.match(
        stderr,
        new RegExp(`this device's clock says .*, that of its peer \\S+ says .*: they are ${off} apart`),
      )
      assert.equal(stderr.trim().split('\n').length, 1)
      // A block of now is not from the future for a clock that is ahead.
      assert.equal(code, ms < 0 ? 1 : 0)
    })
  }

  it('says of a key that is not registered, or not any more, what to hand to whom', async () => {
    const stranger = join(community.folder, 'stranger.key')
    const { publicKey } = await createKeyFile(stranger, { randomBytes: systemRandomBytes })
    const revoked = await clis.run(
      ...['keys', 'revoke', '--id', 'cyd', '--key', join(community.directory, 'authority.key'), '--to', community.url],
    )
    assert.equal(revoked.code, 0, revoked.stderr)
    const [unknown, gone] = await Promise.all(
      [stranger, keyOf('cyd')].map((key) => proveAt([community.addressOf('tcp')], ['--key', key, '--json'])),
    )
    const errorOf = (end: CliEnd | undefined) =>
      (jsonLines(end?.stderr ?? '')[0] as { error: { code: string; message: string } }).error
    assert.deepEqual([unknown?.code, errorOf(unknown).code], [1, 'forbidden'])
    assert.match(
      errorOf(unknown).message,
      new RegExp(`not registered .* give the public key ${publicKey} to whoever runs`),
    )
    assert.deepEqual([gone?.code, errorOf(gone).code], [1, 'forbidden'])
    assert.match(errorOf(gone).message, /key was revoked \(it was cyd\)/)
  })
})
