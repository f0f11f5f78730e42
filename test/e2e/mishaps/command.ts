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
  /** The user that runs it, where root runs the tests. */
  readonly uid?: number
  /** Called with the process as soon as it has written to standard error. */
  readonly onError?: (pid: number) => void
}

/** Runs one command line in a folder, with nothing of this process's environment but PATH. One that hangs is killed. */
export async function runCommand(
  folder: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Ended> {
  const { env, uid, onError } = options
  const child = spawn(process.execPath, [cliFile(), ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && { uid, gid: uid }),
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
    if (child.pid !== undefined) onError?.(child.pid)
  })
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
  /** The data directory of an authority that is stopped, with a chain of no block. */
  started(): Promise<string>
  remove(): Promise<void>
}

export function createLab(): Lab {
  const root = mkdtempSync(join(tmpdir(), 'solar-mishaps-'))
  const processes = processGroup()
  return {
    folder: () => mkdtempSync(join(root, 'case-')),
    async started() {
      const data = join(root, 'started')
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
