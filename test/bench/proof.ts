import { strict as assert } from 'node:assert'
import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto'
import { hexToBytes, utf8ToBytes } from '../../src/protocol/bytes.ts'
import { sha256, sha256Hex } from '../../src/protocol/hash.ts'
import { historyLeaf, MemoryTree, verifyInclusion } from '../../src/protocol/history.ts'
import { merkleProof, merkleRoot, verifyMerkleProof } from '../../src/protocol/merkle.ts'
import { signingBytes, verifyObject } from '../../src/protocol/signature.ts'
import { canonicalTransaction, hashTransaction } from '../../src/protocol/transaction.ts'
import { signingKeyFromSecret, signVote } from '../helpers/sign-now.ts'
import { compare, microsecondsPerCall, type BenchOptions, type BenchRow, type Contest } from './compare.ts'
import { bareHashes, naiveInclusion } from './naive.ts'
import { tradesOfTick } from './trades.ts'

const BLOCK_SIZES = [1_000, 100_000]
const HEADERS = 100_000
const ROUNDS = 15
const WARM_UP = 3
/** Calls of one round where a call takes microseconds, and where it takes far longer. */
const MANY = 1_000
const FEW = 1

type Side = readonly [calls: number, work: (call: number) => unknown]

const contest = (name: string, ours: Side, against: Side): Contest => ({
  name,
  unit: 'µs',
  ours: microsecondsPerCall(...ours),
  against: microsecondsPerCall(...against),
})

/** Proofs, hashes and signatures as the nodes make and check them, each against the least that could do. */
export async function benchProof({ rounds = ROUNDS, sizes }: BenchOptions): Promise<BenchRow[]> {
  const headers = sizes === undefined ? HEADERS : Math.max(...sizes)
  const contests = [
    ...(sizes ?? BLOCK_SIZES).flatMap(blockProofs),
    ...historyProofs(headers),
    ...tradeBytes(),
    ...signatures(),
  ]
  const rows: BenchRow[] = []
  for (const one of contests) rows.push(await compare(one, { rounds, warmUp: Math.min(WARM_UP, rounds) }))
  return rows
}

function blockProofs(size: number): Contest[] {
  const leaves = Array.from({ length: size }, (_, index) => sha256Hex(`leaf ${index}`))
  const index = Math.floor(size / 3)
  const leaf = leaves[index] ?? ''
  const header = { merkle_root: merkleRoot(leaves), tx_count: size }
  const proof = merkleProof(leaves, index)
  assert.ok(verifyMerkleProof(leaf, proof, header).ok)
  const makes = size > MANY ? FEW : 20
  return [
    contest(
      `make a block proof of ${size} transactions, against hashing the tree`,
      [makes, () => merkleProof(leaves, index)],
      [makes, () => bareHashes(size - 1)],
    ),
    contest(
      `check a block proof of ${size} transactions, against hashing the path`,
      [MANY, () => verifyMerkleProof(leaf, proof, header)],
      [MANY, () => bareHashes(proof.path.length)],
    ),
  ]
}

function historyProofs(headers: number): Contest[] {
  const hashes = Array.from({ length: headers }, (_, height) => sha256Hex(`header ${height}`))
  const data = hashes.map(hexToBytes)
  const tree = new MemoryTree(hashes.map(historyLeaf))
  const root = tree.root()
  const height = Math.floor(headers / 3)
  const proof = tree.inclusion(height)
  const leaf = historyLeaf(hashes[height] ?? '')
  assert.ok(verifyInclusion(leaf, proof, root).ok)
  assert.deepEqual(
    naiveInclusion(height, data).map((node) => node.toString('hex')),
    proof.path,
  )
  return [
    contest(
      `make a history proof over ${headers} headers, against the recursion of RFC 9162`,
      [100, (call) => tree.inclusion((height + call) % headers)],
      [FEW, () => naiveInclusion(height, data)],
    ),
    contest(
      `check a history proof over ${headers} headers, against hashing the path`,
      [MANY, () => verifyInclusion(leaf, proof, root)],
      [MANY, () => bareHashes(proof.path.length)],
    ),
  ]
}

function tradeBytes(): Contest[] {
  const trades = tradesOfTick('tick-1', MANY, Date.now())
  const tradeAt = (call: number) => trades[call % MANY] ?? trades[0]!
  return [
    contest(
      'canonical bytes of a trade, against JSON.stringify',
      [MANY, (call) => utf8ToBytes(canonicalTransaction(tradeAt(call)))],
      [MANY, (call) => Buffer.from(JSON.stringify(tradeAt(call)))],
    ),
    contest(
      'hash of a trade, against SHA-256 of JSON.stringify',
      [MANY, (call) => hashTransaction(tradeAt(call))],
      [MANY, (call) => hash('sha256', JSON.stringify(tradeAt(call)), 'hex')],
    ),
  ]
}

function signatures(): Contest[] {
  const secret = sha256('a voter')
  const key = signingKeyFromSecret(secret)
  const chain_id = sha256Hex('chain')
  const body = { chain_id, header_hash: sha256Hex('header'), height: 7, voter_id: 'roof-1', decision: 'ack' } as const
  const { signature } = signVote(body, key)
  assert.ok(verifyObject('vote', chain_id, body, signature, key.publicKey))
  const x = Buffer.from(key.publicKey, 'hex').toString('base64url')
  const d = Buffer.from(secret).toString('base64url')
  const bareSecret = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' })
  const barePublic = createPublicKey(bareSecret)
  const message = signingBytes('vote', chain_id, body)
  const bytes = hexToBytes(signature)
  assert.ok(verify(null, message, barePublic, bytes))
  return [
    contest(
      'check a signed vote, against node:crypto alone',
      [50, () => verifyObject('vote', chain_id, body, signature, key.publicKey)],
      [50, () => verify(null, message, barePublic, bytes)],
    ),
    contest(
      'sign a vote, against node:crypto alone',
      [50, () => signVote(body, key)],
      [50, () => sign(null, message, bareSecret)],
    ),
  ]
}
