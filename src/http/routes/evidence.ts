import type { ChainLedger } from '../../ports/ledger.ts'
import { evidenceShape, type Evidence } from '../../protocol/evidence.ts'
import { ANYONE } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { arrayOf, documented, integerInQuery, integerOf, nullableOf, objectOf, type Schema } from '../schema.ts'
import { constant, hash, header, registryEntry, signature, vote } from '../schemas.ts'

const MAX_PIECES = 1_000
const DEFAULT_PIECES = 100

const sealed = objectOf({ header, signature })
const registryProof = objectOf({
  leaf_index: integerOf('leaf of the registry tree', 1),
  tree_size: integerOf('leaves of the registry tree', 3, 1),
  path: arrayOf(hash),
})
const proof = objectOf({
  entry: registryEntry,
  registry_proof: nullableOf(registryProof),
  header: nullableOf(sealed),
})
const doubleSeal = objectOf({ kind: constant('double-seal'), a: sealed, b: sealed, proof })
const doubleVote = objectOf({ kind: constant('double-vote'), a: vote, b: vote, proof })
const evidence: Schema<Evidence> = documented(
  evidenceShape,
  { title: 'Evidence', oneOf: [doubleSeal.json, doubleVote.json] },
  doubleSeal.example,
)

/** Proven misbehaviour. */
export const evidenceCalls = (ledger: Pick<ChainLedger, 'evidence'>): readonly Call[] => [
  defineCall({
    method: 'GET',
    path: '/evidence',
    access: ANYONE,
    summary: 'Two seals or two acks of one key at one height, each with the proof of whose key it is',
    description: 'One piece for each kind, height and signer, the newest first. Anybody can check it alone.',
    query: objectOf({}, { n: integerInQuery('how many', DEFAULT_PIECES, 1, MAX_PIECES) }),
    answer: objectOf({ evidence: arrayOf(evidence) }),
    statuses: { 200: 'What is known here' },
    handle: async ({ query }) => ({
      status: 200,
      body: { evidence: await ledger.evidence(query.n ?? DEFAULT_PIECES) },
    }),
  }),
]
