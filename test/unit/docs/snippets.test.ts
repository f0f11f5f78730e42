import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Libsql from 'libsql'
import { Linter } from 'eslint'
import { createProgram } from '../../../src/cli/program.ts'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import * as light from '../../../src/light.ts'
import * as protocol from '../../../src/protocol/index.ts'
import { stepsOf, type Block } from '../../e2e/docs/markdown.ts'
import { tempDir } from '../../helpers/temp.ts'
import { allPages, readPage } from './pages.ts'

/** What is done with the snippets of a language: its own parser takes them, or a walk runs them. */
type Treatment = 'walked' | 'commands' | 'config' | 'json' | 'sql' | 'script' | 'python' | `not run: ${string}`

const CONTRACT = 'not run: bytes and names of the contract, which the test vectors hold'

/** What is done with the snippets of each page, by language. */
const TREATED: Readonly<Record<string, Readonly<Record<string, Treatment>>>> = {
  'README.md': { '': 'not run: a drawing', sh: 'commands', python: 'python' },
  'docs/benchmarks.md': { '': 'not run: what was measured on one machine' },
  'docs/first-day.md': {
    sh: 'walked',
    yaml: 'config',
    ini: 'not run: a unit of systemd, which asks for root',
    text: 'not run: the settings of Caddy, which is no part of this project',
  },
  'docs/integration.md': { python: 'python', sql: 'sql', js: 'script' },
  'docs/mishaps.md': { sh: 'commands', sql: 'sql' },
  'docs/operations.md': {
    sh: 'commands',
    yaml: 'config',
    sql: 'not run: roles and databases, which SQLite does not have',
    text: 'not run: the settings of HAProxy, which is no part of this project',
    ini: 'not run: units of systemd, which ask for root',
  },
  'docs/protocol.md': { json: 'json', python: CONTRACT, text: CONTRACT },
  'docs/tutorials/auditor.md': { sh: 'walked' },
  'docs/tutorials/community.md': { sh: 'walked' },
  'docs/tutorials/household.md': { sh: 'walked' },
  'docs/tutorials/platform.md': { sh: 'walked', python: 'walked' },
  'docs/tutorials/validator.md': { sh: 'walked' },
}

/** Blocks of walked pages that are not run, each with its reason. */
const NOT_WALKED = [
  'docs/first-day.md: needs root',
  'docs/first-day.md: the paper is yours; with - the words are typed',
  "docs/first-day.md: an emergency; the same command runs in the validator's step below for a household's key",
  'docs/first-day.md: needs root and systemd',
  'docs/first-day.md: needs a public domain and Caddy',
  'docs/first-day.md: needs root and ufw',
  'docs/tutorials/community.md: the sample is copied for the test',
]

const blocksOf = (path: string): readonly Block[] =>
  stepsOf(readPage(path).text).filter((step): step is Block => step.kind === 'block')

/** The snippets that are treated like this, each named by its place. */
const treated = (treatment: Treatment): readonly (readonly [place: string, text: string])[] =>
  Object.entries(TREATED).flatMap(([path, languages]) =>
    blocksOf(path)
      .filter(({ language }) => languages[language] === treatment)
      .map(({ line, text }) => [`${path}:${line}`, text] as const),
  )

/** What the documents leave to the reader. */
const filledIn = (text: string): string =>
  text.replace(/\b([0-9a-f]{4})\.\.\./g, (_, start: string) => start.repeat(16))

/** Each command of the program with the long options that it takes, by its words. */
function optionsByCommand(): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, ReadonlySet<string>>()
  const visit = (
    command: ReturnType<typeof createProgram>,
    words: readonly string[],
    above: readonly string[],
  ): void => {
    const options = [...above, ...command.options.map(({ long }) => long ?? '')]
    found.set(words.join(' '), new Set(['--help', ...options]))
    for (const inner of command.commands) visit(inner, [...words, inner.name()], options)
  }
  visit(createProgram(), [], [])
  return found
}

