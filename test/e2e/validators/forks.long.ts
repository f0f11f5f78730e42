import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { misbehaviourOf, type Evidence } from '../../../src/protocol/evidence.ts'
import { eventually, portOf, relayTo } from '../../helpers/network.ts'
import {
  blockStatus,
  createProcessNetwork,
  getJson,
  logged,
  postTick,
  type ProcessNetwork,
} from '../../helpers/process-network.ts'
import { freePorts } from '../../helpers/processes.ts'
import {
  createValidatorNetwork,
  sealTick,
  type RunningAuthority,
  type RunningLight,
  type RunningValidator,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

describe('two authorities with one key under validators:3, with validators on both sides', () => {
  let network: ValidatorNetwork
  let here: RunningAuthority
  let there: RunningAuthority
  let gate: Awaited<ReturnType<typeof relayTo>> | undefined
  let gatePort: number
  let v1: RunningValidator
  let v2: RunningValidator
  let v3: RunningValidator

  beforeEach(async () => {
    const validators = ['v1', 'v2', 'v3', 'v4']
    network = await createValidatorNetwork({ finality: 'validators:3', validators, voters: ['ann', 'ben'] })
    here = await network.startAuthority()
    there = await network.startAuthority('twin')
    ;[gatePort = 0] = await freePorts(1)
    v1 = await network.startValidator('v1', [here.address])
    v2 = await network.startValidator('v2', [here.address])
    // Cut off from the others until the gate is there.
    v3 = await network.startValidator('v3', [there.address, `/ip4/127.0.0.1/tcp/${gatePort}`])
  })
  afterEach(async () => {
    await network.stop()
    await gate?.close()
  })

  const openGate = async (): Promise<void> => {
    gate = await relayTo(portOf(v2.address), gatePort)
  }
  const statusOn = async (node: Pick<RunningValidator, 'ledger'>, hash: string): Promise<string> =>
    await node.ledger.blockStatus(hash).then(
      ({ status }) => status,
      () => 'unknown',
    )
  const becomes = (status: string, node: Pick<RunningValidator, 'ledger'>, hash: string, who: string) =>
    eventually(`${hash} is ${status} for ${who}`, async () => (await statusOn(node, hash)) === status)
  /** Who has co-signed; households that have seen a block ack it as well. */
  const coSigned = async (node: Pick<RunningValidator, 'ledger'>, hash: string): Promise<readonly string[]> =>
    (await node.ledger.votes(hash)).flatMap(({ entry }) => (entry.role === 'validator' ? [entry.id] : [])).toSorted()
  const misbehaviour = async (url: string | null) => {
    const { evidence } = (await (await fetch(`${url}/evidence`)).json()) as { evidence: Evidence[] }
    return evidence.map(misbehaviourOf).map(({ kind, signer_id, height }) => `${kind} ${signer_id} ${height}`)
  }
  const live = (household: RunningLight) =>
    eventually('a household is live', () => household.node.status().state === 'live')

  it('exactly one chain becomes final everywhere once they are joined, and the losing blocks are kept as orphaned', async () => {
    const ann = await network.startHousehold('ann', [here.address])
    const ben = await network.startHousehold('ben', [there.address, v3.address])
    await Promise.all([live(ann), live(ben)])
    const ours = [await sealTick(here, 'here-0'), await sealTick(here, 'here-1')]
    const theirs = [await sealTick(there, 'there-0'), await sealTick(there, 'there-1')]
    const [top, lost] = [ours[1]!.block_hash, theirs[1]!.block_hash]
    await eventually('each side has acked its own', async () => {
      return (await coSigned(here.node, top)).length === 2 && (await coSigned(there.node, lost)).length === 1
    })
    await eventually('ben follows his side', () => ben.node.status().tip?.header_hash === lost)

    await openGate()
    // More distinct acks weigh more; but who has acked one block of a height acks no other, so two acks it stays.
    await becomes('orphaned', v3, lost, 'v3')
    await becomes('proposed', v3, top, 'v3')
    assert.deepEqual(await coSigned(v3, top), ['v1', 'v2'])

    const v4 = await network.startValidator('v4', [v2.address])
    const everybody = { v1, v2, v3, v4, here: here.node }
    for (const [name, node] of Object.entries(everybody)) {
      for (const { block_hash } of ours) await becomes('final', node, block_hash, name)
    }
    for (const { block_hash } of theirs) {
      assert.equal(await statusOn(v3, block_hash), 'orphaned')
      for (const node of [v1, v2, v4]) assert.notEqual(await statusOn(node, block_hash), 'final')
      assert.equal(await statusOn(there.node, block_hash), 'proposed', 'the other authority has no quorum')
    }

    const token = JSON.parse(await readFile(join(network.folder, 'v3', 'tokens.json'), 'utf8')) as { auditor: string }
    const kept = await fetch(`${v3.httpUrl}/blocks/${lost}`, { headers: { authorization: `Bearer ${token.auditor}` } })
    assert.equal(kept.status, 200)
    assert.equal(((await kept.json()) as { transactions: { id: string }[] }).transactions[0]?.id, 'there-1.1')
    const answer = (await (await fetch(`${v3.httpUrl}/blocks/${lost}/status/`)).json()) as { status: string }
    assert.equal(answer.status, 'orphaned')
    for (const url of [v1.httpUrl, v2.httpUrl, v3.httpUrl, here.url, there.url]) {
      await eventually('the double seals are listed', async () => (await misbehaviour(url)).length === 2)
      assert.deepEqual((await misbehaviour(url)).toSorted(), ['double-seal authority 0', 'double-seal authority 1'])
    }

    // Freed by the final block, v3 votes again: without v1 it is needed.
    await v1.node.stop()
    const next = await sealTick(here, 'here-2')
    for (const [name, node] of Object.entries({ v2, v3, v4 })) await becomes('final', node, next.block_hash, name)
    await eventually('the households end on the final chain', () =>
      [ann, ben].every(({ node }) => node.status().tip?.header_hash === next.block_hash),
    )
  })

  it('a branch that leaves the chain below the last final block is refused, whatever comes on it, and alarmed about', async () => {
    const v4 = await network.startValidator('v4', [here.address])
    const ours = [await sealTick(here, 'here-0'), await sealTick(here, 'here-1')]
    for (const { block_hash } of ours) await becomes('final', v4, block_hash, 'v4')
    const theirs = []
    for (let n = 0; n < 4; n++) theirs.push(await sealTick(there, `there-${n}`))
    await becomes('proposed', v3, theirs[3]!.block_hash, 'v3')

    await openGate()
    for (const { block_hash } of ours) await becomes('final', v3, block_hash, 'v3')
    for (const { block_hash } of theirs) await becomes('orphaned', v3, block_hash, 'v3')
    const later = await sealTick(there, 'there-4')
    const next = await sealTick(here, 'here-2')
    for (const [name, node] of Object.entries({ v1, v2, v3, v4 })) {
      await becomes('final', node, next.block_hash, name)
      assert.equal(await statusOn(node, later.block_hash), 'unknown')
      for (const { block_hash } of ours) assert.equal(await statusOn(node, block_hash), 'final')
    }
    await eventually('v2 has the evidence', async () => (await misbehaviour(v2.httpUrl)).length >= 2)
  })
})

describe('a validator that is killed when it has acked, and finds another block of that height', () => {
  let network: ProcessNetwork
  before(
    async () => (network = await createProcessNetwork({ finality: 'validators:2', validators: ['v1', 'v2', 'v3'] })),
  )
  after(() => network.stop())

  it('acks neither it nor what goes on from it', async () => {
    const here = await network.startAuthority()
    const there = await network.startAuthority('twin')
    const v1 = await network.startValidator('v1', [here.address])
    const acked = await postTick(here, await network.tokenOf('platform'), 'here-0')
    await v1.process.awaitLine(logged(({ msg }) => msg === 'co-signed block 0'))
    v1.process.kill('SIGKILL')
    await v1.process.ended

    const token = await network.tokenOf('platform', 'twin')
    const others = [await postTick(there, token, 'there-0'), await postTick(there, token, 'there-1')]
    const again = await network.startValidator('v1', [there.address, here.address])
    const knows = (hash: string) =>
      eventually(`it knows ${hash}`, () => blockStatus(again, hash).then(() => true, () => false)) // prettier-ignore
    for (const { block_hash } of others) await knows(block_hash)
    // It has had its say on those before this one.
    others.push(await postTick(there, token, 'there-2'))
    await knows(others[2]!.block_hash)
    for (const { block_hash } of others) assert.equal((await blockStatus(there, block_hash)).votes.ack, 0)
    const { evidence } = await getJson<{ evidence: Evidence[] }>(again, '/evidence')
    assert.deepEqual(evidence.map(({ kind }) => kind), ['double-seal']) // prettier-ignore
    await eventually('its word counts', async () => (await blockStatus(here, acked.block_hash)).votes.ack === 1)
  })
})
