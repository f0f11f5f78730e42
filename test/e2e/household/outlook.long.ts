import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadLightConfig } from '../../../src/config/load.ts'
import { systemClock } from '../../../src/node/clock.ts'
import { createLight, type LightNode } from '../../../src/node/light.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { startCommunity, type Community, type Household } from '../../helpers/community.ts'
import { eventually } from '../../helpers/patience.ts'
import { createValidatorNetwork, type ValidatorNetwork } from '../../helpers/validator-network.ts'
import { cliGroup } from '../main-job/cli.ts'
import { sealTick, tickOf, tradeRow } from '../main-job/trades.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** The machine's clock, set wrong. */
const clockOff = (ms: number): Clock => ({ ...systemClock, now: () => systemClock.now() + ms })

/** Waits until what `GET /light` answers is in this state, for a reason like this. */
async function shows(node: LightNode, state: string, reason: RegExp | null): Promise<void> {
  const now = () => node.status()
  try {
    await eventually('what the light node shows', () => {
      const { state: is, reason: why } = now()
      return is === state && (reason === null ? why === null : reason.test(why ?? ''))
    })
  } catch (error) {
    throw new Error(`expected ${state} ${String(reason)}, it shows ${now().state} ${String(now().reason)}`, {
      cause: error,
    })
  }
}

