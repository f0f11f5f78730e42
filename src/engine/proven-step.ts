import { ledgerError } from '../ports/errors.ts'
import type { Hash } from '../protocol/bytes.ts'
import { sealerRecovery } from '../protocol/block.ts'
import { countedRole, requiredVotes, type BlockPoint } from '../protocol/finality.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { merkleProof } from '../protocol/merkle.ts'
import type { Handover, ProvenPolicy, ProvenRecovery, ProvenVote } from '../protocol/messages.ts'
import { registryLeaf, type Registry, type RegistryEntry } from '../protocol/registry.ts'
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

export interface StepParts {
  readonly chain: Chain
  readonly acks: AckSource
}

/** A block that trust moves to, with all that proves it under the registry that was trusted before. */
export interface Step extends Omit<Handover, 'history_proof' | 'parent_header'> {
  /** null at height 0. */
  readonly parent_header: Header | null
}

/** The step to the block of a height, and whether it holds: a step may also have too few votes. */
export interface MadeStep {
  readonly step: Step
  readonly isProven: boolean
}

/** What a step goes from. */
export interface StepFrom {
  readonly trusted: Registry
  /**
   * The registry before the first block on the way that changes who decides, or before the block itself: who votes for
   * what is above was there already, so that its ack makes final what is passed over, too. A full node counts that.
   */
  readonly passed: Registry
}

/**
 * The step from a trusted registry to the block of a height; `undefined` where none can be made, because its sealer or the
 * policy is another by then.
 */
export async function makeStep(parts: StepParts, way: StepFrom, height: number): Promise<MadeStep | undefined> {
  const { chain } = parts
  const { trusted } = way
  const before = await chain.registryBefore(height)
  const { header, signature } = await headerAt(chain, height)
  const recovery = await recoveryIn(chain, trusted, header)
  const maySeal = recovery === undefined ? isSealerStill : isRecoverableStill
  if (!isPolicyStill(trusted, before) || !maySeal(trusted, before, header.miner_id)) return undefined
  const votes = await provenQuorum(parts, header, way)
  const step: Step = {
    header,
    signature,
    parent_header: height === 0 ? null : (await headerAt(chain, height - 1)).header,
    ...provenEntry(trusted, entryOf(trusted, header.miner_id)),
    ...provenPolicy(trusted, before),
    votes,
    ...(recovery !== undefined && { recovery }),
  }
  return { step, isProven: hasQuorum(step) }
}

/** Whether a step holds: who checks it follows no other, and takes a target without it for sealed at most. */
export const hasQuorum = ({ votes, policy }: Step): boolean => votes.length >= requiredVotes(policy.finality)

/**
 * Whether blocks can still be proven under a trusted registry, by the registry in force at them: the policy, one authority,
 * and enough validators are what they were. Once false it stays so: what has changed never comes back.
 */
export function inForceStill(trusted: Registry): (before: Registry) => boolean {
  const { finality } = trusted
  const sealers = trusted.activeOf('authority')
  // Users come and go without a handover: the block that brought one is shown.
  const validators = finality.policy === 'validators' ? trusted.activeOf('validator') : []
  const needed = finality.policy === 'validators' ? finality.threshold : 0
  return (before) =>
    isPolicyStill(trusted, before) &&
    sealers.some(({ id }) => isSealerStill(trusted, before, id)) &&
    validators.filter((entry) => isSameEntry(entry, before.entry(entry.id))).length >= needed
}

const isPolicyStill = (trusted: Registry, before: Registry): boolean =>
  registryLeaf(trusted.policy) === registryLeaf(before.policy)

const isSealerStill = (trusted: Registry, before: Registry, id: string): boolean => {
  const key = before.active(id, 'authority')?.public_key
  return key !== undefined && trusted.active(id, 'authority')?.public_key === key
}

/** The key that recovers an authority, alone, is what it was: then what it signs holds under the trusted registry. */
const isRecoverableStill = (trusted: Registry, before: Registry, id: string): boolean => {
  const entry = trusted.entry(id)
  if (entry?.role !== 'authority' || entry.revoked_by !== undefined) return false
  return entry.recovery_key === before.entry(id)?.recovery_key
}

