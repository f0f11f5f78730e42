import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A way to let a disk end, and to make room again, as it is possible on this machine. */
export interface DiskLimit {
  readonly name: string
  /** Whether it is a whole file system that ends, for every process, this one too. */
  readonly isFileSystem: boolean
  /** What an operator reads in the reason. */
  readonly reason: RegExp
  /** Prepares an empty folder; gives back what undoes it. */
  prepare(folder: string): Promise<() => void>
  /** From now on there is room for little more. */
  tighten(folder: string, pid: number): Promise<void>
  /** There is room again, also for a process that was started meanwhile. */
  makeRoom(folder: string, pid: number): Promise<void>
}

const TMPFS_SIZE = '16m'
/** Leaves room to start, and for some ticks. */
const BALLAST_BYTES = 9 * 1024 * 1024

/** A file system of its own in memory: every write fails with ENOSPC once it is full. */
const fullFileSystem: DiskLimit = {
  name: 'the file system is full',
  isFileSystem: true,
  reason: /disk is full|No space left on device|ENOSPC/,
  prepare(folder) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${TMPFS_SIZE},mode=700`, 'tmpfs', folder])
    return Promise.resolve(() => execFileSync('umount', ['-l', folder]))
  },
  tighten: (folder) => writeFile(join(folder, 'ballast'), Buffer.alloc(BALLAST_BYTES)),
  makeRoom: (folder) => rm(join(folder, 'ballast')),
}

const FILE_LIMIT_BYTES = 1024 * 1024
const limitFiles = (pid: number, bytes: number | 'unlimited'): Promise<void> => {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`])
  return Promise.resolve()
}

/** A limit of the size of files, which needs no rights: a write beyond it fails with EFBIG. */
const fileLimit: DiskLimit = {
  name: 'files may not grow any more',
  isFileSystem: false,
  reason: /disk I\/O error|File too large|EFBIG/,
  prepare: () => Promise.resolve(() => undefined),
  tighten: (_, pid) => limitFiles(pid, FILE_LIMIT_BYTES),
  makeRoom: (_, pid) => limitFiles(pid, 'unlimited'),
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'solar-mount-'))
  const mountPoint = join(folder, 'at')
  mkdirSync(mountPoint)
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', mountPoint]).status === 0
  if (isMounted) execFileSync('umount', [mountPoint])
  rmdirSync(mountPoint)
  rmdirSync(folder)
  return isMounted
}

/** Those that this machine and this user have. */
export const diskLimits = (): readonly DiskLimit[] => [
  ...(canMount() ? [fullFileSystem] : []),
  ...(spawnSync('prlimit', ['--version']).status === 0 ? [fileLimit] : []),
]
