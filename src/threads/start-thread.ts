import { Worker } from 'node:worker_threads'

/**
 * Starts a thread of this process. It keeps the process alive only while it is `ref`ed, and whoever waits for an answer
 * hears of an error by a listener of its own.
 *
 * @param entry the thread's file, as `new URL('./name.js', import.meta.url)`; where the node runs from source (tests) it
 *   is the file of that name in TypeScript, loaded by tsx, which teaches TypeScript to the main thread alone
 */
export function startThread(entry: URL): Worker {
  const isSource = import.meta.url.endsWith('.ts')
  const thread = isSource
    ? new Worker(new URL('./from-source.js', import.meta.url), { workerData: entry.href.replace(/\.js$/, '.ts') })
    : new Worker(entry)
  thread.on('error', () => undefined)
  thread.unref()
  return thread
}
