import assert from 'node:assert/strict'
import { canonicalText } from '../../../src/protocol/canonical-json.ts'
import type { Header } from '../../../src/protocol/header.ts'
import { MAX_RESPONSE_BYTES, MAX_THRESHOLD } from '../../../src/protocol/limits.ts'
import { provenVoteShape, type ProvenVote } from '../../../src/protocol/messages.ts'

const HASH = 'f'.repeat(64)
const SIGNATURE = 'f'.repeat(128)
const ID = 'x'.repeat(64)
const HEIGHT = 2 ** 24 - 1

/** An inclusion path of the greatest length for trees of `2 ** depth` leaves. */
const inclusion = (depth: number) => ({
  leaf_index: 2 ** depth - 1,
  tree_size: 2 ** depth,
  path: Array.from({ length: depth }, () => HASH),
})
const header: Header = {
  version: 1,
  chain_id: HASH,
  height: HEIGHT,
  prev_hash: HASH,
  merkle_root: HASH,
  tx_count: 100_000,
  history_root: HASH,
  registry_root: HASH,
  timestamp: Number.MAX_SAFE_INTEGER,
  nonce: Number.MAX_SAFE_INTEGER,
  difficulty: 64,
  miner_id: ID,
}
const registryProof = inclusion(16)
const historyProof = inclusion(24)

/** A vote on a later header by a user whom a block brought, with the longest ids, numbers and paths. */
const largest: ProvenVote = {
  vote: { chain_id: HASH, header_hash: HASH, height: HEIGHT, voter_id: ID, decision: 'ack', signature: SIGNATURE },
  entry: {
    slot: 2 ** 16 - 1,
    id: ID,
    role: 'validator',
    public_key: HASH,
    recovery_key: HASH,
    status: 'revoked',
    since_height: HEIGHT,
  },
  registry_proof: registryProof,
  header,
  history_proof: historyProof,
  brought_by: {
    transaction: {
      kind: 'registry',
      action: 'enrol',
      id: ID,
      subject_id: ID,
      role: 'validator',
      public_key: HASH,
      recovery_key: HASH,
      timestamp: Number.MAX_SAFE_INTEGER,
      tick_id: `registry:${'f'.repeat(32)}`,
      nonce: 'f'.repeat(32),
      signature: SIGNATURE,
    },
    merkle_proof: { index: 0, tx_count: 1, path: [] },
    header,
    history_proof: historyProof,
  },
}

describe('the greatest threshold', () => {
  it('is of so many votes as fit into one answer, with a step around them', () => {
    const bytes = canonicalText(provenVoteShape(largest, 'vote')).length
    const step = 3 * canonicalText(header).length + 6 * canonicalText(historyProof).length
    assert.ok(bytes < 8 * 1024, `a vote has ${bytes} bytes`)
    assert.ok(MAX_THRESHOLD * 8 * 1024 + step < MAX_RESPONSE_BYTES)
  })
})
