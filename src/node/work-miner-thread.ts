/** The thread of work-miner.ts: takes a header, gives back its smallest nonce. */
import { parentPort } from 'node:worker_threads'
import type { Header } from '../protocol/header.ts'
import { searchNonce } from '../protocol/work.ts'

/** Nonces of one go: some 0.1 s. */
const SLICE = 100_000

parentPort?.on('message', (header: Header) => {
  let nonce: number | undefined
  for (let from = 0; nonce === undefined; from += SLICE) nonce = searchNonce(header, from, SLICE)
  parentPort?.postMessage(nonce)
})
