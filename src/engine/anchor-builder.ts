import { ledgerError } from '../ports/errors.ts'
import type { Hash } from '../protocol/bytes.ts'
import { recoversSealer } from '../protocol/block.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { merkleProof } from '../protocol/merkle.ts'
import type { AnchorAnswer, Handover, ProvenPolicy, ProvenVote } from '../protocol/messages.ts'
import { registryLeaf, type Registry, type RegistryEntry } from '../protocol/registry.ts'
import type { Target } from '../protocol/target.ts'
import { leafOf } from '../protocol/transaction.ts'
import { verifyVote, type Vote } from '../protocol/vote.ts'
import type { Chain } from './chain.ts'

/** Where the acks of a height and above come from. */
export interface AckSource {
  /** For each voter its ack of the smallest height >= `height` on this chain. */
  acksFrom(height: number): Promise<readonly Vote[]>
  /** Acks of later headers on branches that this block is part of, and the chain has left. An authority has no branches. */
  acksBeside?(point: BlockPoint): Promise<readonly LaterAck[]>
}

/** An ack of a later header, and the proof that the earlier one is in its history. */
export type LaterAck = Required<Pick<ProvenVote, 'vote' | 'header' | 'history_proof'>>

export interface AnchorBuilderParts {
  readonly chain: Chain
  readonly acks: AckSource
  /** The newest header that light clients may trust: the last final one; -1 if there is none. */
  readonly anchorHeight: () => number
}

interface AnchorQuestion {
  readonly from_height: number | null
}

/**
 * Builds what moves a light client from the header that it trusts to the newest final one (docs/protocol.md 4); verified by
 * protocol/light-verify. Throws `not_ready` on a chain without a final block, `out_of_range` if there is nothing newer.
 */
export async function buildAnchor(parts: AnchorBuilderParts, asked: AnchorQuestion): Promise<AnchorAnswer> {
  const { chain } = parts
  const height = parts.anchorHeight()
  if (height < 0) throw ledgerError('not_ready', { reason: 'the chain has no final block yet' })
  const { from_height: from } = asked
  if (from !== null && from >= height)
    throw ledgerError('out_of_range', { what: 'from_height', value: from, limit: height })
  return {
    ...(await buildTarget(parts, height, from)),
    consistency: from === null || from === 0 ? null : await chain.consistency(from, height),
    inclusion: from === null ? null : await chain.inclusion(from, height),
    frontier: await chain.frontier(height),
  }
}

/**
 * What leads to the block of a height from the registry after the block of `from` (null: from the genesis):
 * the handovers, its sealer, the policy, and acks up to the quorum. Verified by protocol/target.
 */
export async function buildTarget(
  parts: Pick<AnchorBuilderParts, 'chain' | 'acks'>,
  height: number,
  from: number | null,
): Promise<Target> {
  const { chain } = parts
  const { header, signature } = await headerAt(chain, height)
  const handovers: Handover[] = []
  let trusted = chain.registryBefore(from === null ? 0 : from + 1)
  for (const guarded of chain.guardedHeights(from ?? -1, height)) {
    handovers.push(await buildHandover(parts, guarded, trusted, header))
    if (guarded < height) trusted = chain.registryBefore(guarded + 1)
  }
  return {
    header,
    signature,
    parent_header: await parentOf(chain, header),
    handovers,
    ...provenSealer(trusted, header),
    ...provenPolicy(trusted, chain.registryBefore(height)),
    votes: await provenQuorum(parts, header, trusted),
  }
}

async function headerAt(chain: Chain, height: number) {
  const [stored] = await chain.headers(height, 1)
  if (stored === undefined) throw ledgerError('out_of_range', { what: 'height', value: height, limit: chain.size })
  return stored
}

const parentOf = async (chain: Chain, { height }: Header): Promise<Header | null> =>
  height === 0 ? null : (await headerAt(chain, height - 1)).header

async function buildHandover(
  parts: Pick<AnchorBuilderParts, 'chain' | 'acks'>,
  height: number,
  trusted: Registry,
  target: Header,
): Promise<Handover> {
  const { chain } = parts
  const { header, signature, transactions } = await chain.blockAt(height)
  const parent_header = await parentOf(chain, header)
  const handover: Handover = {
    header,
    signature,
    ...provenSealer(trusted, header),
    ...provenPolicy(trusted, chain.registryBefore(height)),
    votes: await provenQuorum(parts, header, trusted),
    history_proof: height === target.height ? null : await chain.inclusion(height, target.height),
    ...(parent_header !== null && { parent_header }),
  }
  const [first] = transactions
  if (first?.kind !== 'registry' || !recoversSealer(transactions, header.miner_id)) return handover
  const merkle_proof = merkleProof(transactions.map(leafOf), 0)
  return { ...handover, recovery: { transaction: first, merkle_proof, ...provenSealer(trusted, header) } }
}

