import assert from 'node:assert/strict'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { eventually } from '../../helpers/network.ts'
import { sqlitePlatform } from '../../helpers/platform-database.ts'
import { hasPython, runPython } from '../../unit/protocol/python.ts'

function withPython(): void {
  describe('the example of a platform in Python', () => {
    let community: Community
    before(async () => {
      community = await startCommunity({ voters: ['ann'], flags: { outbox_poll: 0.1 } })
    })
    after(() => (community as Community | undefined)?.stop())

    it('has its committed tick sealed, and none of the one that it rolled back', async () => {
      const { code, stdout, stderr } = await runPython('../../docs/examples/outbox_platform.py', [community.database])
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(stdout, /^rolled back: .*\nwritten: tick-1\n$/)
      const platform = sqlitePlatform(community.database)
      try {
        await eventually('the row is done', async () => (await platform.rows())[0]?.done_at !== null)
        const rows = await platform.rows()
        assert.deepEqual(
          rows.map(({ tick_id, error_code }) => [tick_id, error_code]),
          [['tick-1', null]],
        )
        const { body } = await community.call('GET', `/blocks/${rows[0]?.block_hash}`, { role: 'platform' })
        const [trade, ...others] = body.transactions as Record<string, unknown>[]
        assert.deepEqual([trade?.id, trade?.from_user_id, trade?.kwh, others], ['trade-1', 'roof-1', '1.5', []])
      } finally {
        await platform.close()
      }
    })
  })
}

if (hasPython) withPython()
