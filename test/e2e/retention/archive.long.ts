import { strict as assert } from 'node:assert'
import { readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { auditDirectory } from '../../../src/node/audit.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  sealTick,
  type RunningAuthority,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

const START = Date.UTC(2015, 0, 2)
/** Three of these fill a file: its bodies have more than four million characters. */
const TRADES = 5_000

/** A tick of many trades: the first is ann's and ben's. */
async function sealBigTick({ node }: RunningAuthority, number: number): Promise<string> {
  const answer = await node.ledger.acceptTick({
    tick_id: `big-${number}`,
    timestamp: START + number,
    transactions: Array.from({ length: TRADES }, (_, index) => ({
      kind: 'trade',
      id: `big-${number}.${index}`,
      from_user_id: index === 0 ? 'ann' : 'sun-1',
      to_user_id: index === 0 ? 'ben' : 'home-1',
      kwh: '1.5',
      price_per_kwh: '0.2',
      total_amount: '0.3',
      timestamp: START,
    })),
  })
  return answer.block_hash ?? ''
}

describe('an authority whose old blocks are archived', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let first: string

  before(async () => {
    network = await createValidatorNetwork({ finality: 'authority', validators: ['v1'], voters: ['ann'] })
    authority = await network.startAuthority()
    first = await sealBigTick(authority, 0)
    for (let number = 1; number < 4; number++) await sealBigTick(authority, number)
    await authority.node.stop()
    authority = await network.startAuthority('authority', {}, { archiveAfter: '0s' })
    await eventually('blocks are archived', async () => (await archivedOf(authority)) >= 3)
    for (let number = 0; number < 8; number++) await sealTick(authority, `small-${number}`, START + 10)
  })
  after(() => network.stop())

  const archive = (): string => join(network.folder, 'authority', 'archive')
  async function archivedOf({ url }: { readonly url: string }): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text()
    return Number(/^solar_archived_blocks ([0-9]+)$/m.exec(text)?.[1])
  }
  const audit = () => {
    const data = join(network.folder, 'authority')
    return auditDirectory(data, { kind: 'sqlite', path: join(data, 'ledger.db') }, () => undefined)
  }

  it('proves a trade of the first block to a household with five headers', async () => {
    const { node } = await network.startHousehold('ann', [authority.address])
    await eventually('it has the tip', () => node.status().tip?.height === 11)
    assert.equal(node.status().headers.length, 5)
    const proof = await (await node.client).prove({ tx_id: 'big-0.0' })
    assert.equal(proof.answer.header.height, 0)
    await node.stop()
  })

  it('gives a receipt for it that verifies offline, the block, and its proof', async () => {
    const receipt = await authority.node.ledger.receipt('big-0.0', 'ann')
    assert.equal(verifyReceipt(receipt, network.chainId).ok, true)
    assert.equal((await authority.node.ledger.block(first)).transactions.length, TRADES)
    assert.equal((await authority.node.ledger.blockProof(first, { tx_id: 'big-0.7' })).index, 7)
  })

  it('gives a new validator every block, which archives them as well', async () => {
    const validator = await network.startValidator('v1', [authority.address])
    await eventually('it has them', async () => (await validator.ledger.latestHeaders(1)).tip_height === 11)
    await validator.node.stop()
    const again = await network.startValidator('v1', [authority.address], { archiveAfter: '0s' })
    await eventually('it archives them', async () => (await archivedOf({ url: again.httpUrl ?? '' })) >= 3)
    assert.equal((await again.ledger.block(first)).transactions.length, TRADES)
    await again.node.stop()
  })

  it('is audited without a finding, and a file that is missing or changed is named, by a request as well', async () => {
    const [file = ''] = await readdir(archive())
    await authority.node.stop()
    assert.deepEqual((await audit()).findings, [])
    await rename(join(archive(), file), join(archive(), 'aside'))
    const { findings } = await audit()
    assert.deepEqual(
      findings.map(({ place, found }) => [place, found]),
      [[`archive ${file}`, 'no such file']],
    )
    authority = await network.startAuthority()
    await assert.rejects(
      authority.node.ledger.block(first),
      (error) => isSolarError(error, 'corrupt') && error.message.includes(file),
    )
    await authority.node.stop()
    await writeFile(join(archive(), file), 'something else\n')
    assert.match((await audit()).findings[0]?.place ?? '', new RegExp(file))
    await rename(join(archive(), 'aside'), join(archive(), file))
    assert.deepEqual((await audit()).findings, [])
    authority = await network.startAuthority()
  })
})
