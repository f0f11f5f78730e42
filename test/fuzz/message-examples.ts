import * as protocol from '../../src/protocol/index.ts'
import { acceptedBy } from './seeds.ts'

const HASH = 'a'.repeat(64)
const BLOCK = { block_hash: HASH, from_index: 0 }

function exampleOf<T>(shape: protocol.Shape<T>): T {
  const [value] = acceptedBy((given) => shape(given, 'it'))
  return shape(value, 'an example in the test vectors')
}

const credential = exampleOf(protocol.peerCredentialShape)
const membership = exampleOf(protocol.membershipShape)
const sealed = exampleOf(protocol.sealedHeaderShape)
const vote = exampleOf(protocol.voteShape)
const entry = exampleOf(protocol.registryEntryShape)
const transaction = exampleOf(protocol.transactionShape)
const merkle_proof = exampleOf(protocol.merkleProofShape)
const inclusion = exampleOf(protocol.inclusionProofShape)

/** Messages that no test vector holds, by the name of their shape, made of parts that are in one. */
export const MESSAGE_EXAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  noParams: [{}],
  voteBodyShape: [{ ...vote, signature: undefined }],
  orderShape: [{ ...exampleOf(protocol.signedOrderShape), signature: undefined }],
  trustedStateShape: [
    {
      anchor: sealed,
      anchor_hash: HASH,
      frontier: [HASH],
      registry_root: HASH,
      policy: { finality: { policy: 'authority' }, since_height: 0 },
      sealers: [entry],
    },
  ],
  statusAnswer: [
    { mode: 'authority', chain_id: HASH, tip: { height: 3, header_hash: HASH }, final_height: null },
    { mode: 'light', chain_id: HASH, tip: null, final_height: 2 },
  ],
  timeAnswer: [{ now: 1_760_000_400_000 }],
  headersParams: [{ from_height: 0, count: 512 }],
  headersAnswer: [{ headers: [sealed, sealed] }],
  proofParams: [
    { tx_id: 'trade-1', at_height: null },
    { tx_hash: HASH, at_height: 3 },
  ],
  proofAnswer: [{ ...sealed, tx_hash: HASH, merkle_proof, history_proof: inclusion }],
  historyParams: [
    { type: 'inclusion', height: 3, size: 17 },
    { type: 'consistency', from: 3, to: 17 },
  ],
  anchorParams: [{ from_height: null }, { from_height: 3, registry_height: 2 }],
  registryParams: [
    { id: 'alice', at_height: null },
    { public_key: HASH, at_height: 3 },
  ],
  registryAnswer: [
    {
      height: 3,
      entry: { entry, registry_proof: inclusion },
      recovery: { transaction, merkle_proof, entry, registry_proof: inclusion },
    },
    { height: 3, entry: null },
  ],
  votesParams: [{ header_hash: HASH }, { voter_id: 'alice', from_height: 0 }],
  votesAnswer: [{ votes: [{ vote, entry }] }],
  acksAnswer: [{ votes: [{ vote, entry }], next_height: 9 }],
  voteParams: [{ vote }],
  voteAnswer: [{ header_hash: HASH, status: 'final' }],
  membershipParams: [{ credential, membership }],
  membershipAnswer: [{ membership }],
  tradesParams: [{ height: 3, credential, from_index: 7, membership }],
  tradesAnswer: [{ trades: [{ transaction, merkle_proof }], next_index: 256 }],
  blockParams: [
    { ...BLOCK, credential, membership },
    { ...BLOCK, token: 'a-token' },
  ],
  blockAnswer: [
    {
      ...sealed,
      transactions: [transaction, { kind: 'redacted', tx_hash: HASH }],
      next_index: null,
      shown: 'own',
    },
  ],
  receiptParams: [{ tx_id: 'trade-1', credential, membership }],
  evidenceAnswer: [{ evidence: [exampleOf(protocol.evidenceShape)] }],
}
