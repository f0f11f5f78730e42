import { ledgerError } from '../ports/errors.ts'
import { bytesToBase64 } from '../protocol/base64.ts'
import { utf8ToBytes, type Hex } from '../protocol/bytes.ts'
import type { Header } from '../protocol/header.ts'
import type { InclusionProof } from '../protocol/history.ts'
import { MAX_HANDOVERS_PER_RECEIPT, MAX_RECEIPT_PATH_BYTES } from '../protocol/limits.ts'
import type { Receipt, ReceiptCorrection } from '../protocol/receipt.ts'
import type { Registry } from '../protocol/registry.ts'
import type { Target } from '../protocol/target.ts'
import { takeSteps, targetOf, type PathLimits } from './anchor-builder.ts'
import type { Chain } from './chain.ts'
import { isParty } from './parties.ts'
import { entryOf, hasQuorum, type Step } from './proven-step.ts'
import { walkTrust, type PathParts } from './trust-path.ts'

/** A checkpoint as it is published, with the cosignatures so far. */
export interface PublishedCheckpoint {
  readonly note: string
  /** Headers in its tree. */
  readonly size: number
  /** The log key that signed it. */
  readonly public_key: Hex
}

export interface ReceiptBuilderParts extends PathParts {
  /** The newest checkpoint; `undefined` before the first. Without it receipts have none. */
  readonly checkpoint?: () => Promise<PublishedCheckpoint | undefined>
}

const RECEIPT_LIMITS: PathLimits = { maxSteps: MAX_HANDOVERS_PER_RECEIPT, maxBytes: MAX_RECEIPT_PATH_BYTES }

/**
 * Builds the receipt of a transaction (docs/protocol.md 7); verified by protocol/receipt-verify. The target is the last final
 * header if it is above the transaction's block, else that block itself. Where a receipt cannot hold the handovers up to
 * there, it is the last header that they lead to; and a handover that has no quorum leads nowhere. Throws `unknown_transaction`,
 * `no_receipt` if the target would be below the block, and `missing_body` if a correction may be missing up to every target: what
 * is given out verifies, and shows all corrections up to its target.
 */
export async function buildReceipt(
  parts: ReceiptBuilderParts,
  id: string,
  limits: PathLimits = RECEIPT_LIMITS,
): Promise<Receipt> {
  const { chain } = parts
  const placed = await placeTransaction(chain, id)
  const own = placed.header.height
  const { newest, isWhole } = await newestShown(parts, placed)
  const steps = await takeSteps(pathOver(parts, own, newest), limits)
  const open = steps.findIndex((step) => !hasQuorum(step))
  if (open !== -1 && !isWhole) throw ledgerError('missing_body', { id, height: own })
  const target = await targetOf(chain, open === -1 ? steps : upToQuorum(steps, open, own))
  const { height } = target.header
  if (height < own) throw ledgerError('no_receipt', { id, height: own, reached: height, is_open: open !== -1 })
  const anchor = height === own ? {} : anchorOf(target, await chain.inclusion(own, height))
  const trusted = await trustedBelow(chain, target, height)
  const voters = await chain.registryBefore(height)
  const unlessGenesis = proofsBeside(await chain.registryBefore(0))
  const corrections = await placeCorrections(chain, target, id)
  return {
    version: 1,
    genesis: chain.genesis,
    ...placed,
    ...(await sealerOf(chain, target, placed.header, await parentOf(chain, placed.header))),
    parent_header: height === own ? target.parent_header : null,
    handovers: target.handovers,
    ...anchor,
    entry: target.entry,
    registry_proof: unlessGenesis(trusted, target.registry_proof),
    policy: target.policy,
    policy_proof: unlessGenesis(trusted, target.policy_proof),
    ...(target.parent_policy_proof !== undefined && { parent_policy_proof: target.parent_policy_proof }),
    votes: target.votes.map(({ trusted_proof, ...vote }) => ({
      ...vote,
      registry_proof: unlessGenesis(voters, vote.registry_proof),
      ...(trusted_proof !== undefined && unlessGenesis(trusted, trusted_proof) !== null && { trusted_proof }),
    })),
    ...(corrections.length > 0 && { corrections }),
    ...(await checkpointFor(parts, own, target.entry.public_key)),
  }
}

/**
 * The newest height up to which this node has every correction of a transaction: that of the last final block, or that below the
 * first body which is missing here and may be one: a correction is in a later block than its trade.
 */
async function newestShown({ chain, anchorHeight }: PathParts, { transaction, header: { height } }: Placed) {
  const newest = Math.max(height, anchorHeight())
  const { kind, id } = transaction
  const lacking = kind === 'trade' ? await chain.firstLacking(id, height + 1, newest) : undefined
  return lacking === undefined ? { newest, isWhole: true } : { newest: lacking - 1, isWhole: false }
}

