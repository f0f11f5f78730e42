import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { progressed } from './patience.ts'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A node process of a test, heard line by line. */
export interface NodeProcess {
  readonly pid: number
  /** The whole lines that it wrote to standard output so far. */
  output(): string
  /** What it wrote to standard error so far. */
  errors(): string
  /** Waits for the first line on standard output that `pick` makes something of; rejects if the process ends before. */
  awaitLine<T>(pick: (line: string) => T | undefined): Promise<T>
  /** Writes one line to its standard input. */
  send(line: string): void
  kill(signal: NodeJS.Signals): void
  /** Its end, with all output read. */
  readonly ended: Promise<Ended>
}

/** Processes of one test; `killAll` belongs into `after`. */
export interface ProcessGroup {
  /** Runs node with these arguments. */
  start(args: readonly string[]): NodeProcess
  /** Kills what still runs, and waits until it is gone. */
  killAll(): Promise<void>
}

export function processGroup(): ProcessGroup {
  const running = new Set<NodeProcess>()
  return {
    start(args) {
      const started = nodeProcess(spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] }))
      running.add(started)
      void started.ended.then(() => running.delete(started))
      return started
    },
    async killAll() {
      for (const one of running) one.kill('SIGKILL')
      await Promise.all([...running].map(({ ended }) => ended))
    },
  }
}

function nodeProcess(child: ChildProcessWithoutNullStreams): NodeProcess {
  const lines: string[] = []
  const listeners = new Set<() => void>()
  let rest = ''
  let errors = ''
  let over = false
  const wake = (): void => {
    for (const listener of listeners) listener()
  }
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    wake()
  })
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  // A process that was just killed does not read what is written to it.
  child.stdin.on('error', () => undefined)
  const ended = once(child, 'close').then(([code, signal]) => {
    over = true
    wake()
    return { code: code as number | null, signal: signal as NodeJS.Signals | null }
  })
  return {
    pid: child.pid ?? 0,
    output: () => lines.map((line) => `${line}\n`).join(''),
    errors: () => errors,
    send: (line) => child.stdin.write(`${line}\n`),
    kill: (signal) => child.kill(signal),
    ended,
    awaitLine: (pick) =>
      new Promise((resolve, reject) => {
        let read = 0
        const check = (): void => {
          for (; read < lines.length; read++) {
            const picked = pick(lines[read] ?? '')
            if (picked === undefined) continue
            progressed()
            listeners.delete(check)
            resolve(picked)
            return
          }
          if (!over) return
          listeners.delete(check)
          reject(new Error(`the process ended without the line that was awaited: ${lines.join('\n')}\n${errors}`))
        }
        listeners.add(check)
        check()
      }),
  }
}

/** Below the range from which systems take the ports of outgoing connections, so that none of those comes in between. */
const LOWEST_PORT = 20_000
const HIGHEST_PORT = 32_000

/** TCP ports on 127.0.0.1 that nobody listens on now, for a process that must come back at the same address. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT))
    if (await canListen(port)) found.add(port)
  }
  return [...found]
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
