import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { BrowserContext } from 'playwright-core'

const source = (name: string) => fileURLToPath(new URL(`../../src/web/${name}`, import.meta.url))

/** Serves the page's code as it stands in the source, whatever was built before; all else comes from the node. */
export async function servePageSource(context: BrowserContext): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [source('app.ts'), source('app.css')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    outdir: '/',
    write: false,
    logLevel: 'silent',
  })
  for (const { path, text } of outputFiles) {
    const contentType = path.endsWith('.css') ? 'text/css' : 'text/javascript'
    await context.route(`**${path}`, (route) => route.fulfill({ body: text, contentType }))
  }
}
