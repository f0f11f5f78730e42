import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { schemas, YAML_ONLY } from '../../../src/config/schema.ts'
import { allPages, headings, readPage, ROOT, withoutBlocks, type Page } from './pages.ts'

/** `[text](target)`, without those to other sites. */
const LINK = /\]\((?!https?:)([^)\s]+)\)/g

/** The name of a heading in a link, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- _]/gu, '')
    .replaceAll(' ', '-')

/** Links of a page that lead nowhere. */
function brokenLinks(page: Page): readonly string[] {
  return [...page.text.matchAll(LINK)]
    .map(([, target = '']) => target)
    .filter((target) => {
      const [file = '', anchor] = target.split('#')
      const path = file === '' ? page.path : posix.join(posix.dirname(page.path), file)
      if (!existsSync(ROOT + path)) return true
      return anchor !== undefined && !headings(readPage(path)).map(anchorOf).includes(anchor)
    })
}

/** Prose that does not fit beside a terminal or a diff; tables and blocks have a form of their own. */
const wideLines = ({ text }: Page): readonly string[] =>
  withoutBlocks(text)
    .split('\n')
    .filter((line) => line.length >= 120 && !line.startsWith('|'))

/** Text that the program prints, with `…` for what it fills in. */
function printedTexts(): string {
  const files = readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const source = files.map((file) => readFileSync(`${ROOT}src/${file}`, 'utf8')).join('\n')
  // Long texts are put together from several literals.
  return source.replace(/['`] \+\s+['`]/g, '').replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
}

/** The lines that a heading of the mishaps quotes, as `printedTexts` has them. */
const quotedLines = (heading: string): readonly string[] =>
  [...heading.matchAll(/`([^`]+)`/g)].map(([, line = '']) => line.replace(/\.\.\.|\b[NM]\b/g, '…'))

describe('the documents', () => {
  const pages = allPages()

  it('link to what is there', () => {
    const broken = pages.flatMap((page) => brokenLinks(page).map((target) => `${page.path}: ${target}`))
    assert.deepEqual(broken, [])
  })

  it('have lines that fit', () => {
    // The protocol's examples and tables are a contract, byte by byte.
    const wide = pages
      .filter(({ path }) => path !== 'docs/protocol.md' && path !== 'CHANGELOG.md')
      .flatMap((page) => wideLines(page).map((line) => `${page.path}: ${line}`))
    assert.deepEqual(wide, [])
  })

  it('lead to the glossary, each of them', () => {
    const without = pages
      .filter(({ path }) => path.startsWith('docs/') && path !== 'docs/glossary.md' && path !== 'docs/protocol.md')
      .filter(({ text }) => !text.includes('glossary.md)'))
    assert.deepEqual(
      without.map(({ path }) => path),
      [],
    )
  })

  it('name in the mishaps only lines that the program prints', () => {
    const printed = printedTexts()
    const pieces = headings(readPage('docs/mishaps.md'))
      .flatMap(quotedLines)
      .flatMap((line) => line.split('…'))
      .map((piece) => piece.replace(/^[\s:,]+|[\s:,]+$/g, ''))
      .filter((piece) => piece.length > 4)
    assert.ok(pieces.length > 30)
    assert.deepEqual(
      pieces.filter((piece) => !printed.includes(piece)),
      [],
    )
  })

  it('list every setting there is, and no other', () => {
    const { text } = readPage('docs/operations.md')
    const section = text.slice(text.indexOf('## Settings'), text.indexOf('## PostgreSQL'))
    const listed = [...section.matchAll(/^\| `([a-z_]+)` /gm)].map(([, name]) => name)
    const known = new Set(['mode', ...Object.values(schemas).flatMap((schema) => Object.keys(schema.shape))])
    assert.deepEqual([...listed].sort(), [...known].sort())
    for (const name of YAML_ONLY) assert.ok(known.has(name), name)
  })
})
