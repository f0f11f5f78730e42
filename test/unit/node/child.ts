import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A real process. */
export interface Child {
  readonly process: ChildProcessWithoutNullStreams
  /** Everything on standard output and error so far. */
  output(): string
  /** Waits until the output has this text; rejects if the process ends before. */
  says(text: string): Promise<void>
  /** Waits for the end. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

/** Runs a TypeScript file of this folder. */
export const startChild = (name: string, ...args: readonly string[]): Child =>
  startNode('--import=tsx', fileURLToPath(new URL(name, import.meta.url)), ...args)

/** Runs node with these arguments. */
export function startNode(...args: readonly string[]): Child {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] })
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
