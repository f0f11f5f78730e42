import assert from 'node:assert/strict'
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import type { PlatformRow } from '../../../src/ports/ledger.ts'
import { overflowProblems, PATIENCE_MS, startBrowser, watchPage } from '../../helpers/browser.ts'
import { MORNING, startStreet, type Street } from '../../helpers/grown-community.ts'
import { servePageSource } from '../../helpers/page-bundle.ts'

/** As long as an id may be, and of the widest letters. */
const longId = (end: string): string => `${'W'.repeat(64 - end.length)}${end}`
const [SELLER, BUYER] = [longId('-seller'), longId('-buyer')]
const UPPER = 'AB'.repeat(32)
const LARGE = '123456789031.023456'

const trade = (id: string, kwh: string, timestamp: number): PlatformRow & { kind: 'trade' } => ({
  kind: 'trade',
  id,
  from_user_id: SELLER,
  to_user_id: BUYER,
  kwh,
  price_per_kwh: '1',
  total_amount: kwh,
  timestamp,
})

describe('trades with unusual names and sums in a browser', () => {
  let browser: Browser
  let context: BrowserContext
  let street: Street
  let page: Page
  let problems: readonly string[]

  before(async () => {
    browser = await startBrowser()
    street = await startStreet({ name: 'Community'.repeat(11), voters: [SELLER, BUYER] })
    const at = MORNING
    await street.seal(0, [trade('8817', '0.75', at), trade('1', '2', at), trade('01', '3', at), trade(UPPER, '4', at)])
    await street.seal(0, [trade('large', LARGE, at), trade(longId('-id'), '1', at)])
    const reason = 'R'.repeat(200)
    const delta = { kwh_delta: '-0.75', amount_delta: '-0.75', timestamp: at }
    await street.seal(0, [{ kind: 'correction', id: 'correction-1', corrects: '8817', reason, ...delta }])
  })
  after(async () => {
    await browser.close()
    await street.stop()
  })
  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1366, height: 900 }, locale: 'en-GB' })
    context.setDefaultTimeout(PATIENCE_MS)
    await servePageSource(context)
    page = await context.newPage()
    problems = watchPage(page)
  })
  afterEach(() => context.close())

  const result = (): Locator => page.locator('.proof-result')
  const blockTitle = (height: number): Locator => page.getByRole('heading', { name: `Block ${height}`, exact: true })
  async function open(fragment = ''): Promise<void> {
    await page.goto(`${street.community.url}/${fragment}`)
    await page.locator('.verdict-pass').waitFor()
  }
  async function find(text: string): Promise<void> {
    await page.getByLabel('Find a block or a trade').fill(text)
    await page.getByRole('button', { name: 'Find' }).click()
  }
  async function checkTrade(text: string): Promise<string> {
    await page.getByLabel('Trade or receipt').fill(text)
    await page.getByRole('button', { name: 'Check it' }).click()
    await result().locator('h3').waitFor()
    return await result().innerText()
  }
  async function useToken(): Promise<void> {
    await page.getByLabel('Token').fill(street.community.tokens.auditor)
    await page.getByRole('button', { name: 'Show kWh and money' }).click()
    await page.locator('.tile', { hasText: 'Energy, kWh' }).filter({ hasText: 'in 3 blocks shown' }).waitFor()
  }

  it('leaves open what was pasted and not compared, and finds it false with a token', async () => {
    await open()
    const falsified = JSON.stringify({ id: '8817', from_user_id: SELLER, to_user_id: BUYER, kwh: '7.5' })
    assert.match(
      await checkTrade(falsified),
      /Not decided: what you pasted was not compared\s+A trade with this id is in the ledger.*give a token or a receipt/,
    )
    assert.equal(await page.locator('.proof-pass').count(), 0)
    await useToken()
    assert.match(
      await checkTrade(falsified),
      /This is not what the ledger has\s+.*differs from the sealed trade in kwh/,
    )
    assert.match(await checkTrade('{"id":"8817","kwh":7.5e-1}'), /This trade is in the ledger/)
    assert.deepEqual(problems, [])
  })

  it('finds an id as it was typed: by search, by link and in the form', async () => {
    await open(`#tx=${UPPER}`)
    await result().getByText('This trade is in the ledger').waitFor()
    await open()
    assert.match(await checkTrade(UPPER), /This trade is in the ledger/)
    await page.reload()
    await page.locator('.verdict-pass').waitFor()
    await find(UPPER)
    await result().getByText('This trade is in the ledger').waitFor()
  })

  it('offers both where a block and a trade can have one name, and says what the answer is about', async () => {
    await open()
    await find('1')
    await blockTitle(1).waitFor()
    await page.getByRole('button', { name: 'Trade 1', exact: true }).click()
    await result().getByText('This trade is in the ledger').waitFor()
    await find('2')
    await blockTitle(2).waitFor()
    assert.match(await result().innerText(), /^About trade 1:/)
    await find('01')
    await result().getByText('About trade 01:').waitFor()
    assert.deepEqual(problems, [])
  })

  it('shows nothing of another ledger than the link names, and all of it without the link', async () => {
    await page.goto(`${street.community.url}/#chain=${'0'.repeat(64)}&tx=8817`)
    await page.getByRole('heading', { name: 'Another ledger' }).waitFor()
    await page.locator('.verdict-fail').waitFor()
    assert.equal(await page.locator('.verdict-pass, .proof-pass, .icon-pass, .badge-final, .card, form').count(), 0)
    assert.equal(await page.locator('.pill').isVisible(), false)
    await open()
    await page.locator('.card').first().waitFor()
    assert.deepEqual(problems, [])
  })

  it('counts corrections apart once their content is shown', async () => {
    await open()
    const newest = page.getByRole('option').first()
    assert.match(await newest.innerText(), /1 transaction/)
    await useToken()
    assert.match(await newest.innerText(), /1 correction, -0.75 kWh/)
    assert.match(await page.locator('.panel', { has: blockTitle(2) }).innerText(), /1 correction, sealed by/)
    assert.match(await page.locator('.tile', { hasText: /^Trades/ }).innerText(), /6\s+in 3 blocks shown, 1 correction/)
  })

  it('is no wider than the window, whatever the sums, names and reasons are', async () => {
    await open()
    assert.deepEqual(await overflowProblems(page), [])
    await useToken()
    await page.locator('.tile b', { hasText: '123,456,789,041.023456' }).first().waitFor()
    assert.match(await checkTrade('8817'), /What is left/)
    assert.deepEqual(await overflowProblems(page), [])
    await page.getByRole('option').nth(1).click()
    await blockTitle(1).waitFor()
    await checkTrade(JSON.stringify({ id: longId('-id'), [longId('field')]: longId('value'), kwh: LARGE }))
    assert.deepEqual(await overflowProblems(page), [])
  })
})
