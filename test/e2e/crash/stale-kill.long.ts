import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { startFullPeer, type FullPeer } from '../../helpers/full-peer.ts'
import { eventually } from '../../helpers/network.ts'
import { bundleForNode } from '../../helpers/bundle.ts'
import { createLives, type Lives } from './lives.ts'
import { openStaleLab, type StaleLab } from './stale-lab.ts'
import type { PlannedKill } from './steps.ts'

/** Each leaves something to the next life; together they come through four blocks of five, and the last life ends the work. */
const KILLS: readonly PlannedKill[] = [
  { step: 'before restore', occurrence: 1 },
  { step: 'after restore', occurrence: 1 },
  { step: 'before restore', occurrence: 2 },
  { step: 'after restore', occurrence: 2 },
]

describe('an authority that is killed while its blocks are put back', () => {
  let lab: StaleLab
  let peer: FullPeer
  let lives: Lives

  before(async () => {
    lab = await openStaleLab()
    await lab.whileRunning((node) => lab.trade(node, 3))
    const backup = await lab.backup('early')
    await lab.whileRunning((node) => lab.trade(node, 5))
    await cp(lab.data, join(lab.folder, 'full'), { recursive: true })
    peer = await startFullPeer('full', join(lab.folder, 'full'))
    const entry = new URL('authority-process.ts', import.meta.url)
    const common = { data: lab.data, http: 'off', listen: ['/ip4/127.0.0.1/tcp/0'], tick: 'off', peer: [peer.address] }
    lives = createLives(bundleForNode(entry, join(lab.folder, 'package')), common)
    await lab.putBack(backup, 'ledger.db')
  })
  after(async () => {
    await lives.killAll()
    await peer.stop()
    await lab.close()
  })

  async function killAt(...kills: readonly PlannedKill[]): Promise<void> {
    for (const kill of kills) {
      const { end } = await lives.begin(kill)
      assert.equal((await end).step, kill.step)
    }
  }

  async function everythingIsThere(): Promise<void> {
    const peers = { peer: [peer.address] }
    await lab.whileRunning(async (node) => {
      const size = async () => (await node.ledger.latestHeaders(1)).tip_height
      await eventually('all blocks are back', async () => (await size()) === lab.answers.length - 1)
      await lab.checkChain(node)
    }, peers)
    await lab.audit()
  }

  it('from LevelDB, goes on where it was', async () => {
    await killAt(...KILLS)
    assert.equal((await lab.blocksInSql()).length, 7)
    await everythingIsThere()
  })

  it('from a peer, goes on where it was, and what LevelDB had not yet comes from SQL', async () => {
    await lab.putBack(join(lab.folder, 'backup-early'), 'ledger.db', 'level')
    await killAt(...KILLS, { step: 'after append', occurrence: 1 })
    assert.equal((await lab.blocksInSql()).length, 7)
    await everythingIsThere()
  })
})
