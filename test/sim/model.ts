import { createHash } from 'node:crypto'
import type { Block } from '../../src/protocol/block.ts'
import type { Evidence } from '../../src/protocol/evidence.ts'
import type { Finality, Genesis, Role } from '../../src/protocol/genesis.ts'
import type { SealedHeader } from '../../src/protocol/header.ts'
import { merkleRoot } from '../../src/protocol/merkle.ts'
import { verifyObject, type SignatureType } from '../../src/protocol/signature.ts'
import { hashTransaction, type Transaction } from '../../src/protocol/transaction.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { naiveJcs } from '../property/protocol-naive.ts'

/**
 * What docs/protocol.md says of blocks, votes and finality, counted from the genesis with loops of its own: slow, short, and
 * free of the code that it judges (hashes of transactions and the signature rule excepted, which have tests of their own).
 */
export interface Member {
  readonly id: string
  readonly role: Role
  readonly key: string
  readonly active: boolean
}

export interface Members {
  readonly finality: Finality
  readonly byId: ReadonlyMap<string, Member>
}

/** A block whose chain leads to the genesis. */
export interface KnownBlock {
  readonly hash: string
  readonly height: number
  readonly parent: KnownBlock | null
  /** The key that sealed it. */
  readonly sealKey: string
  readonly block: Block
  readonly before: Members
  readonly after: Members
  /** It changes the policy, an authority or a validator. */
  readonly isGuarded: boolean
  /** From height 0 to this one. */
  readonly chain: readonly KnownBlock[]
}

export class Model {
  readonly chainId: string
  readonly blocks = new Map<string, KnownBlock>()
  /** Every vote that anybody was seen to send or keep, by its signature and header. */
  readonly votes = new Map<string, Vote>()
  readonly #first: Members
  readonly #verified = new Map<string, boolean>()
  readonly #refusals = new WeakMap<Vote, { readonly refusal: string | undefined }>()

  constructor(genesis: Genesis) {
    this.chainId = sha256(naiveJcs(genesis))
    const entries = genesis.registry.map(({ id, role, public_key }) => ({ id, role, key: public_key, active: true }))
    this.#first = { finality: genesis.finality, byId: new Map(entries.map((entry) => [entry.id, entry])) }
  }

  /** Takes a block if it is one by all rules that matter here; says why not. */
  learn(block: Block): KnownBlock | string {
    const { header, transactions } = block
    const hash = sha256(naiveJcs(header))
    const known = this.blocks.get(hash)
    if (known !== undefined) return known
    const parent = header.height === 0 ? null : this.blocks.get(header.prev_hash)
    if (parent === undefined) return `the parent of block ${header.height} is unknown`
    if (header.height !== (parent === null ? 0 : parent.height + 1))
      return `block ${header.height} has the wrong height`
    if (header.prev_hash !== (parent?.hash ?? this.chainId)) return `block ${header.height} has the wrong parent`
    const before = parent?.after ?? this.#first
    const { after, isGuarded } = changed(before, transactions)
    const root = merkleRoot(transactions.map(hashTransaction))
    if (root !== header.merkle_root) return `block ${header.height} has other transactions than its root says`
    const sealers = [before, after].map(({ byId }) => byId.get(header.miner_id))
    const recovers = transactions[0]?.kind === 'registry' && transactions[0].action === 'recover'
    const sealer = sealers[recovers ? 1 : 0]
    if (sealer?.role !== 'authority' || !sealer.active) return `${header.miner_id} is no authority at ${header.height}`
    if (!this.#isSigned('header', block.header, block.signature, sealer.key))
      return `block ${header.height} is not sealed`
    const earlier = parent?.chain ?? []
    const ids = new Set(earlier.flatMap((one) => one.block.transactions.map(({ id }) => id)))
    if (transactions.some(({ id }) => ids.has(id))) return `block ${header.height} repeats a transaction`
    const tick = transactions[0]?.tick_id
    if (earlier.some((one) => one.block.transactions[0]?.tick_id === tick))
      return `block ${header.height} repeats a tick`
    const chain: KnownBlock[] = [...earlier]
    const place = { hash, height: header.height, parent, sealKey: sealer.key }
    const learnt: KnownBlock = { ...place, block, before, after, isGuarded, chain }
    chain.push(learnt)
    this.blocks.set(hash, learnt)
    return learnt
  }

  /** Why this vote must not count, or `undefined` if it may. */
  refusalOf(vote: Vote): string | undefined {
    const target = this.blocks.get(vote.header_hash)
    if (target === undefined) return 'a vote on a header that is not there'
    const known = this.#refusals.get(vote)
    if (known !== undefined) return known.refusal
    const refusal = this.#judge(vote, target)
    this.#refusals.set(vote, { refusal })
    return refusal
  }

  #judge(vote: Vote, target: KnownBlock): string | undefined {
    const name = `the ${vote.decision} of ${vote.voter_id} at height ${vote.height}`
    if (target.height !== vote.height) return `${name} names another height than its header has`
    const voter = target.before.byId.get(vote.voter_id)
    if (voter === undefined) return `${name} is of nobody who was registered then`
    if (!voter.active) return `${name} is of a voter who was revoked then`
    return this.#isVote(vote, voter.key) ? undefined : `${name} is signed by another key`
  }