describe('a household reads why its node is as it is', () => {
  const clis = cliGroup()
  let community: Community
  beforeEach(async () => {
    community = await startCommunity({ voters: ['ann', 'ben'] })
  })
  afterEach(async () => {
    await clis.killAll()
    await community.stop()
  })

  const says = (household: Household, line: RegExp): Promise<void> =>
    community
      .until(`it says ${String(line)}`, () => household.log.some(({ message }) => line.test(message)))
      .catch((error: unknown) => {
        throw new Error(household.log.map(({ message }) => message).join('\n'), { cause: error })
      })

  async function post(number: number, ...rows: readonly object[]): Promise<void> {
    const answer = await community.call('POST', '/ticks/', { role: 'platform', body: tickOf(number, ...rows) })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
  }

  it('from a key that nobody knows to trades in words, a correction, and a revoked key, without a restart', async () => {
    const home = await community.startHousehold('cyd')
    await home.live()
    await shows(
      home.node,
      'live',
      /not registered on this chain.* give the public key [0-9a-f]{64} to whoever runs the authority/,
    )
    const unregistered = home.node.status().voter
    assert.equal(unregistered.state, 'unregistered')

    // What the line says to do, word by word.
    const token = join(community.folder, 'platform.token')
    await writeFile(token, community.tokens.platform)
    const [, command = ''] = /solar-node (keys enrol .* FILE)$/.exec(home.node.status().reason ?? '') ?? []
    const words: Readonly<Record<string, string>> = {
      NAME: 'cyd.phone',
      USER: 'cyd',
      KEY_FILE: join(community.folderOf('cyd'), 'voter.key'),
      URL: community.url,
      FILE: token,
    }
    const enrolled = await clis.run(...command.split(' ').map((word) => words[word] ?? word))
    assert.equal(enrolled.code, 0, enrolled.stderr)
    await says(home, /^this node's key is registered as cyd\.phone: it proves its own trades and votes$/)
    await shows(home.node, 'live', null)
    assert.deepEqual(home.node.status().voter, { ...unregistered, state: 'registered', id: 'cyd.phone' })

    await post(1, tradeRow('sale', 'cyd', 'ben'))
    await says(home, /^block 1: 2016-01-01 .* sold 1\.5 kWh to ben at 0\.2 \S+ for 0\.3 \S+ \(sale\)$/)
    const correction = { kind: 'correction', id: 'fix', corrects: 'sale', kwh_delta: '-0.5', amount_delta: '-0.1' }
    await post(2, { ...correction, reason: 'meter read late', timestamp: Date.UTC(2016, 0, 1, 2) })
    await says(
      home,
      /^block 2: .* correction of sale: -0\.5 kWh, -0\.1 \S+ \(meter read late\); left of it: 1 kWh, 0\.2 \S+$/,
    )

    const revoked = await clis.run(
      ...['keys', 'revoke', '--id', 'cyd.phone', '--key', join(community.directory, 'authority.key')],
      ...['--to', community.url],
    )
    assert.equal(revoked.code, 0, revoked.stderr)
    await shows(home.node, 'live', /key was revoked \(it was cyd\.phone\).*ask whoever runs the authority/)
    assert.equal(home.node.status().voter.state, 'revoked')
  })

  it('is not live while its authority is away, says so, and is live again once that is back', async () => {
    const ann = await community.startHousehold('ann')
    await ann.live()
    await sealTick(community, 0)
    await community.until('ann has block 0', () => ann.node.status().tip?.height === 0)
    await community.stopAuthority()
    await shows(
      ann.node,
      'stale',
      /^no peer is connected: \/ip4\/127\.0\.0\.1\/tcp\/\S+: connection refused, nothing listens there/,
    )
    assert.equal(ann.node.status().peers, 0)
    await says(ann, /^stale: no peer is connected/)
    await community.startAuthority()
    await shows(ann.node, 'live', null)
    await says(ann, /^live: block 0 is the newest, 1 peer$/)
  })

  it('names the chain that its peer is on: at the first start, and at one with a chain of its own', async () => {
    const ann = await community.startHousehold('ann')
    await ann.live()
    await ann.stop()
    const other = await startCommunity({ voters: ['ann'] })
    try {
      const peers = [other.addressOf('tcp')]
      const line = new RegExp(
        `: it is on chain ${other.chainId}, this node is pinned to ${community.chainId}: check --chain`,
      )
      const [known, fresh] = [
        await community.startHousehold('ann', { peers }),
        await community.startHousehold('cyd', { peers }),
      ]
      await shows(known.node, 'syncing', line)
      await shows(fresh.node, 'syncing', line)
      await Promise.all([says(known, line), says(fresh, /is on chain .*, pinned is .*: check --chain and --peer$/)])
    } finally {
      await other.stop()
    }
  })

  for (const [off, ms, line] of [
    [
      'ten minutes behind',
      -10 * MINUTE_MS,
      /^this device's clock says .*, that of its peer \S+ says .*: they are 10 minutes apart/,
    ],
    ['ten minutes ahead', 10 * MINUTE_MS, /they are 10 minutes apart, one of the two is wrong; .* NTP/],
    ['five days behind', -5 * DAY_MS, /they are 5 days apart/],
  ] as const) {
    it(`says that its clock is ${off}, in its log and at /light, with or without a new block`, async () => {
      await post(0, { ...tradeRow('now', 'ann', 'ben'), timestamp: Date.now() })
      const home = await community.startHousehold('ann', { clock: clockOff(ms) })
      await says(home, line)
      await eventually('the reason', () => line.test(home.node.status().reason ?? ''))
    })
  }

  it('says that the clocks agree again, once they do', async () => {
    let ms = -10 * MINUTE_MS
    const home = await community.startHousehold('ann', { clock: { ...systemClock, now: () => systemClock.now() + ms } })
    await says(home, /they are 10 minutes apart/)
    ms = 0
    await says(home, /^this device's clock and those of its peers agree again$/)
    await shows(home.node, 'live', null)
  })
})

describe('a household with two full nodes', () => {
  let network: ValidatorNetwork
  const lights = new Set<LightNode>()
  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'authority', validators: ['v1'], voters: ['ann'] })
  })
  afterEach(async () => {
    await Promise.all([...lights].map((light) => light.stop()))
    lights.clear()
    await network.stop()
  })

  async function startAnn(peers: readonly string[], clock: Clock = systemClock): Promise<LightNode> {
    const flags = { data: join(network.folder, 'ann'), chain: network.chainId, peer: peers }
    const light = createLight(loadLightConfig({ flags, env: {} }), { clock, logger: silentLogger })
    lights.add(light)
    await light.start()
    return light
  }

  it('is live by its validator while the authority is away', async () => {
    const authority = await network.startAuthority()
    const validator = await network.startValidator('v1', [authority.address])
    const ann = await startAnn([authority.address, validator.address])
    await eventually('both are connected', () => ann.status().peers === 2)
    await shows(ann, 'live', null)
    await authority.node.stop()
    await eventually('one is away', () => ann.status().peers === 1)
    await shows(ann, 'live', null)
  })

  it('blames the one clock that differs: that of a peer, or its own', async () => {
    const authority = await network.startAuthority('authority', { clock: clockOff(10 * MINUTE_MS) })
    const validator = await network.startValidator('v1', [authority.address])
    const ann = await startAnn([authority.address, validator.address])
    await shows(
      ann,
      'live',
      /^the clock of 12D3\S+ is 10 minutes ahead: .*another peer say .*; its operator has to set it$/,
    )
    await ann.stop()
    await authority.node.stop()

    const back = await network.startAuthority()
    const late = await startAnn([back.address, validator.address], clockOff(-10 * MINUTE_MS))
    await shows(late, 'live', /^this device's clock is 10 minutes behind: it says .*, 2 of its peers say /)
  })
})
