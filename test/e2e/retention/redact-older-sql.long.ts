import assert from 'node:assert/strict'
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { auditDirectory } from '../../../src/node/audit.ts'
import type { PlatformRow } from '../../../src/ports/ledger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { eventually } from '../../helpers/network.ts'
import { createValidatorNetwork, sealTick, type ValidatorNetwork } from '../../helpers/validator-network.ts'

const NOW = Date.now()
const trade = (id: string): PlatformRow => ({
  ...{ kind: 'trade', id, from_user_id: 'ann', to_user_id: 'ben' },
  ...{ kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3', timestamp: NOW },
})
const correction = (id: string, corrects: string): PlatformRow => ({
  ...{ kind: 'correction', id, corrects, kwh_delta: '-0.5', amount_delta: '-0.1', reason: 'late data', timestamp: NOW },
})
const tickOf = (tick_id: string, ...transactions: PlatformRow[]) => ({ tick_id, timestamp: NOW, transactions })

describe('an older SQL that is put back after a redaction', () => {
  let network: ValidatorNetwork
  beforeEach(async () => {
    network = await createValidatorNetwork({ finality: 'validators:1', validators: ['v1'] })
  })
  afterEach(() => network.stop())

  it('gets the ticks back as they are on the chain, and none of them is sealed again', async () => {
    const file = join(network.folder, 'authority', 'ledger.db')
    let authority = await network.startAuthority()
    await sealTick(authority, 't0')
    await authority.node.stop()
    await copyFile(file, `${file}.backup`)

    authority = await network.startAuthority()
    const validator = await network.startValidator('v1', [authority.address])
    const ticks = [
      tickOf('alone', trade('a')),
      tickOf('beside', trade('b'), trade('c')),
      tickOf('corrected', correction('fix-b', 'b')),
    ]
    const sealed = []
    for (const tick of ticks) sealed.push(await authority.node.ledger.acceptTick(tick))
    const isFinal = (hash: string) =>
      eventually('it is final', async () => (await authority.node.ledger.blockStatus(hash)).status === 'final')
    await isFinal(sealed.at(-1)?.block_hash ?? '')
    for (const id of ['a', 'b']) await redact(authority, id)
    const records = await redactionsOf(authority)
    await authority.node.stop()
    await validator.node.stop()

    for (const ending of ['', '-wal', '-shm']) await rm(file + ending, { force: true })
    await copyFile(`${file}.backup`, file)
    authority = await network.startAuthority()
    const { ledger } = authority.node
    assert.deepEqual(await redactionsOf(authority), records)
    for (const [index, tick] of ticks.entries()) assert.deepEqual(await ledger.acceptTick(tick), sealed[index])
    await assert.rejects(ledger.acceptTick(tickOf('alone', trade('z'))), (error) =>
      isSolarError(error, 'tick_conflict'),
    )
    for (const [id, row] of [
      ['again-a', trade('a')],
      ['again-b', trade('b')],
      ['again-fix', correction('fix-b', 'c')],
    ] as const) {
      const refused = (error: unknown) => isSolarError(error, 'duplicate_transaction')
      await assert.rejects(ledger.acceptTick(tickOf(id, row)), refused, id)
    }
    await network.startValidator('v1', [authority.address])
    await isFinal((await sealTick(authority, 'next')).block_hash)
    await authority.node.stop()
    const report = await auditDirectory(
      join(network.folder, 'authority'),
      { kind: 'sqlite', path: file },
      () => undefined,
    )
    assert.deepEqual(report.findings, [])
  })

  it('loses the bodies again that were removed since it was taken', async () => {
    const file = join(network.folder, 'authority', 'ledger.db')
    let authority = await network.startAuthority()
    const validator = await network.startValidator('v1', [authority.address])
    const { block_hash } = await authority.node.ledger.acceptTick(tickOf('first', trade('a'), trade('b')))
    const isFinal = (hash: string) =>
      eventually('it is final', async () => (await authority.node.ledger.blockStatus(hash)).status === 'final')
    await isFinal(block_hash ?? '')
    await authority.node.stop()
    await copyFile(file, `${file}.backup`)

    authority = await network.startAuthority()
    await redact(authority, 'a')
    const records = await redactionsOf(authority)
    await authority.node.stop()
    for (const ending of ['', '-wal', '-shm']) await rm(file + ending, { force: true })
    await copyFile(`${file}.backup`, file)

    authority = await network.startAuthority()
    const { ledger } = authority.node
    assert.deepEqual(await redactionsOf(authority), records)
    await assert.rejects(ledger.acceptTick(tickOf('late', correction('fix-a', 'a'))), (error) =>
      isSolarError(error, 'refused_row'),
    )
    await validator.node.stop()
    await network.startValidator('v1', [authority.address])
    const next = await ledger.acceptTick(tickOf('late', correction('fix-b', 'b')))
    await isFinal(next.block_hash ?? '')
    await authority.node.stop()
    const report = await auditDirectory(
      join(network.folder, 'authority'),
      { kind: 'sqlite', path: file },
      () => undefined,
    )
    assert.deepEqual(report.findings, [])
  })
})

type Authority = Awaited<ReturnType<ValidatorNetwork['startAuthority']>>

async function redact({ url, token }: Authority, id: string): Promise<void> {
  const headers = { authorization: `Bearer ${token('operator')}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ redacted_by: 'mia', reason: 'erasure' })
  const { status } = await fetch(`${url}/transactions/${id}/redact`, { method: 'POST', headers, body })
  assert.equal(status, 200)
}

async function redactionsOf({ url, token }: Authority): Promise<unknown> {
  const answer = await fetch(`${url}/redactions`, { headers: { authorization: `Bearer ${token('operator')}` } })
  assert.equal(answer.status, 200)
  return await answer.json()
}
