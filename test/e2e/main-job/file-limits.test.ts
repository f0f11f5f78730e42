import { strict as assert } from 'node:assert'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readLines } from '../../../src/node/lines.ts'
import { tempDir } from '../../helpers/temp.ts'
import { cliGroup } from './cli.ts'

const MIB = 1024 * 1024

describe('files that somebody gives to a command', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  const cli = cliGroup()
  beforeEach(async () => {
    folder = await tempDir()
  })
  afterEach(async () => {
    await cli.killAll()
    await folder.remove()
  })

  /** A file of so many bytes, all of them zero; it takes no room on the disk. */
  async function fileOf(bytes: number, name = 'given.json'): Promise<string> {
    const file = join(folder.path, name)
    await writeFile(file, '', { mode: 0o600 })
    await truncate(file, bytes)
    return file
  }
  const chain = ['--chain', 'ab'.repeat(32)]
  const data = () => ['--data', join(folder.path, 'data')]

  const cases: readonly (readonly [string, number, (file: string) => readonly string[], number])[] = [
    ['settings', MIB, (file) => ['--mode=authority', ...data(), '--config', file], 2],
    ['a genesis', 32 * MIB, (file) => ['--mode=authority', ...data(), '--genesis', file], 2],
    ['a genesis to look at', 32 * MIB, (file) => ['genesis', 'show', file], 2],
    ['a receipt', 64 * MIB, (file) => ['verify', file, ...chain], 1],
    [
      'a passphrase',
      64 * 1024,
      (file) => ['keys', 'new', '--out', join(folder.path, 'new.key'), '--passphrase-file', file],
      1,
    ],
    ['a key', 16 * 1024, (file) => ['keys', 'show', file], 1],
  ]
  for (const [what, limit, command, code] of cases) {
    it(`are read up to a limit, and refused beyond it in one line: ${what}`, async () => {
      const file = await fileOf(limit + 1)
      const ended = await cli.run(...command(file))
      assert.deepEqual([ended.code, ended.stdout], [code, ''], ended.stderr)
      assert.match(ended.stderr, new RegExp(`^solar-node: .*it has more than ${limit} bytes[^\\n]*\\n$`))
    })
  }

  it('are cut where a line does not end: a chain file', async () => {
    const line = 'x'.repeat(10)
    const lines: string[] = []
    const chunks = [line, line, line, '\n', 'short\r\n', line, line]
    const source = (async function* () {
      for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk))
    })()
    for await (const read of readLines(source, 15)) lines.push(read)
    assert.deepEqual(lines, [line + line, line, 'short', line + line])
    const ended = await cli.run('audit', '--file', await fileOf(129 * MIB), ...chain)
    assert.equal(ended.code, 1)
    assert.ok(ended.stdout.length + ended.stderr.length < 5_000, 'what is wrong is not quoted')
  })
})
