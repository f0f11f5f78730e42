import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { loadLightConfig } from '../config/load.ts'
import type { CheckedProof, CheckedReceipt, LightClient } from '../engine/light-client.ts'
import { ledgerError } from '../ports/errors.ts'
import { silentLogger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError, SolarError } from '../protocol/errors.ts'
import { hash32 } from '../protocol/shape.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Transaction } from '../protocol/transaction.ts'
import { createLight, type LightNode } from './light.ts'
import { registrationWords } from './registration-watch.ts'

export interface ProveRequest {
  /** A transaction's id, or its hash. */
  readonly transaction: string
  readonly peers: readonly string[]
  readonly chainId: Hash
  /** The key of one of the trade's parties: then the body is fetched and checked as well. */
  readonly key: SigningKey | undefined
  /** Bearer token of a role that may have receipts, in place of a key, and the id of the peer whose token it is. */
  readonly token: { readonly token: string; readonly of: string } | undefined
  /** Of the private network that the peers are of. */
  readonly swarmKeyFile: string | undefined
  /** Fetches and checks a receipt as well; takes a key or a token. */
  readonly wantsReceipt: boolean
}

export interface Proved extends CheckedProof {
  /** Of the genesis. */
  readonly currency: string
  /** What is wrong with this device's clock, or that of a peer; the proof does not depend on it. */
  readonly clockFault: string | null
  /** null without a party's key. */
  readonly transaction: Transaction | null
  /** null if none was asked for. */
  readonly receipt: CheckedReceipt | null
}

const RETRY_MS = 200

/**
 * A light node for once: joins the chain in a temporary folder, fetches the proof of one transaction and checks it. Goes on
 * with the other peers where one cannot be reached or is on another chain, and fails at once, with what is wrong with each,
 * where there is none left; while peers are silent it tries until `signal` ends it. Throws `unknown_transaction`,
 * `peer_refused`, `forbidden`, `not_ready`; where a clock is wrong the error says so as well.
 */
export async function proveOnce(request: ProveRequest, signal: AbortSignal): Promise<Proved> {
  const data = await mkdtemp(join(tmpdir(), 'solar-node-prove-'))
  const flags = { data, chain: request.chainId, peer: request.peers, swarmKeyFile: request.swarmKeyFile, vote: false }
  const light = createLight(loadLightConfig({ flags, env: {} }), { logger: silentLogger })
  const hopeless = new AbortController()
  light.hopeless.then(
    (fault) => {
      const reason = `no peer can be asked: ${fault}`
      // The code is for programs; that something is "not ready" says nothing to who asks once.
      hopeless.abort(new SolarError('not_ready', reason, { reason }))
    },
    () => undefined,
  )
  const ended = AbortSignal.any([signal, hopeless.signal])
  try {
    await light.start()
    const client = await orAborted(light.client, ended)
    const proof = await proveByIdOrHash(client, request.transaction, ended)
    const identity = request.key && (await client.identityOf(request.key))
    if (request.key !== undefined && identity === undefined) throw await unregistered(client, request.key.publicKey)
    const transaction = identity === undefined ? null : await client.bodyOf(proof, identity)
    const txId = transaction?.id ?? request.transaction
    const by = identity ?? request.token
    const receipt = request.wantsReceipt && by !== undefined ? await client.receiptOf(proof, txId, by) : null
    const { currency } = await light.genesis
    return { ...proof, currency, transaction, receipt, clockFault: (await light.clockFault()) ?? null }
  } catch (error) {
    throw await withCause(error, light, signal)
  } finally {
    await light.stop()
    await rm(data, { recursive: true, force: true })
  }
}

/** What a failure may come from, as far as it is known: a wrong clock; peers that were not there until the time was over. */
async function withCause(error: unknown, light: LightNode, signal: AbortSignal): Promise<unknown> {
  const clock = await light.clockFault()
  const { reason } = light.status()
  const cause = clock ?? (signal.aborted ? reason : null)
  if (cause === null || !(error instanceof Error)) return error
  const message = `${error.message}; ${cause}`
  // Programs go by the code.
  if (isSolarError(error)) return new SolarError(error.code, message, error.fields, error)
  return new Error(message, { cause: error })
}

/** A key that may not ask: the registry does not have it, or not any more. */
async function unregistered(client: LightClient, publicKey: string): Promise<Error> {
  const entry = await client.entryOf(publicKey)
  const state = entry === undefined ? 'unregistered' : 'revoked'
  const words = registrationWords({ state, id: entry?.id ?? null, public_key: publicKey }, 'the key of --key')
  return ledgerError('forbidden', { reason: words })
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
