import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { eventually } from '../../helpers/network.ts'
import { sqlitePlatform } from '../../helpers/platform-database.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'

const TICKS = [0, 1, 2].map((n) => tickOf(n, tradeRow(`${n}.0`, 'ann', 'ben'), tradeRow(`${n}.1`, 'ben', 'ann')))

describe('an outbox in a database that is an older backup', () => {
  let community: Community
  before(async () => {
    community = await startCommunity({ voters: ['ann'], flags: { outbox_poll: 0.1 } })
  })
  after(() => (community as Community | undefined)?.stop())

  async function withPlatform<T>(use: (platform: ReturnType<typeof sqlitePlatform>) => Promise<T>): Promise<T> {
    const platform = sqlitePlatform(community.database)
    try {
      return await use(platform)
    } finally {
      await platform.close()
    }
  }
  /** The blocks of all rows, once each has one. */
  const sealed = () =>
    withPlatform(async (platform) => {
      await eventually('all rows are sealed', async () => (await platform.rows()).every((row) => row.done_at !== null))
      return (await platform.rows()).map(({ tick_id, block_hash }) => [tick_id, block_hash])
    })

  it('waits again, and becomes the blocks that are sealed already', async () => {
    await community.stopAuthority()
    await withPlatform(async (platform) => {
      await platform.write(...TICKS)
      // So that the file alone is whole.
      await platform.execute('pragma wal_checkpoint(truncate)')
    })
    const backup = join(community.folder, 'backup.db')
    await cp(community.database, backup)

    await community.startAuthority()
    const first = await sealed()
    await community.stopAuthority()
    for (const suffix of ['', '-wal', '-shm']) await rm(`${community.database}${suffix}`, { force: true })
    await cp(backup, community.database)
    assert.equal(await withPlatform(async (platform) => (await platform.rows()).filter((row) => row.tick).length), 3)

    await community.startAuthority()
    assert.deepEqual(await sealed(), first)
    const { body } = await community.call('GET', '/blocks/latest-headers/?n=1')
    assert.equal(body.tip_height, 2)
  })
})
