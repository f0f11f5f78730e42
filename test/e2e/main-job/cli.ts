import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir } from 'node:fs/promises'
import { cliFile } from '../../helpers/bundle.ts'
import { progressed } from '../../helpers/patience.ts'

export interface CliEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** The command line as a real process, in a process group of its own. */
export interface Cli {
  /** Its process group, too. */
  readonly pid: number
  /** Resolves with the first JSON line on standard output that `pick` makes something of; rejects if the process ends before. */
  line<T>(pick: (line: Readonly<Record<string, unknown>>) => T | undefined): Promise<T>
  kill(signal: NodeJS.Signals): void
  readonly ended: Promise<CliEnd>
}

/** Command lines of one test; `killAll` belongs into `after`. */
export function cliGroup() {
  const running = new Set<Cli>()
  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Cli => {
    const cli = startCli(args, env)
    running.add(cli)
    void cli.ended.then(() => running.delete(cli))
    return cli
  }
  return {
    start,
    run: (...args: readonly string[]): Promise<CliEnd> => start(args).ended,
    async killAll(): Promise<void> {
      const left = [...running]
      for (const cli of left) cli.kill('SIGKILL')
      await Promise.all(left.map(({ ended }) => ended))
    },
  }
}

function startCli(args: readonly string[], env: Readonly<Record<string, string>>): Cli {
  const child = spawn(process.execPath, [cliFile(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: true,
  })
  let stdout = ''
  let stderr = ''
  let over = false
  const checks = new Set<() => void>()
  const poke = (): void => {
    for (const check of checks) check()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    poke()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close').then(([code, signal]): CliEnd => {
    over = true
    poke()
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr }
  })
  return {
    pid: child.pid ?? 0,
    kill: (signal) => child.kill(signal),
    ended,
    line: (pick) =>
      new Promise((resolve, reject) => {
        let read = 0
        const check = (): void => {
          const lines = stdout.split('\n')
          // What follows the last line break is not a whole line yet.
          for (; read < lines.length - 1; read++) {
            const text = lines[read] ?? ''
            const picked = text.startsWith('{') ? pick(JSON.parse(text) as Record<string, unknown>) : undefined
            if (picked === undefined) continue
            progressed()
            checks.delete(check)
            resolve(picked)
            return
          }
          if (!over) return
          checks.delete(check)
          reject(new Error(`ended without the line that was awaited:\n${stdout}\n${stderr}`))
        }
        checks.add(check)
        check()
      }),
  }
}

/** The JSON lines of an output. */
export const jsonLines = (text: string): Readonly<Record<string, unknown>>[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)

/** A folder for temporary files of processes alone (`env`), in which a test sees what they leave behind (`left`). */
export async function temporaryFiles(path: string) {
  await mkdir(path, { recursive: true })
  return { env: { TMPDIR: path }, left: (): Promise<string[]> => readdir(path) }
}
