import assert from 'node:assert/strict'
import { lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeOutFile } from '../../../src/node/out-file.ts'
import { tempDir } from '../../helpers/temp.ts'

describe('node/out-file', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  beforeEach(async () => {
    folder = await tempDir()
  })
  afterEach(() => folder.remove())
  const at = (name: string): string => join(folder.path, name)

  it('makes the file and its folders, closed to others, and replaces it with force alone', async () => {
    const path = at('new/deeper/o')
    await writeOutFile({ path }, ['one', ' two'])
    assert.equal(await readFile(path, 'utf8'), 'one two')
    assert.deepEqual([(await stat(path)).mode & 0o777, (await stat(at('new'))).mode & 0o777], [0o600, 0o700])
    await assert.rejects(writeOutFile({ path, force: false }, ['x']), /exists already: .*--force/)
    await assert.rejects(writeOutFile({ path }, ['x']), /exists already: .*never overwritten/)
    await writeOutFile({ path, force: true }, ['three'])
    assert.equal(await readFile(path, 'utf8'), 'three')
  })

  it('takes the place of nothing but a file, also with force', async () => {
    await writeFile(at('target'), 'mine')
    await symlink(at('target'), at('link'))
    await symlink(at('nowhere'), at('loose'))
    await mkdir(at('folder'))
    for (const [path, reason] of [
      [at('link'), /is a link, expected a file/],
      [at('loose'), /is a link, expected a file/],
      [at('folder'), /is a folder, expected a file/],
      ['/dev/null', /is a device or a pipe, expected a file/],
    ] as const) {
      await assert.rejects(writeOutFile({ path, force: true }, ['x']), reason)
    }
    assert.equal(await readFile(at('target'), 'utf8'), 'mine')
    assert.ok((await lstat('/dev/null')).isCharacterDevice())
  })
})
