import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { loadKeyFile } from '../../../src/keys/key-file.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  sealTick,
  type RunningAuthority,
  type RunningValidator,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

const IDS = ['v1', 'v2', 'v3', 'v4']

describe('four validators under validators:3', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let validators: Map<string, RunningValidator>

  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'validators:3', validators: IDS, voters: ['ann', 'ben'] })
    authority = await network.startAuthority()
    validators = new Map()
    for (const id of IDS) validators.set(id, await network.startValidator(id, [authority.address]))
  })
  afterEach(() => network.stop())

  const statusOf = async (hash: string, from: Pick<RunningAuthority['node'], 'ledger'> = authority.node) =>
    (await from.ledger.blockStatus(hash)).status

  it('make blocks final, with any one of them away; with two away none, and all once one is back', async () => {
    const first = await sealTick(authority, 't0')
    await eventually('block 0 is final', async () => (await statusOf(first.block_hash)) === 'final')

    await validators.get('v1')!.node.stop()
    const second = await sealTick(authority, 't1')
    await eventually('block 1 is final', async () => (await statusOf(second.block_hash)) === 'final')

    await validators.get('v2')!.node.stop()
    const waiting: { readonly block_hash: string }[] = []
    for (const id of ['t2', 't3', 't4']) waiting.push(await sealTick(authority, id))
    await eventually('two have acked the tip', async () => {
      const { votes } = await authority.node.ledger.blockStatus(waiting[2]!.block_hash)
      return votes.ack === 2 && votes.required === 3
    })
    for (const { block_hash } of waiting) assert.equal(await statusOf(block_hash), 'proposed')

    await network.startValidator('v2', [authority.address])
    for (const { block_hash } of waiting) {
      await eventually('it is final', async () => (await statusOf(block_hash)) === 'final')
    }
    await eventually('a validator knows it as well', async () => {
      const status = await validators.get('v3')!.ledger.blockStatus(waiting[2]!.block_hash)
      return status.status === 'final' && status.finalized_at !== null
    })
  })

  it('serve light nodes in place of the authority', async () => {
    const ticks = []
    for (let n = 0; n < 8; n++) ticks.push(await sealTick(authority, `t${n}`))
    const v1 = validators.get('v1')!
    await eventually('a validator has all of it final', async () => {
      const { headers } = await v1.ledger.latestHeaders(1)
      return headers[0]?.header.height === 7 && headers[0].status === 'final'
    })
    // Whose device it is the authority alone can say, once.
    const first = await network.startHousehold('ann', [authority.address])
    await eventually('it has its certificate', async () => (await first.node.client).user() === 'ann')
    await first.node.stop()
    await authority.node.stop()
    const ann = await network.startHousehold('ann', [v1.address])
    const client = await ann.node.client
    await eventually('a household follows', () => client.status().state === 'live')
    assert.equal(client.status().tip?.height, 7)
    const proof = await client.prove({ tx_id: 't0.1' })
    assert.equal(proof.answer.header.height, 0)
    const identity = await client.identityOf(await loadKeyFile(join(network.folder, 'ann', DATA_FILES.voterKey)))
    assert.ok(identity !== undefined)
    assert.equal((await client.bodyOf(proof, identity)).id, 't0.1')
    assert.ok(ann.events.every((event) => event.type !== 'alarm'))
  })
})
