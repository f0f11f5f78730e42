import assert from 'node:assert/strict'
import type { Finality } from '../../../src/protocol/genesis.ts'
import { createStreet, namedKey, type Branch, type Street } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { replicaFolder, serveReplica, syncReplica, type TestReplica } from './replica-harness.ts'

/** Blocks above the last change: more than those whose votes a new replica asks for one by one. */
const LATER = 260

describe('a replica that begins after all who voted have changed', () => {
  const folders: Awaited<ReturnType<typeof replicaFolder>>[] = []
  let peers: Peers

  beforeEach(() => {
    peers = createPeers()
  })
  afterEach(async () => {
    for (const folder of folders.splice(0)) await folder.remove()
  })

  async function open(street: Street): Promise<TestReplica> {
    const folder = await replicaFolder(street)
    folders.push(folder)
    return await folder.open()
  }

  /**
   * Another authority comes, and each of these changes its key in a block of its own; all ack each such block, and no
   * other until the last one.
   */
  function turnedOver(street: Street, ids: readonly string[]) {
    const keys = new Map(ids.map((id) => [id, namedKey(id)]))
    const votesOn = (branch: Branch) => ids.map((id) => street.vote(id, branch.tip, 'ack', keys.get(id)))
    const { publicKey: public_key } = namedKey('deputy')
    const deputy = { action: 'enrol', subject_id: 'deputy', role: 'authority', public_key } as const
    let branch = street.start.grow('t0').add([street.change('a-deputy', namedKey('deputy'), deputy)])
    const votes = votesOn(branch)
    for (const id of ids) {
      const fields = { action: 'rotate', subject_id: id, public_key: namedKey(`${id} 2`).publicKey } as const
      branch = branch.add([street.change(`change-of-${id}`, namedKey(id), fields)])
      votes.push(...votesOn(branch))
      keys.set(id, namedKey(`${id} 2`))
    }
    branch = branch.grow(...Array.from({ length: LATER }, (_, i) => `later-${i}`))
    return { branch, votes: [...votes, ...votesOn(branch)] }
  }

  /** Reads blocks with this key of v1. */
  async function join(street: Street, peer: string, key: string): Promise<TestReplica> {
    const node = await open(street)
    peers.connect('late', peer)
    await syncReplica(node, peers.of('late'), peer, namedKey(key))
    return node
  }

  const validators = ['v1', 'v2', 'v3']
  const users = ['ann', 'ben']
  const CASES: readonly (readonly [name: string, finality: Finality, voters: readonly string[]])[] = [
    ['validators:2 of 3', { policy: 'validators', threshold: 2 }, validators],
    ['validators:3 of 3', { policy: 'validators', threshold: 3 }, validators],
    ['votes:2', { policy: 'votes', threshold: 2 }, users],
  ]
  for (const [name, finality, ids] of CASES) {
    it(`sees the newest block final under ${name}`, async () => {
      const street = createStreet({ finality, validators, voters: users })
      const { branch, votes } = turnedOver(street, ids)
      const full = await open(street)
      await full.acceptAll(branch)
      await full.cast(...votes)
      assert.equal(full.finalizer.finalHeight, branch.tip.height)
      serveReplica(full, peers.of('full'))
      const late = await join(street, 'full', ids.includes('v1') ? 'v1 2' : 'v1')
      assert.deepEqual([late.tip(), late.finalizer.finalHeight], [branch.tip, branch.tip.height])
    })
  }

  it('sees final what was acked late, by users who have changed their keys since', async () => {
    const street = createStreet({ finality: { policy: 'votes', threshold: 2 }, validators, voters: users })
    const { publicKey: public_key } = namedKey('deputy')
    const deputy = { action: 'enrol', subject_id: 'deputy', role: 'authority', public_key } as const
    const quiet = (prefix: string) => Array.from({ length: LATER }, (_, i) => `${prefix}-${i}`)
    let branch = street.start.add([street.change('a-deputy', namedKey('deputy'), deputy)]).grow(...quiet('unacked'))
    const votes = users.map((id) => street.vote(id, branch.tip))
    for (const id of users) {
      const fields = { action: 'rotate', subject_id: id, public_key: namedKey(`${id} 2`).publicKey } as const
      branch = branch.add([street.change(`change-of-${id}`, namedKey(id), fields)])
    }
    branch = branch.grow(...quiet('later'))
    const full = await open(street)
    await full.acceptAll(branch)
    await full.cast(...votes, ...users.map((id) => street.vote(id, branch.tip, 'ack', namedKey(`${id} 2`))))
    assert.equal(full.finalizer.finalHeight, branch.tip.height)
    serveReplica(full, peers.of('full'))
    const late = await join(street, 'full', 'v1')
    assert.deepEqual([late.tip(), late.finalizer.finalHeight], [branch.tip, branch.tip.height])
  })
})
