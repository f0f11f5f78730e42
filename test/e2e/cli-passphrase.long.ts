import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tempDir } from '../helpers/temp.ts'
import { cliGroup, jsonLines } from './main-job/cli.ts'

describe('the command line with a passphrase', () => {
  const clis = cliGroup()
  let folder: Awaited<ReturnType<typeof tempDir>>
  beforeEach(async () => {
    folder = await tempDir()
  })
  afterEach(async () => {
    await clis.killAll()
    await folder.remove()
  })

  it('encrypts a key with a passphrase from a file, and opens it with nothing else', async () => {
    const [key, good, bad] = ['a.key', 'good', 'bad'].map((name) => join(folder.path, name)) as [string, string, string]
    await writeFile(good, 'a sunny day\n')
    await writeFile(bad, 'a rainy day\n')
    const made = await clis.run('keys', 'new', '--out', key, '--passphrase-file', good, '--json')
    assert.equal(made.code, 0, made.stderr)
    assert.match(await readFile(key, 'utf8'), /^-----BEGIN AGE ENCRYPTED FILE-----\n/)
    assert.equal((await stat(key)).mode & 0o777, 0o600)
    const shown = await clis.run('keys', 'show', key, '--passphrase-file', good, '--json')
    assert.equal(jsonLines(shown.stdout)[0]?.public_key, jsonLines(made.stdout)[0]?.public_key)
    const wrong = await clis.run('keys', 'show', key, '--passphrase-file', bad)
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /the passphrase does not open it/)
    const silent = await clis.run('keys', 'show', key)
    assert.equal(silent.code, 2)
    assert.match(silent.stderr, /no terminal to ask on, give --passphrase-file FILE/)
  })
})
