import { codeOf, fileTrouble } from '../ports/file-trouble.ts'
import { EXIT } from './output.ts'

let isClosed = false
/** Whether standard output could not be written to any more. */
export const isOutputClosed = (): boolean => isClosed

/**
 * Lets the command end quietly when nobody reads its output any more (`| head -1`): a node stops as at SIGTERM, any other command ends
 * with the exit code that it has. An output that cannot be written for another reason (a full disk) is told in one line.
 */
export function watchOutput(): void {
  process.stdout.on('error', (error: Error) => {
    if (isClosed) return
    isClosed = true
    if (codeOf(error) !== 'EPIPE') {
      process.stderr.write(`solar-node: the output cannot be written: ${fileTrouble(error)}\n`)
      process.exit(EXIT.failed)
    }
    if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM')
    else process.exit()
  })
  // Whoever closes this does not want to hear; the work goes on.
  process.stderr.on('error', () => undefined)
}

/** Resolves when all that was written so far has left the process. */
export async function outputWritten(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write('', () => resolve()))
  }
}
