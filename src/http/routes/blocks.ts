import { protocolError } from '../../protocol/errors.ts'
import type { ChainLedger } from '../../ports/ledger.ts'
import { ANYONE, rolesOnly } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import type { Metrics } from '../metrics.ts'
import type { RateLimits } from '../rate-limits.ts'
import { arrayOf, choiceOf, integerInQuery, integerOf, named, nullableOf, objectOf } from '../schema.ts'
import {
  blockStatus,
  genesis,
  hash,
  header,
  height,
  idIn,
  registryEntry,
  signature,
  time,
  vote,
  voteCounts,
} from '../schemas.ts'
import { namesFor, type Naming } from '../naming.ts'
import { block } from '../transaction-schemas.ts'

type VoteLimits = Pick<RateLimits, 'key' | 'signatures'>

const MAX_HEADERS = 100
const DEFAULT_LATEST_HEADERS = 5
const byBlockHash = objectOf({ block_hash: hash })
const path = arrayOf(hash)

const genesisCall = (ledger: ChainLedger): Call =>
  defineCall({
    method: 'GET',
    path: '/genesis',
    access: ANYONE,
    summary: 'The genesis, whose hash is the chain_id that light clients pin',
    answer: objectOf({ chain_id: hash, genesis }),
    statuses: { 200: 'The genesis' },
    handle: () => ({ status: 200, body: { chain_id: ledger.chainId, genesis: ledger.genesis } }),
  })

const headersAnswer = objectOf({
  chain_id: hash,
  tip_height: nullableOf(height),
  headers: arrayOf(objectOf({ header, header_hash: hash, signature, status: blockStatus })),
})

const headersCall = (ledger: ChainLedger): Call =>
  defineCall({
    method: 'GET',
    path: '/blocks/headers/',
    access: ANYONE,
    summary: 'Headers from a height on',
    query: objectOf(
      { from_height: integerInQuery('height of the first', 0) },
      { count: integerInQuery('how many, 100 if absent', MAX_HEADERS, 1, MAX_HEADERS) },
    ),
    answer: headersAnswer,
    statuses: { 200: 'Ascending; fewer at the tip, none above it' },
    handle: async ({ query }) => ({
      status: 200,
      body: await ledger.headers(query.from_height, query.count ?? MAX_HEADERS),
    }),
  })

const latestHeadersCall = (ledger: ChainLedger): Call =>
  defineCall({
    method: 'GET',
    path: '/blocks/latest-headers/',
    access: ANYONE,
    summary: 'The last n headers',
    query: objectOf({}, { n: integerInQuery('how many', DEFAULT_LATEST_HEADERS, 1, MAX_HEADERS) }),
    answer: headersAnswer,
    statuses: { 200: 'Ascending; tip_height is null and headers empty on an empty chain' },
    handle: async ({ query }) => ({ status: 200, body: await ledger.latestHeaders(query.n ?? DEFAULT_LATEST_HEADERS) }),
  })

const merkleProofCall = (ledger: ChainLedger, metrics: Metrics): Call =>
  defineCall({
    method: 'GET',
    path: '/blocks/{block_hash}/merkle-proof/',
    access: ANYONE,
    summary: 'Proof that a transaction is in a block',
    description: 'Exactly one of tx_hash and tx_id.',
    params: byBlockHash,
    query: { ...objectOf({}, { tx_hash: hash, tx_id: idIn('trade-1') }), example: { tx_id: 'trade-1' } },
    answer: objectOf({
      block_hash: hash,
      tx_hash: hash,
      index: integerOf('position in the block', 3),
      tx_count: integerOf('transactions in the block', 12),
      path,
      merkle_root: hash,
    }),
    statuses: { 200: 'The proof' },
    handle: async ({ params, query }) => {
      const since = performance.now()
      const proof = await ledger.blockProof(params.block_hash, subjectOf(query))
      metrics.recordProof((performance.now() - since) / 1000)
      return { status: 200, body: proof }
    },
  })

/** Throws `malformed` unless exactly one of the two is there. */
export function subjectOf({ tx_hash, tx_id }: { readonly tx_hash?: string; readonly tx_id?: string }) {
  if (tx_hash !== undefined && tx_id === undefined) return { tx_hash }
  if (tx_id !== undefined && tx_hash === undefined) return { tx_id }
  const got = tx_id === undefined ? 'neither' : 'both'
  throw protocolError('malformed', { path: 'query', expected: 'either tx_hash or tx_id', got })
}

