import { canonicalText } from '../../../src/protocol/canonical-json.ts'
import { bytesToHex } from '../../../src/protocol/bytes.ts'
import { makeDoubleVote, proveSigner } from '../../../src/protocol/evidence.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { historyLeaf, MemoryTree } from '../../../src/protocol/history.ts'
import { merkleProof } from '../../../src/protocol/merkle.ts'
import type { Receipt } from '../../../src/protocol/receipt.ts'
import { registryLeaf } from '../../../src/protocol/registry.ts'
import { formatAuthorization } from '../../../src/protocol/request.ts'
import { formatNote, formatSignature } from '../../../src/protocol/note.ts'
import { signingBytes } from '../../../src/protocol/signature.ts'
import { canonicalTransaction, hashTransaction } from '../../../src/protocol/transaction.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import type { VoteBody } from '../../../src/protocol/vote.ts'
import { CHAIN_ID, GENESIS, REGISTRY, sealTestChain, type TestBlock } from '../../vectors/chain-cases.ts'
import { testKey, testNonce, testSecret, testSecretHex } from '../../vectors/keys.ts'
import { cosignNote, signCheckpoint, signingKeyFromSecret, signRequest, signVote } from '../../helpers/sign-now.ts'

/** The receipt of the last trade of height 0: no anchor, no handover, and the genesis has the sealer. */
function firstReceipt([first]: readonly TestBlock[]): Receipt {
  const { sealed, transactions } = first!
  const index = transactions.length - 1
  return {
    version: 1,
    genesis: GENESIS,
    transaction: transactions[index]!,
    merkle_proof: merkleProof(transactions.map(hashTransaction), index),
    ...sealed,
    parent_header: null,
    handovers: [],
    entry: REGISTRY.entry(sealed.header.miner_id)!,
    registry_proof: null,
    policy: REGISTRY.policy,
    policy_proof: null,
    votes: [],
  }
}

/** What the examples of docs/protocol.md must say, computed by the code: name -> text of the block. */
export function documentExamples(): Readonly<Record<string, string>> {
  const chain = sealTestChain([3, 1, 2])
  const [first, second, third] = chain.map((block) => block.hash)
  const block = chain[0]!
  const hashes = block.transactions.map(hashTransaction)
  const pair = sha256Hex(Buffer.from(hashes[0]! + hashes[1]!, 'hex'))
  const lonely = sha256Hex(Buffer.from(hashes[2]! + hashes[2]!, 'hex'))
  const history = new MemoryTree(chain.map(({ hash }) => historyLeaf(hash)))
  const vote: VoteBody = { chain_id: CHAIN_ID, header_hash: first!, height: 0, voter_id: 'alice', decision: 'ack' }
  const request = {
    method: 'GET',
    path: '/transactions?from=0',
    timestamp: 1_760_000_500_000,
    id: testNonce('document'),
    to: 'https://ledger.example.org',
  } as const
  const credential = signRequest('alice', CHAIN_ID, request, testKey('alice'))
  const tree = { origin: GENESIS.origin, size: chain.length, root: history.root(chain.length) }
  const checkpoint = signCheckpoint(tree, testKey('authority'))
  const other: VoteBody = { ...vote, header_hash: hashHeader({ ...block.sealed.header, nonce: 1 }) }
  const acks = [vote, other].map((body) => signVote(body, testKey('alice')))
  const proof = proveSigner(REGISTRY, 'alice', null)!
  return {
    evidence: JSON.stringify(makeDoubleVote(acks[0]!, acks[1]!, proof), null, 2),
    genesis: JSON.stringify(GENESIS, null, 2),
    'chain-id': CHAIN_ID,
    transaction: canonicalTransaction(block.transactions[0]!),
    'transaction-hash': hashes[0]!,
    'block-tree': [
      `t0   = ${hashes[0]!}`,
      `t1   = ${hashes[1]!}`,
      `t2   = ${hashes[2]!}`,
      `n01  = sha256(t0 || t1) = ${pair}`,
      `n22  = sha256(t2 || t2) = ${lonely}`,
      `root = sha256(n01 || n22) = ${block.sealed.header.merkle_root}`,
    ].join('\n'),
    'block-proof': JSON.stringify(merkleProof(hashes, 2), null, 2),
    header: canonicalText(block.sealed.header),
    'header-hash': first!,
    seal: block.sealed.signature,
    history: [
      `height 0: ${history.root(0)}   sha256("")`,
      `height 1: ${history.root(1)}   L0`,
      `height 2: ${history.root(2)}   N(L0, L1)`,
      `height 3: ${history.root(3)}   N(N(L0, L1), L2)`,
    ].join('\n'),
    'header-hashes': [first, second, third].map((hash, height) => `height ${height}: ${hash!}`).join('\n'),
    'registry-leaves': [REGISTRY.policy, ...REGISTRY.entries].map((leaf) => canonicalText(leaf)).join('\n'),
    'registry-root': REGISTRY.root,
    'registry-leaf-hash': registryLeaf(REGISTRY.policy),
    'signing-text': Buffer.from(signingBytes('vote', CHAIN_ID, vote)).toString('latin1'),
    'signing-bytes': bytesToHex(signingBytes('vote', CHAIN_ID, vote)),
    'secret-key': testSecretHex('alice'),
    'public-key': testKey('alice').publicKey,
    vote: JSON.stringify(signVote(vote, testKey('alice')), null, 2),
    checkpoint: formatNote(checkpoint).trimEnd(),
    cosignature: formatSignature(
      cosignNote(
        checkpoint.text,
        'witness.example/one',
        1_760_000_900,
        signingKeyFromSecret(testSecret('witness.example/one')),
      ),
    ).trimEnd(),
    receipt: canonicalText(firstReceipt(chain)),
    'request-body': canonicalText(request),
    authorization: `Authorization: ${formatAuthorization(credential)}`,
  }
}
