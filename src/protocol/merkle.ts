import { bytesToHex, hexToBytes, type Hash } from './bytes.ts'
import { invalid, protocolError, VALID, type Verdict } from './errors.ts'
import { sha256Hex, sha256Into } from './hash.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from './limits.ts'
import { atOnce, endsPiece, type Pieces } from './pieces.ts'
import { array, hash32, integer, object, type TypeOf } from './shape.ts'

/**
 * The block's Merkle tree as the plan has it (docs/protocol.md 3): node = sha256(left || right) over raw bytes, an odd
 * layer duplicates its last node. Duplication alone would let two leaf lists share a root (CVE-2012-2459); the header's
 * `tx_count` and the rule against equal leaves close that.
 */
const NODE = 32

/** `{index, tx_count, path}`: enough, with a leaf, to recompute a `merkle_root`. */
export const merkleProofShape = object({
  index: integer(0, MAX_TRANSACTIONS_PER_BLOCK - 1),
  tx_count: integer(1, MAX_TRANSACTIONS_PER_BLOCK),
  path: array(hash32, 17),
})
export type MerkleProof = TypeOf<typeof merkleProofShape>

/** Root of a block without transactions: sha256(""). */
export const EMPTY_MERKLE_ROOT: Hash = sha256Hex('')

function* packLeaves(leaves: readonly Hash[]): Pieces<Uint8Array> {
  const layer = new Uint8Array((leaves.length + 1) * NODE)
  for (const [index, leaf] of leaves.entries()) {
    layer.set(hexToBytes(leaf), index * NODE)
    if (endsPiece(index)) yield
  }
  return layer
}

/** Hashes one layer of `count` nodes into its parents, in place; there is room for one more node behind the last. */
function* foldLayer(layer: Uint8Array, count: number): Pieces<number> {
  if (count % 2 === 1) layer.copyWithin(count * NODE, (count - 1) * NODE, count * NODE)
  const parents = Math.ceil(count / 2)
  for (let i = 0; i < parents; i++) {
    sha256Into(layer, i * NODE, layer.subarray(2 * i * NODE, (2 * i + 2) * NODE))
    if (endsPiece(i)) yield
  }
  return parents
}

const nodeAt = (layer: Uint8Array, index: number): Hash => bytesToHex(layer.subarray(index * NODE, (index + 1) * NODE))

/** Merkle root over transaction hashes. One leaf is its own root; none is sha256(""). */
export const merkleRoot = (leaves: readonly Hash[]): Hash => atOnce(merkleRootInPieces(leaves))

/** `merkleRoot` of a block that may be large. */
export function* merkleRootInPieces(leaves: readonly Hash[]): Pieces<Hash> {
  if (leaves.length === 0) return EMPTY_MERKLE_ROOT
  const layer = yield* packLeaves(leaves)
  for (let count = leaves.length; count > 1;) count = yield* foldLayer(layer, count)
  return nodeAt(layer, 0)
}

/** The tree over the hashes of a block: hashed once, for as many proofs as are asked for. */
export interface MerkleTree {
  readonly root: Hash
  /** Proof that the leaf at `index` is under the root. Throws `out_of_range`. */
  proof(index: number): MerkleProof
}

/** 64 bytes a leaf. */
export const merkleTree = (leaves: readonly Hash[]): MerkleTree => atOnce(merkleTreeInPieces(leaves))

/** `merkleTree` of a block that may be large. */
export function* merkleTreeInPieces(leaves: readonly Hash[]): Pieces<MerkleTree> {
  const layers: { readonly nodes: Uint8Array; readonly count: number }[] = []
  const layer = yield* packLeaves(leaves)
  for (let count = leaves.length; count > 1;) {
    layers.push({ nodes: layer.slice(0, count * NODE), count })
    count = yield* foldLayer(layer, count)
  }
  return {
    root: leaves.length === 0 ? EMPTY_MERKLE_ROOT : nodeAt(layer, 0),
    proof(index) {
      if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
        throw protocolError('out_of_range', { what: 'leaf index', value: index, limit: leaves.length })
      }
      const path = layers.map(({ nodes, count }, above) => nodeAt(nodes, Math.min((index >> above) ^ 1, count - 1)))
      return { index, tx_count: leaves.length, path }
    },
  }
}

/** Proof that the leaf at `index` is under the root of `leaves`. Throws `out_of_range`. */
export const merkleProof = (leaves: readonly Hash[], index: number): MerkleProof => merkleTree(leaves).proof(index)

/** How many layers are above `count` leaves. */
function layersAbove(count: number): number {
  let layers = 0
  for (let nodes = count; nodes > 1; nodes = Math.ceil(nodes / 2)) layers += 1
  return layers
}

export type MerkleProofCode = 'bad_proof_position' | 'bad_proof_length' | 'bad_proof_padding' | 'wrong_merkle_root'

/**
 * Checks that `leaf` is transaction `proof.index` of a block with this root and count. It guarantees
 * a) the position lies inside the header's `tx_count` (`bad_proof_position`),
 * b) the path has exactly the length that the count demands, before anything is hashed (`bad_proof_length`),
 * c) a duplicated node is the node itself (`bad_proof_padding`),
 * d) the path leads from the leaf to the root (`wrong_merkle_root`).
 *
 * @param proof a value of `merkleProofShape`
 * @param header the block header's `merkle_root` and `tx_count`
 */
export function verifyMerkleProof(
  leaf: Hash,
  proof: MerkleProof,
  header: { readonly merkle_root: Hash; readonly tx_count: number },
): Verdict<MerkleProofCode> {
  const { index, tx_count, path } = proof
  if (tx_count !== header.tx_count || !Number.isInteger(index) || index < 0 || index >= tx_count) {
    return invalid('bad_proof_position', `index ${index} of ${tx_count}, the header counts ${header.tx_count}`)
  }
  const expectedLength = layersAbove(tx_count)
  if (path.length !== expectedLength) {
    return invalid('bad_proof_length', `${path.length} nodes, ${tx_count} transactions need ${expectedLength}`)
  }
  const pair = new Uint8Array(2 * NODE)
  let node = hexToBytes(leaf)
  let i = index
  let count = tx_count
  for (const step of path) {
    const sibling = hexToBytes(step)
    if (i === count - 1 && count % 2 === 1 && step !== bytesToHex(node)) {
      return invalid('bad_proof_padding', `node ${i} of ${count} must be paired with itself`)
    }
    pair.set(i % 2 === 1 ? sibling : node, 0)
    pair.set(i % 2 === 1 ? node : sibling, NODE)
    node = new Uint8Array(NODE)
    sha256Into(node, 0, pair)
    i >>= 1
    count = Math.ceil(count / 2)
  }
  const root = bytesToHex(node)
  if (root === header.merkle_root) return VALID
  return invalid('wrong_merkle_root', `the proof leads to ${root}, the header has ${header.merkle_root}`)
}
