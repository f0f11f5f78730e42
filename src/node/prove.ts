import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { loadLightConfig } from '../config/load.ts'
import type { CheckedProof, CheckedReceipt, LightClient } from '../engine/light-client.ts'
import { silentLogger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { hash32 } from '../protocol/shape.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Transaction } from '../protocol/transaction.ts'
import { createLight } from './light.ts'

export interface ProveRequest {
  /** A transaction's id, or its hash. */
  readonly transaction: string
  readonly peers: readonly string[]
  readonly chainId: Hash
  /** The key of one of the trade's parties: then the body is fetched and checked as well. */
  readonly key: SigningKey | undefined
  /** Bearer token of a role that may have receipts, in place of a key. */
  readonly token: string | undefined
  /** Fetches and checks a receipt as well; takes a key or a token. */
  readonly wantsReceipt: boolean
}

export interface Proved extends CheckedProof {
  /** null without a party's key. */
  readonly transaction: Transaction | null
  /** null if none was asked for. */
  readonly receipt: CheckedReceipt | null
}

const RETRY_MS = 200

/**
 * A light node for once: joins the chain in a temporary folder, fetches the proof of one transaction and checks it. Tries
 * until `signal` ends it while no peer answers. Throws `unknown_transaction`, `peer_refused`, `forbidden`, or the reason as it
 * is told if a peer is on another chain.
 */
export async function proveOnce(request: ProveRequest, signal: AbortSignal): Promise<Proved> {
  const data = await mkdtemp(join(tmpdir(), 'solar-node-prove-'))
  const flags = { data, chain: request.chainId, peer: request.peers, vote: false }
  const foreign = new AbortController()
  const light = createLight(loadLightConfig({ flags, env: {} }), {
    logger: silentLogger,
    // Peers of another chain do not change: waiting would only hide the reason.
    onEvent: (event) => {
      if (event.type === 'alarm' && event.code === 'wrong_chain') foreign.abort(new Error(event.reason))
    },
  })
  const ended = AbortSignal.any([signal, foreign.signal])
  try {
    await light.start()
    const client = await orAborted(light.client, ended)
    const proof = await proveByIdOrHash(client, request.transaction, ended)
    const identity = request.key && (await client.identityOf(request.key))
    const transaction = identity === undefined ? null : await client.bodyOf(proof, identity)
    const txId = transaction?.id ?? request.transaction
    const by = identity ?? { token: request.token ?? '' }
    return { ...proof, transaction, receipt: request.wantsReceipt ? await client.receiptOf(proof, txId, by) : null }
  } finally {
    await light.stop()
    await rm(data, { recursive: true, force: true })
  }
}

async function proveByIdOrHash(client: LightClient, text: string, signal: AbortSignal): Promise<CheckedProof> {
  for (;;) {
    try {
      return await orAborted(client.prove({ tx_id: text }), signal)
    } catch (error) {
      if (isSolarError(error, 'peer_refused') && isHash(text)) return await client.prove({ tx_hash: text })
      if (!isSolarError(error, 'not_ready') && !isSolarError(error, 'peer_unreachable')) throw error
    }
    await orAborted(delay(RETRY_MS), signal)
  }
}

function isHash(text: string): boolean {
  try {
    return hash32(text, 'hash') === text
  } catch {
    return false
  }
}

function orAborted<T>(task: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    task.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
