import type { Hash } from '../protocol/bytes.ts'
import type { Evidence } from '../protocol/evidence.ts'
import { inclusionProofShape, type InclusionProof } from '../protocol/history.ts'
import { isJsonObject, type Shape } from '../protocol/shape.ts'
import {
  blockProofAnswer,
  evidenceAnswer,
  genesisAnswer,
  headersAnswer,
  nodeAnswer,
  votesAnswer,
  type BlockProofAnswer,
  type HeadersAnswer,
  type NodeInfo,
  type ToldVote,
} from './answers.ts'
import { webError } from './errors.ts'

const TIMEOUT_MS = 10_000

/** The node's public calls. All throw `unreachable`, `refused` or `malformed`. */
export interface Api {
  /** The genesis, not yet decoded, and the chain id that the node says it has. */
  readonly genesis: () => Promise<{ readonly chain_id: Hash; readonly genesis: unknown }>
  readonly node: () => Promise<NodeInfo>
  /** The newest `n` (1..100) headers, ascending. */
  readonly latestHeaders: (n: number) => Promise<HeadersAnswer>
  readonly votes: (blockHash: Hash) => Promise<readonly ToldVote[]>
  /** Misbehaviour that the node says is proven, the newest first. */
  readonly evidence: () => Promise<readonly Evidence[]>
  readonly merkleProof: (blockHash: Hash, txHash: Hash) => Promise<BlockProofAnswer>
  /** Header `height` in the history of `size` headers. */
  readonly historyInclusion: (height: number, size: number) => Promise<InclusionProof>
}

/** @param base the node's address; empty for the page's own origin */
export function createApi(fetchAnswer: typeof fetch, base = ''): Api {
  async function get<T>(path: string, shape: Shape<T>): Promise<T> {
    let response: Response
    let body: unknown
    try {
      response = await fetchAnswer(`${base}${path}`, {
        headers: { accept: 'application/json' },
        cache: 'no-store',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      body = await response.json()
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
    merkleProof: (blockHash, txHash) => get(`/blocks/${blockHash}/merkle-proof/?tx_hash=${txHash}`, blockProofAnswer),
    historyInclusion: (height, size) => get(`/history/inclusion?height=${height}&size=${size}`, inclusionProofShape),
  }
}

function refused(path: string, status: number, body: unknown) {
  const problem = isJsonObject(body) ? body : {}
  const code = typeof problem.code === 'string' ? problem.code : 'unknown'
  const detail = typeof problem.detail === 'string' ? problem.detail : `${path} answered ${status}`
  return webError('refused', { path, status, code, detail })
}
