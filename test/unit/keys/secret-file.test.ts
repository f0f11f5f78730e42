import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readPassphraseFile } from '../../../src/keys/passphrase.ts'
import { readKeyFile } from '../../../src/keys/key-file.ts'
import { readSecretFile, strangerOf } from '../../../src/keys/secret-file.ts'
import { readTokenFile } from '../../../src/cli/token-file.ts'
import { tempDir } from '../../helpers/temp.ts'

const RULES = { maxBytes: 1_000 }

describe('keys/secret-file', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>
  const at = (name: string): string => join(temp.path, name)
  beforeEach(async () => {
    temp = await tempDir()
  })
  afterEach(() => temp.remove())

  function write(name: string, mode: number, content = 'secret\n'): string {
    writeFileSync(at(name), content)
    chmodSync(at(name), mode)
    return at(name)
  }

  it('takes a file of mode 0600, and any mode where nobody else gets', async () => {
    for (const mode of [0o600, 0o400, 0o644, 0o666]) {
      const read = await readSecretFile(write('a', mode), RULES)
      assert.deepEqual('bytes' in read && read.bytes.toString(), 'secret\n')
    }
  })

  it('refuses a file that others can read, as a secret of any kind', async () => {
    chmodSync(temp.path, 0o755)
    const parent = temp.path
    // Above it is /tmp, through which everybody gets.
    for (const mode of [0o644, 0o640, 0o620, 0o604]) {
      const file = write('a', mode)
      const shown = `0${mode.toString(8)}`
      assert.deepEqual(await readSecretFile(file, RULES), { fault: 'exposed', mode: shown })
      await assert.rejects(readPassphraseFile(file), new RegExp(`passphrase.*\\(mode ${shown}\\): chmod 600`))
      await assert.rejects(readTokenFile(file), new RegExp(`--token-file: .*\\(mode ${shown}\\): chmod 600`))
      await assert.rejects(readKeyFile(file), { code: 'key_exposed' })
    }
    chmodSync(parent, 0o700)
    assert.deepEqual(await readSecretFile(at('a'), { ...RULES, isStrict: true }), { fault: 'exposed', mode: '0604' })
  })

  it('follows no link, and says what to do', async () => {
    symlinkSync(write('a', 0o600), at('link'))
    await assert.rejects(readPassphraseFile(at('link')), /is a link/)
    await assert.rejects(readTokenFile(at('link')), /is a link/)
    await assert.rejects(readKeyFile(at('link')), /is a link/)
    // A folder on the way may be one, as where secrets are mounted.
    mkdirSync(at('real'))
    writeFileSync(at('real/b'), 'secret\n', { mode: 0o600 })
    symlinkSync(at('real'), at('folder'))
    assert.equal(await readPassphraseFile(at('folder/b')), 'secret')
  })

  it('trusts files of this user and of root alone', () => {
    const user = process.getuid?.() ?? 0
    assert.equal(strangerOf(user), undefined)
    assert.equal(strangerOf(0), undefined)
    assert.match(strangerOf(user + 1) ?? '', new RegExp(`belongs to user ${user + 1}, this is user ${user}`))
  })

  it('reads no more than it may, of a sparse file of gigabytes and of a device without an end', async () => {
    truncateSync(write('a', 0o600), 2 ** 34)
    const tooLarge = { fault: 'too_large', reason: 'it has more than 1000 bytes' }
    assert.deepEqual(await readSecretFile(at('a'), RULES), tooLarge)
    assert.deepEqual(await readSecretFile('/dev/zero', RULES), tooLarge)
    await assert.rejects(readPassphraseFile(at('a')), /more than 65536 bytes/)
    await assert.rejects(readTokenFile(at('a')), /more than 65536 bytes/)
    await assert.rejects(readKeyFile(at('a')), /more than 16384 bytes/)
  })

  it('takes what a shell gives as a file', () => {
    const script = `
      import { readPassphraseFile } from ${JSON.stringify(new URL('../../../src/keys/passphrase.ts', import.meta.url).href)}
      process.stdout.write(await readPassphraseFile(process.argv.at(-1)))`
    const args = ['--import=tsx', '--input-type=module', '-e', script]
    const command = `"$0" "$@" <(echo from-a-pipe)`
    const said = execFileSync('bash', ['-c', command, process.execPath, ...args], { encoding: 'utf8' })
    assert.equal(said, 'from-a-pipe')
  })
})
