import { ledgerError } from '../ports/errors.ts'
import { bytesToBase64 } from '../protocol/base64.ts'
import { utf8ToBytes, type Hex } from '../protocol/bytes.ts'
import type { Header } from '../protocol/header.ts'
import type { InclusionProof } from '../protocol/history.ts'
import type { Receipt, ReceiptCorrection } from '../protocol/receipt.ts'
import type { Registry } from '../protocol/registry.ts'
import type { Target } from '../protocol/target.ts'
import { buildTarget, provenSealer, type AnchorBuilderParts } from './anchor-builder.ts'
import type { Chain } from './chain.ts'
import { isParty } from './parties.ts'

/** A checkpoint as it is published, with the cosignatures so far. */
export interface PublishedCheckpoint {
  readonly note: string
  /** Headers in its tree. */
  readonly size: number
  /** The log key that signed it. */
  readonly public_key: Hex
}

export interface ReceiptBuilderParts extends AnchorBuilderParts {
  /** The newest checkpoint; `undefined` before the first. Without it receipts have none. */
  readonly checkpoint?: () => Promise<PublishedCheckpoint | undefined>
}

/**
 * Builds the receipt of a transaction (docs/protocol.md 7); verified by protocol/receipt-verify. The target is the last final
 * header if it is above the transaction's block, else that block itself. Throws `unknown_transaction`.
 */
export async function buildReceipt(parts: ReceiptBuilderParts, id: string): Promise<Receipt> {
  const { chain } = parts
  const final = parts.anchorHeight()
  const { history_proof, ...placed } = await placeTransaction(chain, id, final)
  const height = history_proof === null ? placed.header.height : final
  const target = await buildTarget(parts, height, null)
  const trusted = trustedAt(chain, height)
  const voters = chain.registryBefore(height)
  const sealers = { chain, target, trusted }
  const corrections = await placeCorrections(sealers, id, height)
  return {
    version: 1,
    genesis: chain.genesis,
    ...placed,
    ...sealerOf(sealers, placed.header),
    parent_header: history_proof === null ? target.parent_header : null,
    handovers: target.handovers,
    ...(history_proof !== null && anchorOf(target, history_proof)),
    entry: target.entry,
    registry_proof: unlessGenesis(chain, trusted, target.registry_proof),
    policy: target.policy,
    policy_proof: unlessGenesis(chain, trusted, target.policy_proof),
    ...(target.parent_policy_proof !== undefined && { parent_policy_proof: target.parent_policy_proof }),
    votes: target.votes.map(({ trusted_proof, ...vote }) => ({
      ...vote,
      registry_proof: unlessGenesis(chain, voters, vote.registry_proof),
      ...(trusted_proof !== undefined && unlessGenesis(chain, trusted, trusted_proof) !== null && { trusted_proof }),
    })),
    ...(corrections.length > 0 && { corrections }),
    ...(await checkpointFor(parts, placed.header.height, target.entry.public_key)),
  }
}

/** Receipts for who may have them: with a user, only for its parties. Throws `unknown_transaction`, `forbidden`. */
export function receiptsOf(parts: ReceiptBuilderParts) {
  return async (id: string, userId?: string): Promise<Receipt> => {
    if (userId !== undefined && !(await isParty(parts.chain, await parts.chain.transaction(id), userId))) {
      throw ledgerError('forbidden', { reason: `${userId} is no party of transaction ${id}` })
    }
    return await buildReceipt(parts, id)
  }
}

/** The registry that the handovers below a height lead to. */
function trustedAt(chain: Chain, height: number): Registry {
  const guarded = chain.guardedHeights(-1, height - 1).at(-1)
  return chain.registryBefore(guarded === undefined ? 0 : guarded + 1)
}

/** Under the root of the genesis no proof is needed: who verifies has the genesis. */
const unlessGenesis = (chain: Chain, registry: Registry, proof: InclusionProof): InclusionProof | null =>
  registry.root === chain.registryBefore(0).root ? null : proof

function anchorOf(
  { header, signature, parent_header }: Target,
  history_proof: InclusionProof,
): Pick<Receipt, 'anchor'> {
  // Above another block there is always a parent.
  return parent_header === null ? {} : { anchor: { header, signature, parent_header, history_proof } }
}

/** A transaction, its block, and that block in the history of the header at `within`, if it is below. */
async function placeTransaction(chain: Chain, id: string, within: number): Promise<Omit<ReceiptCorrection, 'sealer'>> {
  const transaction = await chain.transaction(id)
  const { merkle_proof, header, signature } = await chain.transactionProof({ tx_id: id }, null)
  const history_proof = header.height < within ? await chain.inclusion(header.height, within) : null
  return { transaction, merkle_proof, header, signature, history_proof }
}

interface SealerQuestion {
  readonly chain: Chain
  readonly target: Target
  /** The registry that the handovers below the target lead to. */
  readonly trusted: Registry
}

/** Who sealed a block, where it is not the sealer of the target under the same root; a handover proves its own. */
function sealerOf({ chain, target, trusted }: SealerQuestion, header: Header): Pick<ReceiptCorrection, 'sealer'> {
  if (header.height === target.header.height || chain.isGuarded(header.height)) return {}
  const registry = trustedAt(chain, header.height)
  if (registry.root === trusted.root && header.miner_id === target.header.miner_id) return {}
  const { entry, registry_proof } = provenSealer(registry, header)
  return { sealer: { entry, registry_proof: unlessGenesis(chain, registry, registry_proof) } }
}

/** The corrections of a trade up to the target. */
async function placeCorrections(sealers: SealerQuestion, id: string, height: number): Promise<ReceiptCorrection[]> {
  const ids = await sealers.chain.correctionsOf(id, height)
  return await Promise.all(
    ids.map(async (correctionId) => {
      const placed = await placeTransaction(sealers.chain, correctionId, height)
      return { ...placed, ...sealerOf(sealers, placed.header) }
    }),
  )
}

/** The checkpoint, if the block is in its tree and the key that the receipt proves has signed it. */
async function checkpointFor(
  { chain, checkpoint }: ReceiptBuilderParts,
  height: number,
  sealerKey: Hex,
): Promise<Pick<Receipt, 'checkpoint'>> {
  const latest = await checkpoint?.()
  if (latest === undefined || latest.size <= height || latest.public_key !== sealerKey) return {}
  const history_proof = await chain.inclusion(height, latest.size)
  return { checkpoint: { note: bytesToBase64(utf8ToBytes(latest.note)), history_proof } }
}
