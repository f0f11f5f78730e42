import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDataDirectory } from '../../../src/node/data-directory.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { startChild, type Child } from './child.ts'

describe('node/data-directory', () => {
  let folder: string
  let children: Child[]
  const hold = (path: string): Child => {
    const child = startChild('lock-child.ts', path)
    children.push(child)
    return child
  }
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'solar-data-'))
    children = []
  })
  afterEach(async () => {
    for (const child of children) child.process.kill('SIGKILL')
    await Promise.all(children.map((child) => child.ended))
    rmSync(folder, { recursive: true })
  })

  it('makes the directory and those above it, closed to others', async () => {
    const path = join(folder, 'a', 'b')
    const directory = await openDataDirectory(path)
    assert.equal(directory.path, path)
    assert.equal(statSync(path).mode & 0o777, 0o700)
    assert.equal(directory.file('level'), join(path, 'level'))
    directory.close()
  })

  it('closes a directory that others may enter, and says so once', async () => {
    for (const mode of [0o777, 0o755, 0o750, 0o701]) {
      chmodSync(folder, mode)
      const said: string[] = []
      const open = () => openDataDirectory(folder, (line) => said.push(line))
      ;(await open()).close()
      ;(await open()).close()
      assert.equal(statSync(folder).mode & 0o777, 0o700)
      assert.deepEqual(
        said.map((line) => line.includes(`(mode 0${mode.toString(8)})`)),
        [true],
      )
    }
  })

  it('follows no link in a place of its own, and writes to nothing that one points to', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'solar-outside-'))
    try {
      for (const name of [
        'node-lock.pid',
        'node-lock.db',
        'ledger.db',
        'level',
        'archive',
        'tokens.json',
        'authority.key',
      ]) {
        const target = join(outside, name)
        symlinkSync(target, join(folder, name))
        await assert.rejects(openDataDirectory(folder), { message: new RegExp(`${name} in it is a link`) })
        assert.equal(existsSync(target), false)
        rmSync(join(folder, name))
      }
      ;(await openDataDirectory(folder)).close()
    } finally {
      rmSync(outside, { recursive: true })
    }
  })

  it('is taken once in a process, and free again after close', async () => {
    const first = await openDataDirectory(folder)
    await assert.rejects(openDataDirectory(folder), (error) => isSolarError(error, 'data_directory_in_use'))
    first.close()
    first.close()
    const second = await openDataDirectory(folder)
    await assert.rejects(openDataDirectory(folder), (error) => isSolarError(error, 'data_directory_in_use'))
    second.close()
  })

  it('refuses a second process with a line that names the pid of the first', async () => {
    const first = hold(folder)
    await first.says('held')
    await assert.rejects(openDataDirectory(folder), {
      message: `${folder} is in use by another process (pid ${first.process.pid}): one data directory, one solar-node`,
    })
    const second = hold(folder)
    await second.ended
    assert.match(second.output(), new RegExp(`in use by another process \\(pid ${first.process.pid}\\)`))
  })

  it('is free at once after kill -9 of its holder, whoever has the pid now', async () => {
    const first = hold(folder)
    await first.says('held')
    first.process.kill('SIGKILL')
    await first.ended
    // The pid left behind may belong to some other program by now.
    writeFileSync(join(folder, 'node-lock.pid'), '1\n')
    const directory = await openDataDirectory(folder)
    assert.equal(readFileSync(join(folder, 'node-lock.pid'), 'utf8'), `${process.pid}\n`)
    directory.close()
  })

  it('has exactly one winner when many start at once over a killed holder', async () => {
    const killed = hold(folder)
    await killed.says('held')
    killed.process.kill('SIGKILL')
    await killed.ended
    const starters = Array.from({ length: 4 }, () => hold(folder))
    await Promise.all(starters.map((child) => Promise.race([child.says('held'), child.ended])))
    const winners = starters.filter((child) => child.output().includes('held'))
    assert.equal(winners.length, 1)
    const losers = starters.filter((child) => !winners.includes(child))
    await Promise.all(losers.map((child) => child.ended))
    for (const loser of losers) assert.match(loser.output(), /is in use by another process/)
  })

  it('removes what a kill left half written, and nothing else', async () => {
    writeFileSync(join(folder, 'authority.key.1234.tmp'), 'half')
    writeFileSync(join(folder, 'authority.key'), 'whole')
    mkdirSync(join(folder, 'level'))
    const directory = await openDataDirectory(folder)
    assert.ok(!existsSync(join(folder, 'authority.key.1234.tmp')))
    assert.ok(await directory.has('authorityKey'))
    assert.ok(await directory.has('level'))
    assert.ok(!(await directory.has('genesis')))
    directory.close()
  })

  if (process.platform === 'linux') {
    it('refuses at once where the file system takes no folder', async () => {
      for (const path of ['/proc/x', '/proc/x/y']) {
        await assert.rejects(openDataDirectory(path), /cannot be made, the file system takes no folder here/)
      }
    })
  }

  it('refuses what is no directory', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    for (const path of [file, join(file, 'below')]) {
      await assert.rejects(openDataDirectory(path), (error) => {
        assert.ok(isSolarError(error, 'data_directory_unusable'), String(error))
        assert.match(error.message, /is a file, expected a folder/)
        return true
      })
    }
    chmodSync(file, 0o600)
  })
})
