import { strict as assert } from 'node:assert'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../../src/ports/logger.ts'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  sealTick,
  type RunningAuthority,
  type RunningValidator,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

describe('a validator that has lost its disk', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority

  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'validators:2', validators: ['v1', 'v2'] })
    authority = await network.startAuthority()
  })
  afterEach(() => network.stop())

  async function look({ httpUrl }: RunningValidator, path: string): Promise<string> {
    const answer = await fetch(`${httpUrl}${path}`)
    return `${answer.status} ${await answer.text()}`
  }

  it('learns from its peers what it acked, and says so while too few have told it', async () => {
    const v1 = await network.startValidator('v1', [authority.address])
    const v2 = await network.startValidator('v2', [authority.address])
    const first = await sealTick(authority, 't0')
    const statusOf = async (hash: string) => (await authority.node.ledger.blockStatus(hash)).status
    await eventually('block 0 is final', async () => (await statusOf(first.block_hash)) === 'final')
    await v1.node.stop()
    const second = await sealTick(authority, 't1')
    const votesOf = () => authority.node.ledger.votes(second.block_hash)
    await eventually('v2 alone has acked block 1', async () => (await votesOf()).length === 1)
    await v2.node.stop()
    await rm(join(network.folder, 'v2', 'level'), { recursive: true })

    const log: string[] = []
    const note = (_fields: object, message: string): void => void log.push(message)
    const logger: Logger = { debug: () => undefined, info: note, warn: note, error: note }
    const again = await network.startValidator('v2', [authority.address, v1.address], { recallPeers: '2' }, { logger })
    await eventually('it knows of its ack', () => log.some((line) => line.includes('up to height 1')))
    await eventually('it says that it waits', async () =>
      (await look(again, '/ready')).includes('1 of the 2 named peers'),
    )
    assert.match(await look(again, '/metrics'), /^solar_acks_known 0$/m)
    const [, port = ''] = /\/tcp\/(\d+)/.exec(v1.address) ?? []
    await network.startValidator('v1', [authority.address], { listen: [`/ip4/127.0.0.1/tcp/${port}`] })
    await eventually('it is ready', async () => (await look(again, '/ready')).startsWith('200 '))
    assert.match(await look(again, '/metrics'), /^solar_acks_known 1$/m)
    const third = await sealTick(authority, 't2')
    await eventually('block 2 is final', async () => (await statusOf(third.block_hash)) === 'final')
  })
})