/** The steps from the genesis to the newest header; a block that changes who decides is one, as that proves its seal. */
async function* pathOver(parts: PathParts, own: number, newest: number): AsyncGenerator<Step> {
  const stops = own < newest && (await parts.chain.isGuarded(own)) ? [own] : []
  let from: number | null = null
  for (const to of [...stops, newest]) {
    yield* walkTrust(parts, from, to)
    from = to
  }
}

/**
 * The steps up to the first that has too few votes: that one can be a target, which the receipt then calls sealed and not final, but
 * no handover. It is left out if the block is proven without it.
 */
const upToQuorum = (steps: readonly Step[], open: number, own: number): readonly Step[] =>
  steps.slice(0, (steps[open - 1]?.header.height ?? -1) >= own ? open : open + 1)

/** Receipts for who may have them: with a user, only for its parties. Throws `unknown_transaction`, `forbidden`. */
export function receiptsOf(parts: ReceiptBuilderParts) {
  return async (id: string, userId?: string): Promise<Receipt> => {
    if (userId !== undefined && !(await isParty(parts.chain, await parts.chain.transaction(id), userId))) {
      throw ledgerError('forbidden', { reason: `${userId} is no party of transaction ${id}` })
    }
    return await buildReceipt(parts, id)
  }
}

/** The registry that the handovers of a target lead to, below a height. */
async function trustedBelow(chain: Chain, { handovers }: Target, height: number): Promise<Registry> {
  const last = handovers.findLast((handover) => handover.header.height < height)
  return await chain.registryBefore(last === undefined ? 0 : last.header.height + 1)
}

/** Under the root of the genesis no proof is needed: who verifies has the genesis. */
const proofsBeside =
  (genesis: Registry) =>
  (registry: Registry, proof: InclusionProof): InclusionProof | null =>
    registry.root === genesis.root ? null : proof

function anchorOf(
  { header, signature, parent_header }: Target,
  history_proof: InclusionProof,
): Pick<Receipt, 'anchor'> {
  // Above another block there is always a parent.
  return parent_header === null ? {} : { anchor: { header, signature, parent_header, history_proof } }
}

type Placed = Pick<Receipt, 'transaction' | 'merkle_proof' | 'header' | 'signature'>

/** A transaction and its block. */
async function placeTransaction(chain: Chain, id: string): Promise<Placed> {
  const transaction = await chain.transaction(id)
  const { merkle_proof, header, signature } = await chain.transactionProof({ tx_id: id }, null)
  return { transaction, merkle_proof, header, signature }
}

/** The header before; `undefined` at height 0. */
const parentOf = async (chain: Chain, { height }: Header): Promise<Header | undefined> =>
  height === 0 ? undefined : (await chain.headers(height - 1, 1))[0]?.header

/**
 * Who sealed a block, where it is not the sealer of the target under the same root; a handover proves its own. Where the
 * handovers do not lead to the key, it is proven under the header before the block.
 */
async function sealerOf(
  chain: Chain,
  target: Target,
  { height, miner_id }: Header,
  parent_header: Header | undefined,
): Promise<Pick<ReceiptCorrection, 'sealer'>> {
  if ([target, ...target.handovers].some(({ header }) => header.height === height)) return {}
  const before = await chain.registryBefore(height)
  const unlessGenesis = proofsBeside(await chain.registryBefore(0))
  const entry = entryOf(before, miner_id)
  const trusted = await trustedBelow(chain, target, height)
  const known = trusted.active(miner_id, 'authority')
  if (known?.public_key !== entry.public_key) {
    const registry_proof = unlessGenesis(before, before.proof(entry))
    return { sealer: { entry, registry_proof, ...(parent_header !== undefined && { parent_header }) } }
  }
  const isTargets = trusted.root === (await trustedBelow(chain, target, target.header.height)).root
  if (isTargets && miner_id === target.header.miner_id) return {}
  return { sealer: { entry: known, registry_proof: unlessGenesis(trusted, trusted.proof(known)) } }
}

/** The corrections of a trade up to the target. */
async function placeCorrections(chain: Chain, target: Target, id: string): Promise<ReceiptCorrection[]> {
  const { height } = target.header
  const ids = await chain.correctionsOf(id, height)
  return await Promise.all(
    ids.map(async (correctionId) => {
      const placed = await placeTransaction(chain, correctionId)
      const { header } = placed
      const history_proof = header.height < height ? await chain.inclusion(header.height, height) : null
      return { ...placed, history_proof, ...(await sealerOf(chain, target, header, await parentOf(chain, header))) }
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
