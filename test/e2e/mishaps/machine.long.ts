import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freeBytes } from '../../../src/node/disk.ts'
import { diskLimits } from '../../helpers/disk-limits.ts'
import { createLab, runCommand } from './command.ts'
import { authority } from './mishaps.ts'

const NOBODY = 65_534
/** Root without the right to pass over the permissions of files; another user needs nothing of the kind. */
const WITHOUT_RIGHTS = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : []
const canDropRights =
  WITHOUT_RIGHTS.length === 0 || spawnSync('setpriv', [...WITHOUT_RIGHTS.slice(1), 'true']).status === 0

describe('what a machine refuses ends with one line', () => {
  const lab = createLab()
  let started: string
  before(async () => {
    started = await lab.started()
  })
  after(() => lab.remove())
  const withChain = (): string => {
    const folder = lab.folder()
    cpSync(started, join(folder, 'd'), { recursive: true })
    return folder
  }
  const oneLine = (text: string, pattern: RegExp): void => {
    assert.match(text, /^solar-node: [^\n]+\n$/)
    assert.match(text, pattern)
  }

  if (canDropRights) {
    for (const [name, prepare, says] of [
      ['that nobody may write into', (path: string) => chmodSync(path, 0o500), /nothing can be written into it/],
      ...(WITHOUT_RIGHTS.length > 0
        ? ([
            [
              'of another owner',
              (path: string) => chownSync(path, NOBODY, NOBODY),
              /belongs to user 65534, this is user 0/,
            ],
          ] as const)
        : []),
    ] as const) {
      it(`a folder ${name}`, async () => {
        const folder = lab.folder()
        const path = join(folder, 'd')
        mkdirSync(path, { mode: 0o700 })
        prepare(path)
        const { code, err } = await runCommand(folder, authority('--data', 'd'), { through: WITHOUT_RIGHTS })
        assert.equal(code, 1)
        oneLine(err, says)
        assert.deepEqual(readdirSync(path), [])
      })
    }
  }

  for (const limit of diskLimits().filter(({ isFileSystem }) => isFileSystem)) {
    it(`${limit.name}: a first start and an export say so, and work once there is room`, async () => {
      const folder = withChain()
      const disk = join(folder, 'disk')
      mkdirSync(disk)
      const undo = await limit.prepare(disk)
      try {
        const ballast = join(disk, 'ballast')
        writeFileSync(ballast, Buffer.alloc(freeBytes(disk) ?? 0))
        const start = await runCommand(folder, authority('--data', 'disk/d'))
        assert.equal(start.code, 1, start.out)
        oneLine(start.err, /disk .*is full.*make room/)
        const full = await runCommand(folder, ['export', '--data', 'd', '--out', 'disk/o'])
        assert.equal(full.code, 1)
        oneLine(full.err, /disk\/o could not be written, nothing is left of it: the disk is full/)
        assert.ok(!readdirSync(disk).some((found) => found.includes('o.')), readdirSync(disk).join())
        writeFileSync(ballast, '')
        assert.equal((await runCommand(folder, ['export', '--data', 'd', '--out', 'disk/o'])).code, 0)
        await lab.started(join(disk, 'd'))
      } finally {
        undo()
      }
    })
  }

  for (const args of [
    ['--help'],
    ['audit', '--data', 'd'],
    ['export', '--data', 'd', '--out', 'o', '--json'],
    ['rebuild', '--data', 'd'],
    ['genesis', 'show', 'd/genesis.json'],
    ['keys', 'show', 'd/authority.key'],
    authority('--data', 'd'),
  ]) {
    it(`an output that nobody reads ends without a word: ${args.slice(0, 2).join(' ')}`, async () => {
      const { code, err } = await runCommand(withChain(), args, { unread: true })
      assert.deepEqual([code, err], [0, ''])
    })
  }
})
