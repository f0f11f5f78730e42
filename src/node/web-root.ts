import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The built page, where it is built: beside the built code, or in dist/ of a checkout. */
export function webRoot(): string | undefined {
  const places = ['../web/', '../../dist/web/'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
  // The source folder has the page's HTML as well, but not what it runs.
  return places.find((path) => existsSync(join(path, 'app.js')))
}
