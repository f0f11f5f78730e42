import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cliFile } from '../../helpers/bundle.ts'
import { within } from '../../helpers/patience.ts'
import { freePorts } from '../../helpers/processes.ts'
import { tempDir } from '../../helpers/temp.ts'

/** Ports that the documents name. Each stands for a free one, in what is run and in what is shown. */
const SHOWN_PORTS = [8080, 8081, 8082, 4001, 4002, 4011, 4012]
const PORT = /(?<=:|\/tcp\/)\d{4,5}\b/g

export interface Ended {
  readonly output: string
  readonly code: number
}

/** A reader's machine: a folder, a shell that goes on from block to block, and what runs in other terminals. */
export interface Terminal {
  readonly folder: string
  /** With free ports in place of those that the documents name. */
  readonly toRun: (text: string) => string
  /** Runs a block in the shell, in the folder that the block before has left. */
  run(text: string): Promise<Ended>
  /** Starts a block in a terminal of its own, in the folder where the shell is. */
  start(name: string, text: string): Promise<void>
  /** What that terminal shows so far, with the documents' ports. */
  shownBy(name: string): string
  /** True if what was started there has ended, or nothing was. */
  isOver(name: string): boolean
  ctrlC(name: string): Promise<void>
  /** Kills whatever still runs, and deletes the folder. */
  close(): Promise<void>
}

/** True where there is what the documents ask of a reader's machine; tests that run them register only there. */
export const hasReadersTools: boolean = ['bash', 'curl', 'python3'].every(
  (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0,
)

export async function openTerminal(): Promise<Terminal> {
  const machine = await tempDir()
  const folder = machine.path
  const home = join(folder, 'home')
  await mkdir(home)
  const free = await freePorts(SHOWN_PORTS.length)
  const realOf = new Map(SHOWN_PORTS.map((port, index) => [String(port), String(free[index])]))
  const shownOf = new Map([...realOf].map(([shown, real]) => [real, shown]))
  const toRun = (text: string): string => text.replace(PORT, (port) => realOf.get(port) ?? port)
  const toShow = (text: string): string => text.replace(PORT, (port) => shownOf.get(port) ?? port)
  await installCommands(join(folder, 'bin'), toRun)
  const env = {
    ...process.env,
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    HOME: home,
    // Times are shown by the zone of the machine.
    TZ: 'UTC',
    PYTHONDONTWRITEBYTECODE: '1',
  }
  const shell = openShell(home, env)
  const others = new Map<string, Running>()

  return {
    folder: home,
    toRun,
    run: async (text) => {
      const { output, code } = await shell.run(toRun(text))
      return { output: toShow(output), code }
    },
    async start(name, text) {
      const { output } = await shell.run('pwd')
      others.set(name, startRunning(['-c', toRun(text)], output.trim(), env))
    },
    shownBy: (name) => toShow(others.get(name)?.output() ?? ''),
    isOver: (name) => others.get(name)?.isOver() ?? true,
    async ctrlC(name) {
      await others.get(name)?.end('SIGINT')
      others.delete(name)
    },
    async close() {
      await Promise.all([shell.end(), ...[...others.values()].map((one) => one.end('SIGKILL'))])
      await machine.remove()
    },
  }
}

/**
 * `solar-node` on the PATH. It writes as to a terminal, and where nothing else is said its addresses are free ones on loopback:
 * those of a reader's machine may be taken here. `sqlite3` where the machine has none.
 */
async function installCommands(folder: string, toRun: (text: string) => string): Promise<void> {
  await mkdir(folder)
  const terminal = join(folder, 'terminal.mjs')
  await writeFile(terminal, 'Object.assign(process.stdout, { isTTY: true, columns: 120 })\n')
  const listen = 'SOLAR_LISTEN=/ip4/127.0.0.1/tcp/4001,/ip4/127.0.0.1/tcp/4002/ws; export SOLAR_LISTEN'
  const script = `#!/bin/sh
case "$*" in
  *--mode=authority*|*authority.yaml*) SOLAR_HTTP=127.0.0.1:8080; export SOLAR_HTTP; ${listen} ;;
  *--mode=validator*) ${listen} ;;
esac
exec '${process.execPath}' --import '${terminal}' '${cliFile()}' "$@"
`
  const backup = `#!/usr/bin/env python3
import sqlite3, sys
source, command = sys.argv[1:]
sqlite3.connect(source).backup(sqlite3.connect(command.removeprefix('.backup ')))
`
  const commands = { 'solar-node': toRun(script), ...(hasSqlite() ? {} : { sqlite3: backup }) }
  for (const [name, text] of Object.entries(commands)) {
    await writeFile(join(folder, name), text)
    await chmod(join(folder, name), 0o755)
  }
}

const hasSqlite = (): boolean => spawnSync('sqlite3', ['--version'], { stdio: 'ignore' }).status === 0

interface Running {
  write(line: string): void
  output(): string
  /** Resolves when there is new output, or the process has ended. */
  changed(): Promise<void>
  isOver(): boolean
  end(signal: NodeJS.Signals): Promise<void>
}

/** A bash with its own process group, standard error in standard output. */
function startRunning(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Running {
  const child = spawn('bash', ['--noprofile', '--norc', '-c', 'exec 2>&1 bash "$@"', 'bash', ...args], {
    cwd,
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  let output = ''
  let over = false
  let wake = (): void => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    wake()
  })
  const ended = once(child, 'close').then(() => {
    over = true
    wake()
  })
  return {
    write: (line) => child.stdin.write(`${line}\n`),
    output: () => output,
    changed: () => new Promise((resolve) => (wake = resolve)),
    isOver: () => over,
    async end(signal) {
      if (child.pid !== undefined && !over) {
        try {
          process.kill(-child.pid, signal)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
        }
      }
      await ended
    },
  }
}

function openShell(cwd: string, env: NodeJS.ProcessEnv) {
  const shell = startRunning(['--noprofile', '--norc', '-s'], cwd, env)
  const file = join(cwd, '..', 'block.sh')
  let blocks = 0
  let read = 0
  // The exit code of the last command that failed; a block goes on behind it, as a terminal does.
  shell.write("set -E; trap '__failed=$?' ERR")
  return {
    async run(text: string): Promise<Ended> {
      const mark = `block ${++blocks} has ended with`
      await writeFile(file, `${text}\n`)
      shell.write(`__failed=0; source '${file}' </dev/null; echo "${mark} $__failed."`)
      const end = new RegExp(`${mark} (\\d+)\\.\n`)
      for (;;) {
        const fresh = shell.output().slice(read)
        const found = end.exec(fresh)
        if (found !== null) {
          read += found.index + found[0].length
          return { output: fresh.slice(0, found.index), code: Number(found[1]) }
        }
        if (shell.isOver()) throw new Error(`this ends the shell:\n${text}\n${fresh}`)
        await within(`the end of ${text}`, shell.changed())
      }
    },
    end: () => shell.end('SIGKILL'),
  }
}
