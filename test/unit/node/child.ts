import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A TypeScript file as a real process. */
export interface Child {
  readonly process: ChildProcessWithoutNullStreams
  /** Everything on standard output and error so far. */
  output(): string
  /** Waits until the output has this text; rejects if the process ends before. */
  says(text: string): Promise<void>
  /** Waits for the end. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

export function startChild(name: string, ...args: readonly string[]): Child {
  const file = fileURLToPath(new URL(name, import.meta.url))
  const child = spawn(process.execPath, ['--import=tsx', file, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }))
  return {
    process: child,
    output: () => output,
    ended,
    async says(text) {
      while (!output.includes(text)) {
        const heard = once(child.stdout, 'data').then(() => true)
        const more = await Promise.race([heard, ended.then(() => false)])
        if (!more && !output.includes(text)) throw new Error(`ended without saying "${text}": ${output}`)
      }
    },
  }
}
