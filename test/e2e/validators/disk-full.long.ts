import assert from 'node:assert/strict'
import { diskLimits } from '../../helpers/disk-limits.ts'
import { createProcessNetwork, getJson, logged, tipHeight, type ProcessNetwork } from '../../helpers/process-network.ts'
import { eventually } from '../../helpers/network.ts'

/** Each is some 300 KB: three are more than the limit leaves room for. */
const TRADES = 1_000
const TICKS = 5

for (const limit of diskLimits().filter(({ isFileSystem }) => !isFileSystem)) {
  describe(`a validator while ${limit.name}`, () => {
    let network: ProcessNetwork

    before(async () => {
      network = await createProcessNetwork({ finality: 'validators:1', validators: ['v1'] })
    })
    after(() => network.stop())

    it('says why it is not ready, and co-signs what it missed once there is room', async () => {
      const authority = await network.startAuthority()
      const validator = await network.startValidator('v1', [authority.address])
      const { pid } = validator.process
      const ready = async (): Promise<{ readonly status: number; readonly text: string }> => {
        const answer = await fetch(`${validator.url}/ready`)
        return { status: answer.status, text: await answer.text() }
      }
      const finalHeight = async (): Promise<number> => {
        const { headers } = await getJson<{ headers: readonly { status: string }[] }>(
          authority,
          '/blocks/latest-headers/',
        )
        return headers.findLastIndex(({ status }) => status === 'final')
      }
      assert.equal((await ready()).status, 200)

      await limit.tighten(network.folder, pid)
      for (let n = 0; n < TICKS; n++) await postLargeTick(authority.url, await network.tokenOf('platform'), n)
      await validator.process.awaitLine(logged(({ msg }) => String(msg).startsWith('NOT CO-SIGNING: ')))
      const { status, text } = await ready()
      assert.equal(status, 503)
      assert.match(text, limit.reason)
      assert.equal((await fetch(`${validator.url}/health`)).status, 200)

      await limit.makeRoom(network.folder, pid)
      await validator.process.awaitLine(logged(({ msg }) => String(msg).endsWith('blocks are co-signed')))
      await eventually('it has every block', async () => (await tipHeight(validator)) === TICKS - 1)
      await eventually('its acks make all of them final', async () => (await finalHeight()) === TICKS - 1)
      assert.equal((await ready()).status, 200)
      validator.process.kill('SIGTERM')
      assert.deepEqual(await validator.process.ended, { code: 0, signal: null }, validator.process.errors())
    })
  })
}

async function postLargeTick(url: string, token: string, n: number): Promise<void> {
  const timestamp = Date.now()
  const transactions = Array.from({ length: TRADES }, (_, index) => ({
    id: `trade-${n}.${index}`,
    from_user_id: 'ann',
    to_user_id: 'ben',
    kwh: '1.5',
    price_per_kwh: '0.2',
    total_amount: '0.3',
    timestamp,
  }))
  const answer = await fetch(`${url}/ticks/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tick_id: `tick-${n}`, timestamp, transactions }),
  })
  assert.equal(answer.status, 200, await answer.text())
}