describe('the snippets of the documents', () => {
  it('are each treated in one way, which the table has', () => {
    const listed = (path: string, languages: readonly string[]) =>
      `${path}: ${[...new Set(languages)].sort().join(', ')}`
    const there = allPages()
      .map(({ path }) => [path, blocksOf(path).map(({ language }) => language)] as const)
      .filter(([, languages]) => languages.length > 0)
      .map(([path, languages]) => listed(path, languages))
    const inTable = Object.entries(TREATED).map(([path, languages]) => listed(path, Object.keys(languages)))
    assert.deepEqual(there.sort(), inTable.sort())
  })

  it('are run where a page is walked, but for those of this list', () => {
    const walked = Object.entries(TREATED).filter(([, languages]) => languages.sh === 'walked')
    const notRun = walked.flatMap(([path]) =>
      blocksOf(path).flatMap((block) => (block.notRun === undefined ? [] : [`${path}: ${block.notRun}`])),
    )
    assert.deepEqual(notRun, NOT_WALKED)
  })

  it('name commands and options that the program has', () => {
    const known = optionsByCommand()
    const snippets = treated('commands')
    assert.ok(snippets.length > 10)
    for (const [place, text] of snippets) {
      const lines = text.replace(/\\\n/g, ' ').split('\n')
      for (const line of lines.filter((one) => one.startsWith('solar-node '))) {
        const words = line
          .replace(/ +#.*$/, '')
          .split(/\s+/)
          .slice(1)
        const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((one) => known.has(one)) ?? 'run'
        const options = words.filter((word) => word.startsWith('--')).map((word) => word.replace(/=.*/, ''))
        const unknown = options.filter((option) => !known.get(name)?.has(option))
        assert.deepEqual(unknown, [], `${place}: solar-node ${name}`)
      }
    }
  })

  it('are settings that an authority takes', async () => {
    const folder = await tempDir()
    try {
      for (const [place, text] of treated('config')) {
        const file = join(folder.path, 'authority.yaml')
        writeFileSync(file, filledIn(text))
        assert.doesNotThrow(() => loadAuthorityConfig({ flags: {}, env: {}, file }), place)
      }
    } finally {
      await folder.remove()
    }
  })

  it('are JSON where they say so', () => {
    for (const [place, text] of treated('json')) assert.doesNotThrow(() => JSON.parse(text) as unknown, place)
  })

  it('are SQL that fits the tables, but for rights, which SQLite does not have', async () => {
    const folder = await tempDir()
    const path = join(folder.path, 'ledger.db')
    try {
      await (await openSqlite(path)).close()
      const database = new Libsql(path)
      const statements = treated('sql').filter(([, text]) => !text.startsWith('grant '))
      assert.equal(statements.length, 3)
      for (const [place, text] of statements) {
        assert.doesNotThrow(() => database.prepare(text.replaceAll('solar_node.', '')), place)
      }
      database.close()
    } finally {
      await folder.remove()
    }
  })

  it('are scripts that name only what there is', () => {
    const exported: Readonly<Record<string, object>> = { light, protocol }
    // What a browser has, and what the text around the second one says that the reader has.
    const given = ['console', 'localStorage', 'AbortController', 'text', 'chainId', 'show']
    const linter = new Linter()
    const globals = Object.fromEntries(given.map((name) => [name, 'readonly' as const]))
    for (const [place, text] of treated('script')) {
      const languageOptions = { globals, ecmaVersion: 'latest', sourceType: 'module' } as const
      const found = linter.verify(text, [{ languageOptions, rules: { 'no-undef': 'error' } }])
      assert.deepEqual(
        found.map(({ message }) => message),
        [],
        place,
      )
      const [, names = '', entry = ''] = /import \{([^}]*)\} from 'solar-node\/(\w+)'/.exec(text) ?? []
      for (const name of names
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')) {
        assert.ok(name in (exported[entry] ?? {}), `${place}: ${name} of solar-node/${entry}`)
      }
    }
  })

  if (spawnSync('python3', ['--version']).status === 0) {
    it('are Python', () => {
      for (const [place, input] of treated('python')) {
        const { status, stderr } = spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], {
          input,
        })
        assert.equal(status, 0, `${place}: ${stderr.toString()}`)
      }
    })
  }
})
