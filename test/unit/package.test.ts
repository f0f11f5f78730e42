import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../../', import.meta.url))

describe('the package', () => {
  let files: readonly string[]

  before(async () => {
    const npm = ['npm', 'pack', '--dry-run', '--json', '--ignore-scripts'] as const
    const { stdout } = await promisify(execFile)(npm[0], npm.slice(1), { cwd: root, maxBuffer: 1 << 24 })
    // An array from npm 11 and before, an object by name from npm 12 on.
    const [packed] = Object.values(JSON.parse(stdout) as Record<string, { files: readonly { path: string }[] }>)
    files = (packed?.files ?? []).map(({ path }) => path)
  })

  it('has the program, its page, its documents and what they point at', () => {
    for (const path of [
      ...['bin/solar-node.js', 'dist/cli/main.js', 'dist/web/index.html', 'dist/web/app.js', 'LICENSE', 'README.md'],
      ...['CHANGELOG.md', 'test/python/client.py', 'test/vectors/v1/anchors.json', 'docs/examples/outbox_platform.py'],
      ...readdirSync(join(root, 'config')).map((name) => `config/${name}`),
      ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
    ]) {
      if (existsSync(join(root, path))) assert.ok(files.includes(path), path)
    }
  })

  it('has each module that it exports, with its types', () => {
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      exports: Record<string, string | { types: string; default: string }>
    }
    const paths = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : Object.values(entry)))
    assert.ok(paths.length >= 6)
    for (const path of paths) assert.ok(files.includes(path.replace('./', '')), path)
  })

  it('has no sources, tests, source maps or settings of tools', () => {
    const kinds =
      /^(?:bin|config|docs|dist)\/|^test\/(?:python|vectors)\/|^(?:README|CHANGELOG)\.md$|^LICENSE$|^package\.json$/
    assert.deepEqual(
      files.filter((path) => !kinds.test(path) || /\.map$|\.test\.|\/__pycache__\//.test(path)),
      [],
    )
  })

  it('is in no registry, and no document sends anybody there', () => {
    const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]
    for (const page of pages.filter((name) => name.endsWith('.md'))) {
      const text = readFileSync(join(root, page), 'utf8')
      assert.doesNotMatch(
        text,
        /\bnpx (?:-\S+ )*solar-node|npm (?:i|install|exec|add) (?:-\S+ )*solar-node(?![-\w]*\.tgz)/,
        page,
      )
    }
  })
})
