import assert from 'node:assert/strict'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { accessibilityProblems, PATIENCE_MS, startBrowser } from '../../helpers/browser.ts'
import { growStreet, startStreet, type GrownStreet } from '../../helpers/grown-community.ts'
import { servePageSource } from '../../helpers/page-bundle.ts'

describe('page at every width, in both colour schemes, is accessible and no wider than the window', () => {
  let browser: Browser
  let context: BrowserContext
  let street: GrownStreet
  let page: Page

  before(async () => {
    browser = await startBrowser()
    street = await growStreet(3)
    context = await browser.newContext({ viewport: { width: 1366, height: 900 }, timezoneId: 'Europe/Berlin' })
    context.setDefaultTimeout(PATIENCE_MS)
    await servePageSource(context)
  })
  after(async () => {
    await browser.close()
    await street.stop()
  })
  beforeEach(async () => {
    page = await context.newPage()
  })
  afterEach(() => page.close())

  const opened = async (verdict: 'pass' | 'fail', fragment = ''): Promise<void> => {
    await page.goto(`${street.community.url}/${fragment}`)
    await page.locator(`.verdict-${verdict}`).waitFor()
  }

  it('where every check passes', async () => {
    await opened('pass')
    assert.deepEqual(await accessibilityProblems(page), [])
  })

  it('at the oldest block, with a receipt that holds', async () => {
    await opened('pass', `#block=${street.oldest.hash}`)
    const { status, body } = await street.community.call('GET', `/transactions/${street.corrected.id}/receipt`, {
      role: 'auditor',
    })
    assert.equal(status, 200)
    await page.getByLabel('Trade or receipt').fill(JSON.stringify(body))
    await page.getByRole('button', { name: 'Check it' }).click()
    await page.locator('.proof-result .proof-verdict h3').waitFor()
    assert.deepEqual(await accessibilityProblems(page), [])
  })

  it('with the trades of a block, for who has a token', async () => {
    await opened('pass', '#block=1')
    await page.getByLabel('Token').fill(street.community.tokens.auditor)
    await page.getByRole('button', { name: 'Show kWh and money' }).click()
    await page.locator('table').waitFor()
    assert.deepEqual(await accessibilityProblems(page), [])
  })

  it('where a check fails', async () => {
    await page.route('**/votes/', async (route) => {
      const response = await route.fetch()
      await route.fulfill({
        response,
        body: (await response.text()).replace(/"decision":"ack"/, '"decision":"reject"'),
      })
    })
    await opened('fail')
    assert.deepEqual(await accessibilityProblems(page), [])
  })

  it('before the first trade, and with two blocks', async () => {
    const fresh = await startStreet()
    try {
      await page.goto(fresh.community.url)
      await page.getByText('Waiting for the first trade').waitFor()
      assert.deepEqual(await accessibilityProblems(page), [])
      await fresh.seal(2)
      await fresh.seal(1)
      await page.locator('.verdict-pass').waitFor()
      assert.deepEqual(await accessibilityProblems(page), [])
    } finally {
      await fresh.stop()
    }
  })
})
