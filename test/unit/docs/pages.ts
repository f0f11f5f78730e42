import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The folder that the paths of pages are relative to. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** A document: its path from the root of the project, and its text. */
export interface Page {
  readonly path: string
  readonly text: string
}

export const readPage = (path: string): Page => ({ path, text: readFileSync(ROOT + path, 'utf8') })

/** Every document for people. */
export function allPages(): readonly Page[] {
  const inDocs = readdirSync(`${ROOT}docs`, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.md'),
  )
  const paths = inDocs.map((file) => `docs/${file.replaceAll('\\', '/')}`).sort()
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...paths].map(readPage)
}

/** The text without its fenced blocks, which are no prose. */
export const withoutBlocks = (text: string): string => text.replace(/^ *```[^]*?^ *```$/gm, '')

/** The headings, as they are written. */
export const headings = ({ text }: Page): readonly string[] =>
  withoutBlocks(text)
    .split('\n')
    .filter((line) => /^#{1,6} /.test(line))
    .map((line) => line.replace(/^#+ /, ''))
