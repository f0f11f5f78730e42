import type { Hash } from '../protocol/bytes.ts'
import type { Evidence } from '../protocol/evidence.ts'
import { inclusionProofShape, type InclusionProof } from '../protocol/history.ts'
import { parseJson } from '../protocol/json.ts'
import { isJsonObject, type Shape } from '../protocol/shape.ts'
import {
  blockAnswer,
  evidenceAnswer,
  genesisAnswer,
  headersAnswer,
  nodeAnswer,
  proofAnswer,
  registryChangesAnswer,
  statusAnswer,
  votesAnswer,
  type BlockAnswer,
  type HeadersAnswer,
  type NodeInfo,
  type ProofAnswer,
  type RegistryChangesAnswer,
  type StatusAnswer,
  type ToldVote,
} from './answers.ts'
import { webError } from './errors.ts'

const TIMEOUT_MS = 10_000

/** A transaction by what is known of it. */
export type TransactionKey = { readonly tx_id: string } | { readonly tx_hash: Hash }

/** The node's calls. All throw `unreachable`, `refused` or `malformed`. */
export interface Api {
  /** The genesis, not yet decoded, and the chain id that the node says it has. */
  readonly genesis: () => Promise<{ readonly chain_id: Hash; readonly genesis: unknown }>
  readonly node: () => Promise<NodeInfo>
  /** The newest `n` (1..100) headers, ascending. */
  readonly latestHeaders: (n: number) => Promise<HeadersAnswer>
  readonly votes: (blockHash: Hash) => Promise<readonly ToldVote[]>
  /** Misbehaviour that the node says is proven, the newest first. */
  readonly evidence: () => Promise<readonly Evidence[]>
  /** Headers of [from, from + count), ascending; count 1..100. */
  readonly headersFrom: (from: number, count: number) => Promise<HeadersAnswer>
  readonly blockStatus: (blockHash: Hash) => Promise<StatusAnswer>
  /** Blocks from this height on that change the registry. */
  readonly registryChanges: (fromHeight: number) => Promise<RegistryChangesAnswer>
  /** @param atHeight of a header that is trusted here: the proof reaches up to it; null for the block alone */
  readonly transactionProof: (by: TransactionKey, atHeight: number | null) => Promise<ProofAnswer>
  /** For who may see it: a token of a role that reads blocks. */
  readonly block: (blockHash: Hash, token: string) => Promise<BlockAnswer>
  /** As it came, to be verified by the protocol. For a token of platform or auditor. */
  readonly receipt: (txId: string, token: string) => Promise<unknown>
  /** Header `height` in the history of `size` headers. */
  readonly historyInclusion: (height: number, size: number) => Promise<InclusionProof>
}

/** @param base the node's address; empty for the page's own origin */
export function createApi(fetchAnswer: typeof fetch, base = ''): Api {
  async function get<T>(path: string, shape: Shape<T>, token?: string): Promise<T> {
    let response: Response
    let body: unknown
    try {
      response = await fetchAnswer(`${base}${path}`, {
        headers: { accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
        cache: 'no-store',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      body = parseJson(await response.text())
    } catch (cause) {
      throw webError('unreachable', { path, reason: cause instanceof Error ? cause.message : String(cause) }, cause)
    }
    if (!response.ok) throw refused(path, response.status, body)
    return shape(body, path)
  }

  return {
    genesis: () => get('/genesis', genesisAnswer),
    node: () => get('/node', nodeAnswer),
    latestHeaders: (n) => get(`/blocks/latest-headers/?n=${n}`, headersAnswer),
    votes: async (blockHash) => (await get(`/blocks/${blockHash}/votes/`, votesAnswer)).votes,
    evidence: async () => (await get('/evidence', evidenceAnswer)).evidence,
    headersFrom: (from, count) => get(`/blocks/headers/?from_height=${from}&count=${count}`, headersAnswer),
    blockStatus: (blockHash) => get(`/blocks/${blockHash}/status/`, statusAnswer),
    registryChanges: (fromHeight) => get(`/registry/changes?from_height=${fromHeight}`, registryChangesAnswer),
    transactionProof: (by, atHeight) => {
      const query = new URLSearchParams(by)
      if (atHeight !== null) query.set('at_height', String(atHeight))
      return get(`/transactions/proof?${query.toString()}`, proofAnswer)
    },
    block: (blockHash, token) => get(`/blocks/${blockHash}`, blockAnswer, token),
    receipt: (txId, token) => get(`/transactions/${encodeURIComponent(txId)}/receipt`, (value) => value, token),
    historyInclusion: (height, size) => get(`/history/inclusion?height=${height}&size=${size}`, inclusionProofShape),
  }
}

function refused(path: string, status: number, body: unknown) {
  const problem = isJsonObject(body) ? body : {}
  const code = typeof problem.code === 'string' ? problem.code : 'unknown'
  const detail = typeof problem.detail === 'string' ? problem.detail : `${path} answered ${status}`
  return webError('refused', { path, status, code, detail })
}
