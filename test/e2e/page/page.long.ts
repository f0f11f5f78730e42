import assert from 'node:assert/strict'
import type { Browser, BrowserContext, Locator, Page, Route } from 'playwright-core'
import { PATIENCE_MS, startBrowser, watchPage } from '../../helpers/browser.ts'
import { growStreet, startStreet, type GrownStreet } from '../../helpers/grown-community.ts'
import { servePageSource } from '../../helpers/page-bundle.ts'

/** More than the page holds at once. */
const EARLY_BLOCKS = 104

describe('page in a browser', () => {
  let browser: Browser
  let context: BrowserContext
  let street: GrownStreet
  let page: Page
  let problems: readonly string[]

  before(async () => {
    browser = await startBrowser()
    street = await growStreet(EARLY_BLOCKS)
  })
  after(async () => {
    await browser.close()
    await street.stop()
  })
  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1366, height: 900 }, timezoneId: 'Europe/Berlin' })
    context.setDefaultTimeout(PATIENCE_MS)
    await servePageSource(context)
    page = await context.newPage()
    problems = watchPage(page)
  })
  afterEach(() => context.close())

  const verdict = (outcome: 'pass' | 'fail' | 'open'): Locator => page.locator(`.verdict-${outcome}`)
  const blockTitle = (height: number): Locator => page.getByRole('heading', { name: `Block ${height}`, exact: true })
  const check = (title: string): Locator =>
    page
      .locator('.panel', { has: page.locator('#block-title') })
      .locator('.check', { has: page.locator('strong', { hasText: new RegExp(`^${title}$`) }) })

  async function open(fragment = '', base = street.community.url): Promise<void> {
    await page.goto('about:blank')
    await page.goto(`${base}/${fragment}`)
  }
  async function openGreen(fragment = '', base?: string): Promise<void> {
    await open(fragment, base)
    await verdict('pass').waitFor()
  }
  async function checkTrade(text: string): Promise<string> {
    await page.getByLabel('Trade or receipt').fill(text)
    await page.getByRole('button', { name: 'Check it' }).click()
    const result = page.locator('.proof-result .proof-verdict h3')
    await result.waitFor()
    return await result.innerText()
  }
  async function receiptOf(id: string): Promise<string> {
    const { status, body } = await street.community.call('GET', `/transactions/${id}/receipt`, { role: 'auditor' })
    assert.equal(status, 200)
    return JSON.stringify(body)
  }

  it('is green for a community that grew, and judges each block by the policy in force at it', async () => {
    await openGreen()
    const { tip, policies } = street
    assert.equal(await page.locator('.tile', { hasText: 'Final up to' }).locator('b').innerText(), String(tip.height))
    assert.match(await check('Finality').innerText(), /Confirmed by validator-1 and validator-2/)
    for (const [height, words] of [
      [tip.height - 1, /Confirmed by validator-1 and validator-2/],
      [policies.authority, /once an authority has sealed it/],
      [policies.authority + 1, new RegExp(`ancestor of block ${policies.authority + 3}, which is final`)],
      [policies.authority + 3, /Confirmed by casa-aurora and casa-delta/],
    ] as const) {
      await page.getByLabel('Find a block or a trade').fill(String(height))
      await page.getByRole('button', { name: 'Find' }).click()
      await blockTitle(height).waitFor()
      assert.match(await check('Finality').innerText(), words)
    }
    assert.match(await page.locator('.masthead').innerText(), /final at 2 of 2 validators/)
    assert.match(await page.locator('footer').innerText(), /Europe\/Berlin/)
    assert.deepEqual(problems, [])
  })

  it('shows what a change of the registry does, and opens a block by its link', async () => {
    await openGreen(`#block=${street.policies.authority}`)
    await blockTitle(street.policies.authority).waitFor()
    assert.match(await check('Registry').innerText(), /makes blocks final by 2 households confirming them/)
    const named = new URL(page.url()).hash
    assert.match(named, new RegExp(`chain=${street.community.chainId}&block=[0-9a-f]{64}`))
    await openGreen(named)
    await blockTitle(street.policies.authority).waitFor()
  })

  it('reaches the oldest block, proves it in the history of the newest, and comes back', async () => {
    await openGreen(`#block=${street.oldest.hash}`)
    await blockTitle(0).waitFor()
    await check('History').waitFor()
    assert.match(await check('History').innerText(), /commits to a history that has block \d+ in it/)
    assert.match(await check('Finality').innerText(), /once an authority has sealed it/)
    await page.getByRole('button', { name: 'Newer' }).click()
    await blockTitle(24).waitFor()
    await page.getByRole('button', { name: 'Newest', exact: true }).click()
    await blockTitle(street.tip.height).waitFor()
    await page.getByRole('button', { name: 'Older' }).click()
    await blockTitle(street.tip.height - 24).waitFor()
    assert.deepEqual(problems, [])
  })

  it('finds a trade that is older than what it holds, by id, hash, content and receipt', async () => {
    await openGreen()
    const { oldest, corrected } = street
    const here = 'This trade is in the ledger'
    assert.equal(await checkTrade(oldest.ids[0] ?? ''), here)
    assert.match(await page.locator('.proof-result').innerText(), /in block 0, which is final/)
    assert.equal(await checkTrade(oldest.txHashes[0] ?? ''), here)
    const receipt = await receiptOf(oldest.ids[0] ?? '')
    const { transaction } = JSON.parse(receipt) as { transaction: object }
    assert.equal(await checkTrade(JSON.stringify(transaction, null, 2)), here)
    assert.equal(await checkTrade(JSON.stringify({ ...transaction, kwh: '9' })), 'This is not what the ledger has')
    assert.equal(await checkTrade(receipt), 'This receipt holds')
    assert.equal(await checkTrade(receipt.replace('"kwh":"', '"kwh":"1')), 'This receipt does not hold')
    assert.equal(await checkTrade(await receiptOf(corrected.id)), 'This receipt holds')
    const facts = await page.locator('.facts').innerText()
    assert.match(facts, /Correction of trade-0-1: -0.05 kWh, -0.01 EUR \(late meter reading\)/)
    assert.match(facts, /What is left/)
    // The search box finds trades as well, and a link opens one.
    await open(`#tx=${oldest.ids[1] ?? ''}`)
    await page.locator('.proof-verdict h3', { hasText: here }).waitFor()
  })

  it('says apart what is not there, what was removed, and what is of another ledger', async () => {
    await openGreen()
    const { redacted, oldest } = street
    const removed = 'This trade is in the ledger; its content was removed'
    assert.equal(await checkTrade(redacted.id), removed)
    assert.equal(await checkTrade(redacted.hash), removed)
    assert.equal(await checkTrade('trade-of-nobody'), 'The node knows no such trade')
    assert.equal(await checkTrade(oldest.hash), 'This is a block, not a trade')
    const stranger = await startStreet({ seed: 'another street' })
    try {
      const { ids } = await stranger.seal(1)
      const { body } = await stranger.community.call('GET', `/transactions/${ids[0] ?? ''}/receipt`, {
        role: 'auditor',
      })
      assert.equal(await checkTrade(JSON.stringify(body)), 'This receipt is of another ledger')
    } finally {
      await stranger.stop()
    }
  })

  it('shows kWh and money with a token, says what is wrong with another, and keeps none', async () => {
    const { tokens } = street.community
    await openGreen('#block=1')
    const enter = async (token: string): Promise<void> => {
      await page.getByLabel('Token').fill(token)
      await page.getByRole('button', { name: 'Show kWh and money' }).click()
    }
    await enter('no-token-of-this-node')
    await page.getByText('This is no token of this node.').waitFor()
    assert.equal(await page.locator('table').count(), 0)
    await enter(tokens.auditor)
    await page.locator('table').waitFor()
    assert.match(await page.locator('table').innerText(), /Correction of trade-0-1/)
    await page.locator('.tile', { hasText: 'Energy, kWh' }).waitFor()
    await page.getByRole('button', { name: 'Older' }).waitFor({ state: 'attached' })
    assert.equal(await checkTrade(street.oldest.ids[0] ?? ''), 'This trade is in the ledger')
    assert.match(await page.locator('.facts').innerText(), /sold .* kWh to/)
    const kept = await page.evaluate<string>('JSON.stringify([location.href, {...localStorage}, {...sessionStorage}])')
    assert.ok(!kept.includes(tokens.auditor))
    await page.getByRole('button', { name: 'Forget the token' }).click()
    await page.locator('table').waitFor({ state: 'detached' })
  })

  it('is red when the node lies about a header, a vote, or who is registered', async () => {
    const change = (path: string, edit: (text: string) => string) =>
      page.route(path, async (route: Route) => {
        const response = await route.fetch()
        await route.fulfill({ response, body: edit(await response.text()) })
      })
    await change('**/blocks/latest-headers/*', (text) => text.replace(/"tx_count":3/, '"tx_count":2'))
    await open()
    await verdict('fail').waitFor()
    assert.match(await verdict('fail').innerText(), /checks? failed/)
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    await change('**/votes/', (text) => text.replace(/"decision":"ack"/, '"decision":"reject"'))
    await open()
    await verdict('fail').waitFor()
    assert.match(await verdict('fail').innerText(), /vote of/)
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    // An entry that nobody enrolled: another key for a household.
    await change('**/registry/changes*', (text) => text.replace(/"public_key":"[0-9a-f]{4}/, '"public_key":"0000'))
    await open()
    await verdict('fail').waitFor()
    assert.match(await verdict('fail').innerText(), /list of members does not hold/)
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    await change('**/registry/changes*', () => JSON.stringify({ height: 10_000, changes: [], next: null }))
    await open()
    await verdict('fail').waitFor()
    assert.match(await verdict('fail').innerText(), /registry/)
  })

  it('says that the node is away, checks a receipt without it, and comes back by itself', async () => {
    await openGreen()
    const receipt = await receiptOf(street.oldest.ids[0] ?? '')
    await street.community.stopAuthority()
    try {
      await page.locator('.pill[data-connection=reconnecting]').waitFor()
      assert.equal(await checkTrade(street.oldest.ids[0] ?? ''), 'The node does not answer')
      assert.equal(await checkTrade(receipt), 'This receipt holds')
    } finally {
      await street.community.startAuthority()
    }
    await page.locator('.pill[data-connection=live]').waitFor()
    assert.equal(await checkTrade(street.oldest.ids[0] ?? ''), 'This trade is in the ledger')
  })

  it('is served by a validator as well, which says what it is', async () => {
    const stranger = await street.startValidator('nobody')
    await open('', stranger.url)
    await page.getByText('This validator has no block yet').waitFor()
    const { url } = await street.startValidator('validator-1')
    await openGreen('', url)
    await blockTitle(street.tip.height).waitFor()
    assert.match(await page.locator('main').innerText(), /came from a validator, which does not seal blocks/)
    assert.equal(await checkTrade(street.oldest.ids[0] ?? ''), 'This trade is in the ledger')
    assert.deepEqual(problems, [])
  })

  it('waits for the first trade, then shows two blocks as they come', async () => {
    const fresh = await startStreet()
    try {
      await open('', fresh.community.url)
      await page.getByText('Waiting for the first trade').waitFor()
      await fresh.seal(2)
      await fresh.seal(1)
      await verdict('pass').waitFor()
      await blockTitle(1).waitFor()
      assert.equal(await page.getByRole('option').count(), 2)
      assert.deepEqual(problems, [])
    } finally {
      await fresh.stop()
    }
  })

  it('has the API at /docs, grouped, under our name, with nothing from outside', async () => {
    const { url } = street.community
    const foreign: string[] = []
    page.on('request', (request) => {
      if (!request.url().startsWith(`${url}/`) && !request.url().startsWith('data:')) foreign.push(request.url())
    })
    await page.goto(`${url}/docs`)
    await page.locator('.opblock').first().waitFor()
    assert.equal(await page.title(), 'solar-node API')
    assert.equal(await page.locator('.topbar').isVisible(), false)
    const icon = (await page.locator('link[rel=icon]').getAttribute('href')) ?? ''
    const fetched = await context.request.get(new URL(icon, page.url()).href)
    assert.equal(fetched.headers()['content-type'], 'image/svg+xml')
    const { tags } = (await (await context.request.get(`${url}/docs/json`)).json()) as { tags: { name: string }[] }
    const groups = await page.locator('.opblock-tag').evaluateAll((all) => all.map(({ dataset }) => dataset.tag))
    assert.deepEqual(
      groups,
      tags.map(({ name }) => name),
    )
    await page.locator('.opblock', { hasText: '/blocks/latest-headers/' }).locator('.opblock-summary').click()
    await page.locator('.opblock.is-open').getByRole('button', { name: 'Try it out' }).click()
    await page.locator('.opblock.is-open').getByRole('button', { name: 'Execute' }).click()
    await page.locator('.opblock.is-open .live-responses-table').waitFor()
    assert.deepEqual(foreign, [])
    assert.deepEqual(problems, [])
  })
})
