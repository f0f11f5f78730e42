import type { Worker } from 'node:worker_threads'
import { createSerial } from '../engine/serial.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Miner } from '../ports/miner.ts'
import type { Header } from '../protocol/header.ts'
import { startThread } from '../threads/start-thread.ts'

/**
 * Mines in a worker thread, so that the node answers meanwhile. The thread starts with the first header and is kept; it
 * keeps the process alive only while it searches.
 */
export function createWorkMiner(): Miner {
  const lane = createSerial()
  let thread: Worker | undefined
  let stopped = false
  const isStopped = (): boolean => stopped

  function startMining(): Worker {
    const started = startThread(new URL('./work-miner-thread.js', import.meta.url))
    started.once('exit', () => {
      if (thread === started) thread = undefined
    })
    return started
  }

  async function mine(header: Header): Promise<Header> {
    if (isStopped()) throw notReady('the node is stopping')
    thread ??= startMining()
    try {
      return { ...header, nonce: await search(thread, header) }
    } catch (cause) {
      thread = undefined
      throw notReady(isStopped() ? 'the node is stopping' : `the mining thread failed: ${String(cause)}`, cause)
    }
  }

  return {
    mine: (header) => lane(() => mine(header)),
    async stop() {
      stopped = true
      await thread?.terminate()
    },
  }
}

const notReady = (why: string, cause?: unknown): Error =>
  ledgerError('not_ready', { reason: `${why}; what is committed is sealed later, with the same bytes` }, cause)

/** The thread's answer. Rejects if the thread ends, whatever ends it; nobody can use it afterwards. */
function search(thread: Worker, header: Header): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      thread.off('message', found)
      reject(cause instanceof Error ? cause : new Error(`it ended with code ${String(cause)}`))
    }
    const found = (nonce: number): void => {
      thread.off('error', fail).off('exit', fail).unref()
      resolve(nonce)
    }
    thread.once('message', found).once('error', fail).once('exit', fail).ref()
    thread.postMessage(header)
  })
}