  #isVote({ signature, ...body }: Vote, key: string): boolean {
    return body.chain_id === this.chainId && this.#isSigned('vote', body, signature, key)
  }

  /**
   * Height up to which these acks make this chain final; -1 if they make nothing final.
   *
   * @param known up to where it is final already
   */
  finalHeight(chain: readonly KnownBlock[], votes: Iterable<Vote>, known = -1): number {
    return finalHeightBy(chain, this.#acksOf(chain, votes), known)
  }

  /**
   * What all votes that there are make final on the chain that ends in this block: an ack counts for what its block
   * and this chain share, also where it is on another branch.
   */
  finalHeightUpTo({ chain }: KnownBlock): number {
    const acks = [...this.votes.values()].flatMap((vote): Ack[] => {
      const target = this.blocks.get(vote.header_hash)
      const key = target?.before.byId.get(vote.voter_id)?.key
      if (vote.decision !== 'ack' || target === undefined || key === undefined || this.refusalOf(vote) !== undefined)
        return []
      const apart = chain.findIndex((block, height) => target.chain[height] !== block)
      return [{ voter: vote.voter_id, key, height: (apart < 0 ? chain.length : apart) - 1 }]
    })
    return finalHeightBy(chain, acks)
  }

  /** `finalHeight`, if these voters acked the tip besides all votes that there are. */
  finalHeightWith(chain: readonly KnownBlock[], voters: readonly string[]): number {
    const tip = chain.length - 1
    const acks = voters.flatMap((voter) => {
      const member = chain[tip]?.before.byId.get(voter)
      return member?.active === true ? [{ voter, key: member.key, height: tip }] : []
    })
    return finalHeightBy(chain, [...this.#acksOf(chain, this.votes.values()), ...acks])
  }

  #acksOf(chain: readonly KnownBlock[], votes: Iterable<Vote>): Ack[] {
    const acks: Ack[] = []
    for (const vote of votes) {
      const target = chain[vote.height]
      const counts = vote.decision === 'ack' && target?.hash === vote.header_hash && this.refusalOf(vote) === undefined
      const key = target?.before.byId.get(vote.voter_id)?.key
      if (counts && key !== undefined) acks.push({ voter: vote.voter_id, key, height: vote.height })
    }
    return acks
  }

  /** Why this is no evidence, or `undefined` if it is. */
  flawOf(evidence: Evidence): string | undefined {
    const { a, b, kind } = evidence
    const { id, public_key: key } = evidence.proof.entry
    if (kind === 'double-seal') {
      const [one, other] = [a, b] as [SealedHeader, SealedHeader]
      if (one.header.height !== other.header.height || naiveJcs(one.header) === naiveJcs(other.header)) {
        return 'no two headers of one height'
      }
      if (one.header.miner_id !== id || other.header.miner_id !== id) return `not both by ${id}`
      const isSealed = [one, other].every(({ header, signature }) => this.#isSigned('header', header, signature, key))
      return isSealed && this.#hadKey(id, key) ? undefined : `not sealed by the key of ${id}`
    }
    const [one, other] = [a, b] as [Vote, Vote]
    if (one.height !== other.height || one.header_hash === other.header_hash) return 'no two headers of one height'
    if (one.voter_id !== id || other.voter_id !== id || one.decision !== 'ack' || other.decision !== 'ack') {
      return `not both acks of ${id}`
    }
    return this.#isVote(one, key) && this.#isVote(other, key) && this.#hadKey(id, key)
      ? undefined
      : `not signed by ${id}`
  }

  #hadKey(id: string, key: string): boolean {
    if (this.#first.byId.get(id)?.key === key) return true
    return [...this.blocks.values()].some(({ after }) => after.byId.get(id)?.key === key)
  }

  #isSigned(type: SignatureType, body: object, signature: string, key: string): boolean {
    const name = `${type} ${key} ${signature} ${naiveJcs(body)}`
    const known = this.#verified.get(name)
    if (known !== undefined) return known
    const isSigned = verifyObject(type, this.chainId, body, signature, key)
    this.#verified.set(name, isSigned)
    return isSigned
  }
}

interface Ack {
  readonly voter: string
  /** The key that signed it. */
  readonly key: string
  readonly height: number
}

function finalHeightBy(chain: readonly KnownBlock[], acks: readonly Ack[], known = -1): number {
  let final = known
  for (const block of chain.slice(known + 1)) {
    if (isQuorate(block, acks)) final = block.height
    else if (block.isGuarded) break
  }
  return final
}

/**
 * Enough distinct voters of the role that counts, active before the block, have acked it or a block above it
 * with the key of then.
 */
function isQuorate(block: KnownBlock, acks: readonly Ack[]): boolean {
  const { finality, byId } = block.before
  if (finality.policy === 'authority') return true
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  const voters = new Set<string>()
  for (const { voter, key, height } of acks) {
    const member = byId.get(voter)
    if (height >= block.height && member?.role === role && member.active && member.key === key) voters.add(voter)
  }
  return voters.size >= finality.threshold
}

function changed(before: Members, transactions: readonly Transaction[]): { after: Members; isGuarded: boolean } {
  let { finality } = before
  const byId = new Map(before.byId)
  let isGuarded = false
  for (const tx of transactions) {
    if (tx.kind !== 'registry') continue
    if (tx.action === 'policy') {
      finality = tx.finality
      isGuarded = true
      continue
    }
    const old = byId.get(tx.subject_id)
    const role = tx.action === 'enrol' ? tx.role : (old?.role ?? 'voter')
    const key = tx.action === 'revoke' ? (old?.key ?? '') : tx.public_key
    byId.set(tx.subject_id, { id: tx.subject_id, role, key, active: tx.action !== 'revoke' })
    if (role !== 'voter') isGuarded = true
  }
  return { after: { finality, byId }, isGuarded }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
