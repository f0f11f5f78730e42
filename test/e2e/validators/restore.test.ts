import { strict as assert } from 'node:assert'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  sealTick,
  type RunningAuthority,
  type RunningValidator,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

describe('an authority that has lost its databases, and a validator', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let validator: RunningValidator

  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'validators:1', validators: ['v1'] })
    authority = await network.startAuthority()
    validator = await network.startValidator('v1', [authority.address])
    for (const id of ['t0', 't1', 't2']) await sealTick(authority, id)
    await eventually('the validator has them', async () => (await validator.ledger.latestHeaders(1)).tip_height === 2)
  })
  afterEach(() => network.stop())

  const tipOf = async ({ node }: RunningAuthority) => (await node.ledger.latestHeaders(1)).tip_height

  it('with nothing but its key gets every block back, seals on top, and the validator makes it final', async () => {
    await authority.node.stop()
    const rebuilt = await network.startAuthority('rebuilt', {}, { peer: [validator.address] })
    await eventually('the blocks are back', async () => (await tipOf(rebuilt)) === 2)
    const { height, block_hash } = await sealTick(rebuilt, 't3')
    assert.equal(height, 3)
    await eventually(
      'block 3 is final',
      async () => (await rebuilt.node.ledger.blockStatus(block_hash)).status === 'final',
    )
    assert.equal((await sealTick(rebuilt, 't1')).height, 1)
  })

  it('hears while it runs that another process with its key goes on, and follows instead of sealing beside it', async () => {
    const other = await network.startAuthority('other', {}, { peer: [validator.address] })
    await eventually('it has the chain', async () => (await tipOf(other)) === 2)
    await sealTick(authority, 't3')
    await eventually('it follows', async () => (await tipOf(other)) === 3)
    assert.equal((await sealTick(other, 't4')).height, 4)
    await eventually('and the first follows it', async () => (await tipOf(authority)) === 4)
    assert.equal((await sealTick(authority, 't5')).height, 5)
  })
})

describe('an authority that has lost its databases, and the acks of a validator that is away', () => {
  let network: ValidatorNetwork

  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'validators:2', validators: ['v1', 'v2'] })
  })
  afterEach(() => network.stop())

  it('takes them from the other validator: what was final is so again, before anybody acks', async () => {
    const authority = await network.startAuthority()
    const v1 = await network.startValidator('v1', [authority.address])
    const v2 = await network.startValidator('v2', [authority.address, v1.address])
    const { block_hash } = await sealTick(authority, 't0')
    const isFinalAt = async ({ ledger }: Pick<RunningValidator, 'ledger'>) =>
      (await ledger.latestHeaders(1)).tip_height === 0 && (await ledger.blockStatus(block_hash)).status === 'final'
    await eventually('block 0 is final', () => isFinalAt(v1))
    await v2.node.stop()
    await authority.node.stop()
    const rebuilt = await network.startAuthority('rebuilt', {}, { peer: [v1.address] })
    await eventually('block 0 is final again', () => isFinalAt(rebuilt.node))
  })
})