export function provenSealer(registry: Registry, { miner_id }: Header) {
  return provenEntry(registry, entryOf(registry, miner_id))
}

function provenEntry(registry: Registry, entry: RegistryEntry) {
  return { entry, registry_proof: registry.proof(entry) }
}

function entryOf(registry: Registry, id: string): RegistryEntry {
  const entry = registry.entry(id)
  if (entry === undefined)
    throw ledgerError('unknown_voter', { voter_id: id, reason: 'not in the registry that is asked for' })
  return entry
}

/** The policy under the trusted registry, and under the one before the block, where that is another one. */
const provenPolicy = (trusted: Registry, before: Registry): ProvenPolicy => ({
  policy: trusted.policy,
  policy_proof: trusted.policyProof(),
  ...(before.root !== trusted.root && { parent_policy_proof: before.policyProof() }),
})

/**
 * Acks that make the header final, each with its voter and by the key that it has there; none where the
 * policy asks for none. One by another key of its voter counts elsewhere, not here.
 */
async function provenQuorum(
  { chain, acks }: Pick<AnchorBuilderParts, 'chain' | 'acks'>,
  header: Header,
  trusted: Registry,
): Promise<ProvenVote[]> {
  const { finality } = trusted
  if (finality.policy === 'authority') return []
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  const registry = chain.registryBefore(header.height)
  const hash = hashHeader(header)
  const votes = new Map<string, ProvenVote>()
  const isEnough = () => votes.size >= finality.threshold

  async function take({ vote, ...later }: Pick<ProvenVote, 'vote'> & Partial<LaterAck>): Promise<void> {
    const entry = registry.active(vote.voter_id, role)
    if (entry === undefined || isEnough() || votes.has(vote.voter_id)) return
    const voted = { hash: vote.header_hash, height: vote.height }
    if (!verifyVote(vote, chain.chainId, voted, entry).ok) return
    const isLater = later.header === undefined && vote.header_hash !== hash
    const shown = isLater ? await laterHeader(chain, vote.header_hash, header.height) : later
    const record = registry.root === trusted.root ? {} : await onRecord(chain, entry, trusted, header.height)
    votes.set(vote.voter_id, { vote, ...provenEntry(registry, entry), ...record, ...shown })
  }

  for (const vote of await acks.acksFrom(header.height)) await take({ vote })
  if (!isEnough()) for (const ack of (await acks.acksBeside?.({ hash, height: header.height })) ?? []) await take(ack)
  return [...votes.values()]
}

/** A later header that was voted on, and the earlier one in its history. */
async function laterHeader(chain: Chain, hash: Hash, height: number) {
  const { header } = await chain.headerOf(hash)
  return { header, history_proof: await chain.inclusion(height, header.height) }
}

/** An entry under the trusted root, if that has it as it is, else the transaction that brought its key. */
async function onRecord(
  chain: Chain,
  entry: RegistryEntry,
  trusted: Registry,
  height: number,
): Promise<Pick<ProvenVote, 'trusted_proof' | 'brought_by'>> {
  const { id, public_key, since_height } = entry
  const known = trusted.entry(id)
  if (known !== undefined && registryLeaf(known) === registryLeaf(entry)) return { trusted_proof: trusted.proof(known) }
  const { header, transactions } = await chain.blockAt(since_height)
  const index = transactions.findIndex(
    (tx) => tx.kind === 'registry' && tx.subject_id === id && 'public_key' in tx && tx.public_key === public_key,
  )
  const transaction = transactions[index]
  if (transaction === undefined || transaction.kind === 'redacted') {
    const place = `chain store, block ${since_height}`
    throw ledgerError('corrupt', { place, expected: `the transaction that gave ${id} its key`, found: 'none' })
  }
  const merkle_proof = merkleProof(transactions.map(leafOf), index)
  return {
    brought_by: { transaction, merkle_proof, header, history_proof: await chain.inclusion(since_height, height) },
  }
}
