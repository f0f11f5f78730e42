import assert from 'node:assert/strict'
import { readFile, rm, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import type { LightNode } from '../../../src/node/light.ts'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { sha256 } from '../../../src/protocol/hash.ts'
import { hashHeader, sealedHeaderShape } from '../../../src/protocol/header.ts'
import { realClock } from '../../helpers/network.ts'
import { eventually, within } from '../../helpers/patience.ts'
import { bundleForNode } from '../../helpers/bundle.ts'
import { HOUSEHOLDS, prepareCommunity, startHousehold, type Community, type Household } from './community.ts'
import { createLives, type Life, type Lives } from './lives.ts'
import { createPlatform, createValve, platformTick, startLoad, type Load, type Platform } from './platform.ts'
import { checkRunning, checkServed, checkStopped, type Checked } from './state-check.ts'
import { STEPS, type PlannedKill } from './steps.ts'
import { createWitness } from './witness.ts'

/** Steps that recovery takes too: a kill there must leave something that the recovery after it can finish. */
const RECOVERY_STEPS = STEPS.slice(STEPS.indexOf('before fence'))

/**
 * Each step in the first, third and sixth tick of a life; then each step of a recovery; `null`: at any moment.
 * `npm run soak:kills` has hundreds.
 */
const KILLS: readonly (PlannedKill | null)[] = [
  ...[1, 3, 6].flatMap((occurrence) => [...STEPS.map((step) => ({ step, occurrence })), null]),
  ...RECOVERY_STEPS.flatMap((step) => [
    // Leaves a tick that is committed and not sealed, which the next start seals before it takes calls.
    { step: 'after commit', occurrence: 1 } as const,
    { step, occurrence: 1 },
  ]),
  ...[2, 3].map((occurrence) => ({ step: 'before commit', occurrence }) as const),
]

/** A kill at any moment comes within this of the load's beginning. */
const ANY_MOMENT_MS = 200

describe('an authority that is killed again and again while it trades', () => {
  let folder: string
  let community: Community
  let lives: Lives
  let households: Map<Household, LightNode>
  let eavesdropper: PeerNetwork
  const stopping = new AbortController()
  const witness = createWitness()
  const valve = createValve()
  let platform: Platform
  let load: Load
  let checked: Checked

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'solar-crash-'))
    community = await prepareCommunity(folder)
    const entry = new URL('authority-process.ts', import.meta.url)
    lives = createLives(bundleForNode(entry, join(folder, 'package')), community.flags)
    households = new Map()
    for (const id of Object.keys(HOUSEHOLDS) as Household[]) {
      households.set(id, await startHousehold(community, id, witness))
    }
    eavesdropper = await eavesdrop()
    const tokens = async () => {
      const text = await readFile(join(community.directory, 'tokens.json'), 'utf8')
      return JSON.parse(text) as { readonly operator: string; readonly platform: string }
    }
    const parts = { url: community.url, tokens, signal: stopping.signal }
    const always = createValve()
    always.open()
    platform = createPlatform({ ...parts, valve: always })
    load = startLoad(createPlatform({ ...parts, valve }), witness)
    checked = { community, platform, witness, load }
  })

  after(async () => {
    stopping.abort()
    valve.open()
    await lives.killAll()
    await load.done.catch(() => undefined)
    await Promise.all([...households.values()].map((light) => light.stop()))
    await eavesdropper.stop()
    await rm(folder, { recursive: true })
  })

  /** Hears the raw gossip, also what a light node would not follow. */
  async function eavesdrop(): Promise<PeerNetwork> {
    const network = await createNodeNetwork({
      chainId: community.chainId,
      privateKey: sha256('eavesdropper'),
      listen: [],
      peers: [community.addresses.tcp],
      hub: false,
      clock: realClock(),
      logger: silentLogger,
    })
    network.gossip.subscribe('headers', (payload) => {
      const { header } = sealedHeaderShape(parseCanonicalBytes(payload), 'gossip')
      witness.saw(header.height, hashHeader(header), 'gossip')
      return Promise.resolve('accept')
    })
    await network.start()
    return network
  }

  /** Checks, trades and lives until the planned kill; false if that came before there was anything to check. */
  async function liveAndDie(kill: PlannedKill | null): Promise<boolean> {
    const life = await lives.begin(kill)
    const started = await life.started
    if (started) {
      await whileAlive(life, checkRunning(checked))
      if (kill === null) await whileAlive(life, householdsCarryOn())
      valve.open()
      if (kill === null) {
        await pause(Math.random() * ANY_MOMENT_MS)
        life.process.kill('SIGKILL')
      }
    }
    const { signal, code, step } = await endOf(life, kill)
    valve.close()
    assert.equal(signal, 'SIGKILL', `ended with ${code}: ${life.process.errors()}`)
    assert.equal(step, kill?.step ?? null)
    return started
  }

  async function endOf(life: Life, kill: PlannedKill | null): Promise<Awaited<Life['end']>> {
    // The load ends early only if it was refused something.
    const refused = load.done.then(() => assert.fail('the load ended'))
    return await within(`the kill at "${kill?.step ?? 'any moment'}"`, Promise.race([life.end, refused]))
  }

  /** A call to an authority that is gone would be repeated for ever. */
  async function whileAlive(life: Life, work: Promise<void>): Promise<void> {
    const gone = life.end.then(({ step }) => assert.fail(`gone at ${step}: ${life.process.errors()}`))
    gone.catch(() => undefined)
    await Promise.race([work, gone])
  }

  let calmTicks = 0
  /** A block that both households follow, check and vote on; the authority counts both votes. */
  async function householdsCarryOn(): Promise<void> {
    const idle = () => [...households.values()].every((light) => light.status().peers > 0)
    await eventually('both households are connected', idle)
    const tick = platformTick('calm', calmTicks++)
    const answer = (await platform.call('POST', '/ticks/', tick)) as TickAnswer
    witness.answered(answer)
    const { height, header_hash } = answer
    assert.ok(height !== null && header_hash !== null)
    const voters = async () => {
      const { votes } = (await platform.call('GET', `/blocks/${header_hash}/votes/`)) as {
        readonly votes: readonly { readonly vote: { readonly voter_id: string; readonly decision: string } }[]
      }
      return votes.map(({ vote }) => `${vote.voter_id} ${vote.decision}`).sort()
    }
    const all = Object.keys(HOUSEHOLDS).map((id) => `${id} ack`)
    await eventually('both votes are counted', async () => (await voters()).join() === all.join())
    for (const id of Object.keys(HOUSEHOLDS)) {
      assert.equal(witness.household(id).tip, height)
      assert.equal(witness.household(id).acked.get(height), header_hash)
    }
  }

  it('loses no trade and doubles none, never seals a height twice, and its households carry on', async () => {
    const counts = new Map<string, number>()
    let diedInRecovery = 0
    for (const kill of KILLS) {
      const started = await liveAndDie(kill)
      if (!started) diedInRecovery++
      const name = kill?.step ?? 'any moment'
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    for (const step of STEPS) assert.ok((counts.get(step) ?? 0) >= 4, `${step}: ${counts.get(step)} kills`)
    assert.ok(diedInRecovery >= RECOVERY_STEPS.length, `${diedInRecovery} kills during recovery`)

    const last = await lives.begin(null)
    assert.ok(await last.started)
    valve.open()
    await load.stop()
    await checkRunning(checked)
    await householdsCarryOn()
    await checkServed(checked)
    for (const id of Object.keys(HOUSEHOLDS)) assert.ok(witness.household(id).verifiedTrades > 0)
    last.process.kill('SIGTERM')
    assert.deepEqual(await last.end, { code: 0, signal: null, step: null }, last.process.errors())
    await checkStopped(checked)
    assert.deepEqual(witness.complaints, [])
  })
})
