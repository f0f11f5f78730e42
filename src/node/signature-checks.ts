import { KeyObject, verify } from 'node:crypto'
import type { Worker } from 'node:worker_threads'
import type { SignatureChecks } from '../ports/signature-checks.ts'
import { hexToBytes } from '../protocol/bytes.ts'
import { cachedPublicKey, settleVerdict, signingBytes, type PublicKey } from '../protocol/signature.ts'
import { startThread } from '../threads/start-thread.ts'
import type { PortableQuestion } from './signature-thread.ts'

/**
 * Checks in the thread pool of node:crypto, and what that refuses once more in a thread of its own, by the portable code,
 * exactly as `verifyBytes` does one after the other. The portable check takes ten times as long, which is no business of the
 * main thread: to it a wrong signature costs what a right one costs.
 */
export function createSignatureChecks(): SignatureChecks & { stop(): Promise<void> } {
  let thread: Worker | undefined
  const waiting: ((verdict: boolean | undefined) => void)[] = []

  function fail(): void {
    thread = undefined
    for (const answer of waiting.splice(0)) answer(undefined)
  }

  function startChecking(): Worker {
    const started = startThread(new URL('./signature-thread.js', import.meta.url))
    started.on('message', (verdict: boolean) => {
      waiting.shift()?.(verdict)
      if (waiting.length === 0) started.unref()
    })
    started.once('exit', fail)
    return started
  }

  /** Undefined if the thread has ended. */
  function askPortable(question: PortableQuestion): Promise<boolean | undefined> {
    thread ??= startChecking()
    thread.ref()
    thread.postMessage(question)
    return new Promise((resolve) => waiting.push(resolve))
  }

  async function verdictOf(signature: Uint8Array, message: Uint8Array, key: PublicKey): Promise<boolean | undefined> {
    if (!(key.native instanceof KeyObject)) return undefined
    if (await verifyInPool(signature, message, key.native)) return true
    return await askPortable({ signature, message, publicKey: key.bytes })
  }

  return {
    async settle({ type, chainId, body, signature, publicKey }) {
      try {
        const bytes = hexToBytes(signature)
        const message = signingBytes(type, chainId, body)
        const key = cachedPublicKey(publicKey)
        const verdict = await verdictOf(bytes, message, key)
        if (verdict !== undefined) settleVerdict(bytes, message, key, verdict)
      } catch {
        // A claim that is malformed: whoever asks for its verdict is told why.
      }
    },
    async stop() {
      await thread?.terminate()
    },
  }
}

const verifyInPool = (signature: Uint8Array, message: Uint8Array, key: KeyObject): Promise<boolean> =>
  new Promise((resolve) =>
    verify(null, message, key, signature, (error, isValid) => resolve(error === null && isValid)),
  )