const blockCall = (ledger: ChainLedger, naming: Naming | undefined): Call =>
  defineCall({
    method: 'GET',
    path: '/blocks/{block_hash}',
    access: rolesOnly('auditor', 'validator', 'platform', 'operator'),
    summary: 'A whole block',
    description: 'On a pseudonymous ledger platform and operator get the `names` of its users as well.',
    params: byBlockHash,
    answer: block,
    statuses: { 200: 'The block' },
    handle: async ({ params: { block_hash }, caller }) => {
      const { header, signature, transactions } = await ledger.block(block_hash)
      const names = await namesFor(caller, naming, transactions)
      return { status: 200, body: { block_hash, header, signature, transactions, ...names } }
    },
  })

const statusCall = (ledger: ChainLedger): Call =>
  defineCall({
    method: 'GET',
    path: '/blocks/{block_hash}/status/',
    access: ANYONE,
    summary: 'How final a block is',
    params: byBlockHash,
    answer: objectOf({
      block_hash: hash,
      height,
      status: blockStatus,
      policy: choiceOf('votes', 'authority', 'validators'),
      votes: voteCounts,
      finalized_at: nullableOf(time),
    }),
    statuses: { 200: 'Its status and votes' },
    handle: async ({ params }) => ({ status: 200, body: await ledger.blockStatus(params.block_hash) }),
  })

const votesCall = (ledger: ChainLedger): Call =>
  defineCall({
    method: 'GET',
    path: '/blocks/{block_hash}/votes/',
    access: ANYONE,
    summary: 'The votes on a block, each with the registry entry of its voter',
    params: byBlockHash,
    answer: objectOf({ votes: arrayOf(objectOf({ vote, entry: registryEntry })) }),
    statuses: { 200: 'The votes' },
    handle: async ({ params }) => ({ status: 200, body: { votes: await ledger.votes(params.block_hash) } }),
  })

const castVoteCall = (ledger: ChainLedger, { key, signatures }: VoteLimits): Call =>
  defineCall({
    method: 'POST',
    path: '/blocks/{header_hash}/vote/',
    access: ANYONE,
    summary: 'Votes on a header',
    description: 'The signature of a registered key is the credential. The same vote again is counted once.',
    params: objectOf({ header_hash: hash }),
    body: vote,
    answer: named('VoteAnswer', objectOf({ header_hash: hash, status: blockStatus, votes: voteCounts })),
    statuses: { 202: 'Stored and counted' },
    handle: async ({ params, body, request }) => {
      if (body.header_hash !== params.header_hash) {
        const expected = `the header_hash of the path, ${params.header_hash}`
        throw protocolError('malformed', { path: 'body.header_hash', expected, got: body.header_hash })
      }
      const cast = () => signatures.checked(request, () => ledger.castVote(body))
      // Votes are public: who sends those of others again uses up nothing of theirs.
      const { header_hash, status, votes } = await key.within(
        request,
        `voter ${body.voter_id}`,
        cast,
        ({ isNew }) => isNew,
      )
      return { status: 202, body: { header_hash, status, votes } }
    },
  })

const inclusionCall = (ledger: ChainLedger): Call =>
  defineCall({
    method: 'GET',
    path: '/history/inclusion',
    access: ANYONE,
    summary: 'Proof that the header of a height is in the history tree of a size (RFC 9162)',
    query: objectOf({
      height: integerInQuery('height of the header', 3),
      size: integerInQuery('number of headers in the tree', 17, 1),
    }),
    answer: objectOf({
      leaf_index: integerOf('the height', 3),
      tree_size: integerOf('the size', 17, 1),
      path,
    }),
    statuses: { 200: 'The proof' },
    handle: async ({ query }) => ({ status: 200, body: await ledger.historyInclusion(query.height, query.size) }),
  })

const consistencyCall = (ledger: ChainLedger): Call =>
  defineCall({
    method: 'GET',
    path: '/history/consistency',
    access: ANYONE,
    summary: 'Proof that the history tree only grew between two sizes (RFC 9162)',
    query: objectOf({
      from: integerInQuery('the smaller size', 3, 1),
      to: integerInQuery('the greater size', 17, 1),
    }),
    answer: objectOf({ from: integerOf('the smaller size', 3, 1), to: integerOf('the greater size', 17, 1), path }),
    statuses: { 200: 'The proof' },
    handle: async ({ query }) => ({ status: 200, body: await ledger.historyConsistency(query.from, query.to) }),
  })

/** Headers, blocks, proofs, votes: what makes the chain checkable. */
export const blockCalls = (
  ledger: ChainLedger,
  metrics: Metrics,
  limits: VoteLimits,
  naming?: Naming,
): readonly Call[] => [
  genesisCall(ledger),
  latestHeadersCall(ledger),
  headersCall(ledger),
  merkleProofCall(ledger, metrics),
  blockCall(ledger, naming),
  statusCall(ledger),
  votesCall(ledger),
  castVoteCall(ledger, limits),
  inclusionCall(ledger),
  consistencyCall(ledger),
]
