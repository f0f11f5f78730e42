import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TokenRole } from '../../../src/node/token-files.ts'
import { startCommunity, type Community, type Household } from '../../helpers/community.ts'
import { eventually } from '../../helpers/patience.ts'
import { cliGroup, jsonLines, type CliEnd } from '../main-job/cli.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'

/** More than a page of `GET /transactions` holds. */
const MANY = 1_050
const NEW_YEAR = Date.UTC(2016, 0, 1)

interface Listing {
  readonly user: string | null
  readonly trades: readonly Readonly<Record<string, unknown>>[]
  readonly sums: Readonly<Record<string, unknown>>
  readonly note: string | null
}

describe('solar-node trades', () => {
  const clis = cliGroup()
  let community: Community
  let ann: Household

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben'] })
    for (const [role, token] of Object.entries(community.tokens)) await writeFile(tokenFile(role as TokenRole), token)
    ann = await community.startHousehold('ann')
    await ann.live()
    const post = async (number: number, ...rows: readonly object[]): Promise<void> => {
      const answer = await community.call('POST', '/ticks/', { role: 'platform', body: tickOf(number, ...rows) })
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
    }
    await post(
      1,
      ...Array.from({ length: MANY }, (_, n) => ({ ...tradeRow(`many-${n}`, 'cyd', 'dan'), timestamp: NEW_YEAR + n })),
    )
    await post(2, tradeRow('sale', 'ann', 'ben'), tradeRow('purchase', '+1', 'ann', '2.5', '0.5'))
    const fix = { kind: 'correction', id: 'fix', corrects: 'sale', kwh_delta: '-0.5', amount_delta: '-0.1' }
    await post(3, { ...fix, reason: 'meter read late', timestamp: NEW_YEAR + 7_200_000 })
    // A day later, on the wall of Vienna: it begins at 23:00 UTC.
    await post(4, { ...tradeRow('next-day', 'ann', 'ben'), timestamp: Date.UTC(2016, 0, 1, 23) })
    await community.until('ann has proved all of hers', () => ann.node.status().tip?.height === 3)
    await eventually('she has voted', () => ann.node.status().votes_sent === 4)
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })

  const tokenFile = (role: TokenRole): string => join(community.folder, `${role}.token`)
  const atUrl = (...more: readonly string[]): Promise<CliEnd> =>
    clis.run('trades', ...more, '--to-url', community.url, '--token-file', tokenFile('platform'))
  function listingOf({ code, stdout, stderr }: CliEnd): Listing {
    assert.equal(code, 0, stderr)
    const [listing, ...more] = jsonLines(stdout)
    assert.equal(more.length, 0)
    return listing as unknown as Listing
  }
  const idsOf = ({ trades }: Listing): readonly unknown[] => trades.map(({ id }) => id)
  const SUMS = { trades: 3, corrected: 1, kwh_sold: '2.5', kwh_bought: '2.5', earned: '0.5', paid: '0.5', balance: '0' }

  it('lists those of a user at a running authority, in words, in JSON and in CSV', async () => {
    const [words, json, csv] = await Promise.all([atUrl('ann'), atUrl('ann', '--json'), atUrl('ann', '--csv')])
    assert.equal(words.code, 0, words.stderr)
    const lines = words.stdout.trimEnd().split('\n')
    assert.equal(lines.length, 7)
    assert.match(
      lines[0] ?? '',
      /^2016-01-01 00:00 UTC {2}bought +2\.5 kWh at 0\.2 (\w+)\/kWh = 0\.5 \1 from \+1 \(purchase\)$/,
    )
    assert.match(lines[1] ?? '', /^2016-01-01 00:00 UTC {2}sold .* to ben \(sale\); corrected, left: 1 kWh, 0\.2 \w+$/)
    assert.match(words.stdout, /^trades +3 of ann; 1 corrected$/m)
    assert.match(words.stdout, /^sold +2\.5 kWh for 0\.5 \w+, after corrections$/m)
    assert.match(words.stdout, /^balance +0 \w+$/m)
    const listing = listingOf(json)
    assert.deepEqual([idsOf(listing), listing.sums, listing.note], [['purchase', 'sale', 'next-day'], SUMS, null])
    const rows = csv.stdout.split('\r\n').map((row) => row.split(','))
    assert.deepEqual(rows.map(([, id = '', , counterparty = '']) => [id, counterparty]).slice(0, 3), [
      ['id', 'counterparty'],
      ['purchase', "'+1"],
      ['sale', 'ben'],
    ])
    assert.deepEqual([csv.code, csv.stderr, rows.length], [0, '', 5])
  })

  it('goes through all pages; a URL after --to is the node', async () => {
    const token = ['--token-file', tokenFile('auditor')]
    const listing = listingOf(await clis.run('trades', 'cyd', '--to', community.url, ...token, '--json'))
    assert.deepEqual(
      idsOf(listing),
      Array.from({ length: MANY }, (_, n) => `many-${n}`),
    )
    assert.equal(listing.sums.kwh_sold, String(MANY * 1.5))
  })

  it('has a range by days of a zone, with corrections that were made after it', async () => {
    const day = (...zone: readonly string[]) =>
      atUrl('ann', '--from', '2016-01-01', '--to', '2016-01-02', ...zone, '--json')
    const [utc, vienna] = (await Promise.all([day(), day('--zone', 'Europe/Vienna')])).map(listingOf)
    assert.deepEqual(utc && idsOf(utc), ['purchase', 'sale', 'next-day'])
    assert.deepEqual(vienna && idsOf(vienna), ['purchase', 'sale'])
    const before = listingOf(await atUrl('ann', '--to', '2016-01-01T01:00Z', '--json'))
    assert.deepEqual([idsOf(before), before.sums.kwh_sold, before.sums.corrected], [['purchase', 'sale'], '1', 1])
  })

  it('says that a device is no user, where it has no trades', async () => {
    const listing = listingOf(await atUrl('ann.phone', '--json'))
    assert.deepEqual([listing.trades, listing.sums.trades], [[], 0])
    assert.match(listing.note ?? '', /^ann\.phone is a party of no trade of this chain: .*not of a device/)
  })

  it('says which token it takes, and what to do while a node holds its data', async () => {
    const operator = ['--to-url', community.url, '--token-file', tokenFile('operator')]
    const [forbidden, light, authority] = await Promise.all([
      clis.run('trades', 'ann', ...operator),
      clis.run('trades', '--data', community.folderOf('ann')),
      clis.run('trades', 'ann', '--data', community.directory),
    ])
    assert.deepEqual([forbidden.code, forbidden.stdout], [1, ''])
    assert.match(
      forbidden.stderr,
      /^solar-node: the trades: HTTP 403 .*; this takes a platform or auditor token: --token-file FILE/,
    )
    for (const { code, stdout, stderr } of [light, authority]) {
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(
        stderr,
        /^solar-node: .* is in use by .*: one data directory, one solar-node; stop that node first .* solar-node trades USER --to-url URL --token-file FILE\n$/,
      )
    }
  })

  for (const [args, says] of [
    [['ann', '--csv', '--json'], /--csv and --json: expected one of them/],
    [['ann', '--from', '2016-01-02', '--to', '2016-01-01'], /expected --from before --to/],
    [['ann', '--from', 'yesterday'], /--from: expected a date such as/],
    [['ann', '--to', '2016-01-01', '--to', '2016-01-02'], /--to: expected one end of time/],
    [['ann', '--zone', '+02:00'], /--zone: expected a time zone such as Europe\/Vienna/],
    [['--to-url', 'http://127.0.0.1:1'], /user: expected whose trades to list/],
    [['ann', '--to-url', 'http://127.0.0.1:1'], /--token-file: expected a file/],
    [['ann', '--token-file', 'f'], /--token-file goes with --to-url/],
    [['ann', '--data', 'd', '--to', 'http://127.0.0.1:1'], /--to-url goes without --data/],
    [['a b'], /user: expected an id/],
    [['ann', '--data', 'no-such-folder'], /no-such-folder: no such file or folder/],
  ] as const) {
    it(`refuses ${args.join(' ')} with exit code 2`, async () => {
      const { code, stdout, stderr } = await clis.run('trades', ...args)
      assert.deepEqual([code, stdout, stderr.trim().split('\n').length], [2, '', 1], stderr)
      assert.match(stderr, says)
      assert.ok(!existsSync('no-such-folder'))
    })
  }

  describe('of stopped nodes', () => {
    before(async () => {
      await ann.stop()
      await community.stopAuthority()
    })

    it('lists what a light node has proved, without being told whose it is', async () => {
      const data = ['--data', community.folderOf('ann')]
      // One after the other: each takes the data directory for itself.
      const own = await clis.run('trades', ...data, '--json')
      const stranger = await clis.run('trades', 'dan', ...data)
      const listing = listingOf(own)
      assert.deepEqual([listing.user, idsOf(listing), listing.sums], ['ann', ['purchase', 'sale', 'next-day'], SUMS])
      assert.match(listing.note ?? '', /has proved itself; it has none of blocks that it was away for/)
      assert.deepEqual([stranger.code, stranger.stdout], [2, ''])
      assert.match(stranger.stderr, /user: dan is a party of none of the trades here, they are of ann/)
    })

    it('lists those of a user from the data of an authority, which has to be told whose', async () => {
      const data = ['--data', community.directory]
      const [own, unnamed] = await Promise.all([
        clis.run('trades', 'ann', ...data, '--json'),
        clis.run('trades', ...data),
      ])
      assert.deepEqual(listingOf(own).sums, SUMS)
      assert.equal(unnamed.code, 2)
      assert.match(unnamed.stderr, /has the trades of all, expected whose to list/)
    })
  })
})
