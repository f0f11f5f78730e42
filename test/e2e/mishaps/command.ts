import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cliFile } from '../../helpers/bundle.ts'
import { within } from '../../helpers/patience.ts'
import { processGroup } from '../../helpers/processes.ts'
import { authority } from './mishaps.ts'

/** No command and no start that fails takes longer, on a machine that is otherwise idle. */
const LIMIT_MS = 30_000

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** A program and its arguments that runs the command, such as `prlimit`. */
  readonly through?: readonly string[]
  /** Nobody reads its output. */
  readonly unread?: true
}

/** Runs one command line in a folder, with nothing of this process's environment but PATH. One that hangs is killed. */
export async function runCommand(
  folder: string,
  args: readonly string[],
  { env, through = [], unread }: CommandOptions = {},
): Promise<Ended> {
  const [program = '', ...rest] = [...through, process.execPath, cliFile(), ...args]
  const child = spawn(program, rest, {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  if (unread === true) child.stdout.destroy()
  try {
    const [code] = (await within(args.join(' '), once(child, 'close'), LIMIT_MS)) as [number | null]
    return { code, out, err }
  } finally {
    child.kill('SIGKILL')
  }
}

/** A folder for the cases of one file, that goes with it. */
export interface Lab {
  /** A new, empty folder. */
  folder(): string
  /** Starts an authority, in a new data directory or this one, and stops it again: its chain has no block. Gives the directory. */
  started(data?: string): Promise<string>
  remove(): Promise<void>
}

export function createLab(): Lab {
  const root = mkdtempSync(join(tmpdir(), 'solar-mishaps-'))
  const processes = processGroup()
  return {
    folder: () => mkdtempSync(join(root, 'case-')),
    async started(data = join(root, 'started')) {
      const node = processes.start([cliFile(), ...authority('--data', data)])
      await node.awaitLine((line) => (line.includes('authority is running') ? line : undefined))
      node.kill('SIGTERM')
      await node.ended
      return data
    },
    async remove() {
      await processes.killAll()
      rmSync(root, { recursive: true, force: true })
    },
  }
}
