import assert from 'node:assert/strict'
import { eventually } from '../../helpers/network.ts'
import { getJson, tipHeight, type ProcessNode } from '../../helpers/process-network.ts'
import { call, createPair, otherOf, shareTokens, startLoad, type Load, type Name, type Pair } from './pair.ts'

const HOUSEHOLDS = ['h1', 'h2']
const ENGINES = 3
const TAKE_OVER_LIMIT_MS = 20_000

interface LightState {
  readonly state: string
  readonly tip: { readonly height: number } | null
}

describe('two authorities on one PostgreSQL, under load, with households connected to both', () => {
  let pair: Pair
  let households: ProcessNode[]
  let load: Load

  beforeEach(async () => {
    pair = await createPair({ finality: 'votes:2', validators: [], voters: HOUSEHOLDS })
    await pair.start('authority')
    await shareTokens(pair.network.folder)
    await pair.start('second')
    const addresses = [pair.node('authority').address, pair.node('second').address]
    households = await Promise.all(HOUSEHOLDS.map((id) => pair.network.startLight(id, addresses)))
    load = startLoad(pair, ENGINES)
    await load.next()
  })
  afterEach(() => pair.stop())

  const lightState = (node: ProcessNode) => getJson<LightState>(node, '/light')
  /** Every household has proved a block that is at least this high, and raises no alarm. */
  const householdsReach = (height: number) =>
    eventually(
      `households have block ${height}`,
      async () => {
        const states = await Promise.all(households.map(lightState))
        for (const { state } of states) assert.notEqual(state, 'alarm')
        return states.every(({ state, tip }) => state === 'live' && (tip?.height ?? -1) >= height)
      },
      TAKE_OVER_LIMIT_MS,
    )
  const hasRole = (name: Name, role: string) =>
    eventually(`${name} is ${role}`, async () => {
      const answer = await call(`${pair.node(name).url}/ready`)
      return answer?.status === 200 && (answer.json as { role: string }).role === role
    })

  /** Waits until the other one seals; gives how long nothing was. */
  async function takenOver(from: number, lost: Name): Promise<number> {
    await eventually('the other one leads', async () => (await pair.leader()) !== lost, TAKE_OVER_LIMIT_MS)
    await load.next()
    return Date.now() - from
  }

  it('lose no tick and make one chain when the leader is killed, three times, the one and the other', async () => {
    for (let n = 0; n < 3; n++) {
      const leader = await pair.leader()
      const killed = pair.node(leader).process
      const at = Date.now()
      killed.kill('SIGKILL')
      const took = await takenOver(at, leader)
      console.log(`      taken over ${took} ms after SIGKILL`)
      await killed.ended
      await pair.start(leader)
      const { height } = await load.next()
      await householdsReach(height ?? 0)
      await hasRole(leader, 'standby')
      await hasRole(otherOf(leader), 'leader')
      await eventually('the standby follows', async () => (await tipHeight(pair.node(leader))) >= (height ?? 0))
    }
    await load.stop()
    await pair.checkAndStop(load.answers)
  })

  it('lose no tick and make one chain when the leader stands still, and it steps back when it goes on', async () => {
    for (let n = 0; n < 2; n++) {
      const leader = await pair.leader()
      const stopped = pair.node(leader)
      const at = Date.now()
      stopped.process.kill('SIGSTOP')
      const took = await takenOver(at, leader)
      console.log(`      taken over ${took} ms after SIGSTOP`)
      await load.next()
      stopped.process.kill('SIGCONT')
      await hasRole(leader, 'standby')
      const { height } = await load.next()
      await eventually('it follows', async () => (await tipHeight(stopped)) >= (height ?? 0))
      await householdsReach(height ?? 0)
    }
    await load.stop()
    await pair.checkAndStop(load.answers)
  })
})