const isSameEntry = (entry: RegistryEntry, other: RegistryEntry | undefined): boolean =>
  other !== undefined && registryLeaf(other) === registryLeaf(entry)

async function headerAt(chain: Chain, height: number) {
  const [stored] = await chain.headers(height, 1)
  if (stored === undefined) throw ledgerError('out_of_range', { what: 'height', value: height, limit: chain.size })
  return stored
}

/** The recovery of its own sealer that a block begins with, if it does, proven under `trusted`. */
export async function recoveryIn(
  chain: Chain,
  trusted: Registry,
  { height, miner_id }: Pick<Header, 'height' | 'miner_id'>,
): Promise<ProvenRecovery | undefined> {
  if (!(await chain.isGuarded(height))) return undefined
  const { transactions } = await chain.blockAt(height)
  const transaction = sealerRecovery(transactions, miner_id)
  const entry = trusted.entry(miner_id)
  if (transaction === undefined || entry === undefined) return undefined
  return {
    transaction,
    merkle_proof: merkleProof(transactions.map(leafOf), 0),
    ...provenEntry(trusted, entry),
  }
}

export function provenEntry(registry: Registry, entry: RegistryEntry) {
  return { entry, registry_proof: registry.proof(entry) }
}

/** The entry of an id. Throws `unknown_voter`. */
export function entryOf(registry: Registry, id: string): RegistryEntry {
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

/** An ack that may count, by the entry that its voter has there. */
interface Ack {
  readonly vote: Vote
  readonly entry: RegistryEntry
  /** On a branch that the chain has left. */
  readonly later?: Omit<LaterAck, 'vote'>
}

/**
 * Acks that make the header final, each with its voter and by the key that it has there, and no more than the policy asks
 * for; none where it asks for none. One by another key of its voter counts elsewhere, not here. Those whose voters the
 * trusted registry has come first: they take the least to show.
 */
async function provenQuorum(
  { chain, acks }: StepParts,
  header: Header,
  { trusted, passed }: StepFrom,
): Promise<readonly ProvenVote[]> {
  const { finality } = trusted
  const role = countedRole(finality)
  if (role === undefined) return []
  const registry = await chain.registryBefore(header.height)
  const hash = hashHeader(header)
  const needed = requiredVotes(finality)
  const votes = new Map<string, ProvenVote>()
  const isKnown = ({ entry }: Ack) => isSameEntry(entry, trusted.entry(entry.id))

  function counted(vote: Vote, later?: Ack['later']): readonly Ack[] {
    const entry = registry.active(vote.voter_id, role)
    if (entry === undefined || !isSameEntry(entry, passed.entry(entry.id))) return []
    return [{ vote, entry, ...(later !== undefined && { later }) }]
  }

  async function take(found: readonly Ack[]): Promise<void> {
    const shown =
      role === 'voter' ? [...found.filter(isKnown), ...found.filter((ack) => !isKnown(ack))] : found.filter(isKnown)
    for (const { vote, entry, later } of shown) {
      if (votes.size >= needed) return
      const voted = { hash: vote.header_hash, height: vote.height }
      if (votes.has(entry.id) || !verifyVote(vote, chain.chainId, voted, entry).ok) continue
      const on = later ?? (vote.header_hash === hash ? {} : await laterHeader(chain, vote.header_hash, header.height))
      const record = registry.root === trusted.root ? {} : await onRecord(chain, entry, trusted, header.height)
      votes.set(entry.id, { vote, ...provenEntry(registry, entry), ...record, ...on })
    }
  }

  await take((await acks.acksFrom(header.height)).flatMap((vote) => counted(vote)))
  if (votes.size >= needed || acks.acksBeside === undefined) return [...votes.values()]
  const beside = await acks.acksBeside({ hash, height: header.height })
  await take(beside.flatMap(({ vote, ...later }) => counted(vote, later)))
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
  if (isSameEntry(entry, trusted.entry(id))) return { trusted_proof: trusted.proof(entry) }
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
