/** The thread of signature-checks.ts: takes a signature that node:crypto refuses, gives back the verdict of the rule. */
import { parentPort } from 'node:worker_threads'
import { verifyPortable } from '../protocol/signature.ts'

export interface PortableQuestion {
  readonly signature: Uint8Array
  readonly message: Uint8Array
  readonly publicKey: Uint8Array
}

parentPort?.on('message', ({ signature, message, publicKey }: PortableQuestion) => {
  parentPort?.postMessage(verifyPortable(signature, message, publicKey))
})
