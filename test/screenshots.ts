import { mkdir } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { PATIENCE_MS, startBrowser, SCHEMES, WIDTHS } from './helpers/browser.ts'
import { servePageSource } from './helpers/page-bundle.ts'
import { growStreet, startStreet, type GrownStreet } from './helpers/grown-community.ts'

/**
 * Pictures of the page, to look at and for the documents: `npm run screenshots -- --out docs/images` makes the few that the documents
 * show, `--all` every state at every width in both colour schemes.
 */
const { values } = parseArgs({
  options: { out: { type: 'string', default: 'docs/images' }, all: { type: 'boolean', default: false } },
})
const SETTLED = '.verdict-pass, .verdict-fail, .verdict-open'

/** Those that a document shows. */
const FOR_DOCUMENTS: readonly string[] = ['grown', 'money']

async function shoot(page: Page, name: string): Promise<void> {
  if (!values.all && !FOR_DOCUMENTS.includes(name)) return
  const widths = values.all ? WIDTHS : [1366]
  for (const width of widths) {
    for (const colorScheme of values.all ? SCHEMES : (['light'] as const)) {
      await page.setViewportSize({ width, height: 860 })
      await page.emulateMedia({ colorScheme })
      await page.evaluate('scrollTo(0, 0)')
      const path = `${values.out}/${name}${values.all ? `-${width}-${colorScheme}` : ''}.png`
      await page.screenshot({ path, fullPage: values.all, animations: 'disabled' })
    }
  }
}

async function openAt(page: Page, url: string): Promise<void> {
  await page.goto('about:blank')
  await page.goto(url)
  await page.locator(SETTLED).first().waitFor()
}

async function shootGrown(page: Page, street: GrownStreet): Promise<void> {
  const { url, tokens } = street.community
  await openAt(page, url)
  await page.locator('.verdict-pass').waitFor()
  await shoot(page, 'grown')
  await page.getByLabel('Trade or receipt').fill(street.oldest.ids[0] ?? '')
  await page.getByRole('button', { name: 'Check it' }).click()
  await page.locator('.proof-verdict').waitFor()
  await page.getByLabel('Token').fill(tokens.auditor)
  await page.getByRole('button', { name: 'Show kWh and money' }).click()
  await page.locator('.tile', { hasText: 'Energy, kWh' }).filter({ hasText: 'blocks shown' }).waitFor()
  await shoot(page, 'money')
  await openAt(page, `${url}/#block=${street.policies.authority}`)
  await page.getByRole('heading', { name: `Block ${street.policies.authority}` }).waitFor()
  await shoot(page, 'older')
  await page.route('**/blocks/latest-headers/*', async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, body: (await response.text()).replace('"tx_count":3', '"tx_count":2') })
  })
  await openAt(page, url)
  await page.locator('.verdict-fail').waitFor()
  await shoot(page, 'lying')
  await page.unrouteAll({ behavior: 'ignoreErrors' })
}

await mkdir(values.out, { recursive: true })
const browser = await startBrowser()
const context = await browser.newContext({ deviceScaleFactor: 1, timezoneId: 'Europe/Berlin' })
context.setDefaultTimeout(PATIENCE_MS)
await servePageSource(context)
const page = await context.newPage()
try {
  const street = await growStreet(values.all ? 30 : 60)
  await shootGrown(page, street).finally(() => street.stop())
  const empty = await startStreet()
  try {
    await openAt(page, empty.community.url)
    await shoot(page, 'empty')
    await empty.seal(2)
    await empty.seal(1)
    await page.locator('.verdict-pass').waitFor()
    await shoot(page, 'two-blocks')
  } finally {
    await empty.stop()
  }
} finally {
  await browser.close()
}
