import type { Evidence } from '../../src/protocol/evidence.ts'
import { DiskReader, type FullState, type LightState } from './disk-state.ts'
import type { Disk } from './disk.ts'
import type { KnownBlock, Model } from './model.ts'
import { OwnAcks } from './own-acks.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { hashHeader, type SealedHeader } from '../../src/protocol/header.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import { Violation } from './violation.ts'

/** A node whose state must be right at any moment; `votes`, `finalHeight` and `evidence` where SQL has them. */
export interface Checked {
  readonly id: string
  readonly kind: 'validator' | 'light' | 'authority'
  readonly disk: Disk
  /** What an authority has in SQL, which may be another database later. */
  readonly ledger?: () => SqlMirror
  /** Up to where its process says that blocks are final; `undefined` while it does not run. */
  readonly told?: () => number | undefined
}

/** What was put into the SQL of an authority. */
export interface SqlMirror {
  readonly version: number
  readonly votes: readonly Vote[]
  readonly finalHeight: number
  readonly evidence: readonly Evidence[]
}

export interface CheckerOptions {
  readonly model: Model
  readonly nodes: readonly Checked[]
  /** Disks of dishonest sealers: their blocks exist, whatever they are worth. */
  readonly faces: readonly { readonly id: string; readonly disk: Disk }[]
  /** Ids in the registry that never sign two things of one height. */
  readonly honest: ReadonlySet<string>
  /** The authority is honest: it seals one block of a height. */
  readonly oneSealer: boolean
  /** Under policy `authority` a sealer with two faces makes two final blocks of a height: nothing is promised there. */
  readonly oneFinalBlock: boolean
  /** True if validators' operators have allowed the registry transaction of this id. */
  readonly isAllowed: (hash: string) => boolean
  readonly isCalm: (a: string, b: string) => boolean
  readonly now: () => number
}

interface Remembered {
  version: string
  /** Final blocks of this node, by height. */
  final: KnownBlock[]
  seals: ReadonlyMap<string, string>
  accused: ReadonlySet<string>
  readonly acks: OwnAcks
  /** Its stores were lost once. */
  hasLost: boolean
  /** tx_hash of each transaction whose body it has removed. */
  readonly removed: Set<string>
}

const newMemory = (): Remembered => ({
  version: '',
  final: [],
  seals: new Map(),
  accused: new Set(),
  acks: new OwnAcks(),
  hasLost: false,
  removed: new Set(),
})

/** How long two nodes that reach each other may take to find evidence: two rounds of asking, and what they take. */
export const EVIDENCE_WITHIN_MS = 45_000

/** Looks at the whole state of every honest node, after every step; throws a `Violation`. */
export class Checker {
  readonly reader: DiskReader
  readonly #options: CheckerOptions
  readonly #remembered = new Map<string, Remembered>()
  readonly #finalAt = new Map<number, { readonly hash: string; readonly node: string }>()
  readonly #doubleSince = new Map<string, number>()
  /** Blocks that were looked at by `checkSealedOnce`. */
  #sealed = 0

  constructor(options: CheckerOptions) {
    this.#options = options
    this.reader = new DiskReader(options.model)
  }

  /** After each step: whatever has changed since the last look. */
  check(): void {
    for (const { id, disk } of this.#options.faces) {
      if (!this.#hasChanged(id, `${disk.version}`)) continue
      for (const vote of this.#votesOfFace(id, disk)) this.#note(id, vote)
    }
    for (const node of this.#options.nodes) {
      const told = node.told?.() ?? -1
      if (!this.#hasChanged(node.id, `${node.disk.version} ${node.ledger?.().version ?? 0} ${told}`)) continue
      if (node.kind === 'light') this.#checkLight(node.id, this.reader.light(node.disk))
      else this.#checkFull(node, this.stateOf(node), told)
    }
    if (this.#options.oneSealer) this.#checkSealedOnce()
  }

  /**
   * The stores of this node are older ones, or new, from now on: what it knew is learnt again. What it acked
   * binds it all the same, whatever it loses how often.
   */
  storesLost(id: string): void {
    const { acks } = this.#memoryOf(id)
    this.#remembered.set(id, { ...newMemory(), acks, hasLost: true })
  }

  /** This node has answered that these bodies are removed. */
  removed(id: string, txHashes: readonly string[]): void {
    for (const hash of txHashes) this.#memoryOf(id).removed.add(hash)
  }

  /** What it has removed since its stores were lost. */
  removedBy(id: string): readonly string[] {
    return [...this.#memoryOf(id).removed]
  }

  /** Its stores were lost once. */
  hasLost(id: string): boolean {
    return this.#memoryOf(id).hasLost
  }

  stateOf({ id, disk, ledger }: Checked): FullState {
    const state = this.reader.full(id, disk)
    if (ledger === undefined) return state
    // Under policy `authority` the fence says that a block is final before LevelDB has it.
    const { votes, evidence, finalHeight } = ledger()
    return { ...state, votes, evidence, finalHeight: Math.min(finalHeight, state.chain.length - 1) }
  }

  /** A dishonest sealer may have made what no honest node takes: its blocks need not be valid, its votes are known. */
  #votesOfFace(id: string, disk: Disk): readonly Vote[] {
    try {
      return this.reader.full(id, disk).votes
    } catch (error) {
      if (error instanceof Violation) return []
      throw error
    }
  }

  #hasChanged(id: string, version: string): boolean {
    const known = this.#memoryOf(id)
    if (known.version === version) return false
    known.version = version
    return true
  }

  #memoryOf(id: string): Remembered {
    const known = this.#remembered.get(id) ?? newMemory()
    this.#remembered.set(id, known)
    return known
  }

  /** Keeps a vote that a node has. An ack of an honest voter was on its own disk before it was on any other. */
  #note(holder: string, vote: Vote): void {
    const { model, honest } = this.#options
    const { voter_id, height, header_hash, decision, signature } = vote
    model.votes.set(`${header_hash} ${signature}`, vote)
    if (decision !== 'ack' || !honest.has(voter_id) || model.refusalOf(vote) !== undefined) return
    if (this.#memoryOf(voter_id).acks.has(header_hash)) return
    const reason = `${holder} has an ack of block ${height} by ${voter_id}, whose own disk never had it`
    throw new Violation('acks follow the rules', reason)
  }

  #checkFull({ id, kind }: Checked, state: FullState, told: number): void {
    const { model } = this.#options
    const { chain, finalHeight, votes, evidence, beside } = state
    const isAuthority = kind === 'authority'
    chain.forEach((block, height) => {
      if (block.height !== height || block.parent !== (chain[height - 1] ?? null)) {
        throw new Violation('every block is valid', `${id}: block ${height} does not follow the one before`)
      }
    })
    const known = this.#memoryOf(id).final.length
    // Before what it rests on: a block that lacks its votes may be the second one of its height.
    this.#checkFinal(id, chain.slice(0, finalHeight + 1), chain)
    // The fence of an authority comes before its LevelDB.
    if ((isAuthority ? Math.min(told, chain.length - 1) : told) > finalHeight) {
      const reason = `${id} says that block ${told} is final, and has ${finalHeight} as final on its disk`
      throw new Violation('no final block is lost', reason)
    }
    this.#checkOwnAcks(id, state.ownVotes, known, kind)
    for (const vote of votes) {
      const refusal = model.refusalOf(vote)
      if (refusal !== undefined) throw new Violation('no vote of an unknown or revoked key counts', `${id}: ${refusal}`)
      this.#note(id, vote)
    }
    if (finalHeight >= known) {
      // It may have left the branch on which the acks came; they count for what both chains share.
      const chains = [chain, ...beside.map((block) => block.chain)]
      // Authorities on one database count votes on blocks that this one may not have yet.
      if (isAuthority) chains.push(...[...model.blocks.values()].map((block) => block.chain))
      const counted = this.#finalOn(chain, chains, votes)
      if (finalHeight > counted) {
        const reason = `${id} has block ${finalHeight} as final, its votes make ${counted} final`
        throw new Violation('what is final has its votes', reason)
      }
    }
    this.#checkEvidence(id, evidence)
    this.#memoryOf(id).seals = sealsOf([...chain, ...beside])
  }

  /** Up to where these votes make a chain final, which a node may have gone through the others to. */
  #finalOn(chain: readonly KnownBlock[], others: readonly (readonly KnownBlock[])[], votes: readonly Vote[]): number {
    const { model } = this.#options
    let final = -1
    for (;;) {
      const reached = others.map((other) => {
        const apart = chain.findIndex((block, height) => other[height] !== block)
        const shared = (apart < 0 ? chain.length : apart) - 1
        return shared <= final ? final : Math.min(shared, model.finalHeight(other, votes, final))
      })
      const most = Math.max(final, ...reached)
      if (most === final) return final
      final = most
    }
  }

  /** An honest authority, whatever became of its stores, has sealed one chain. */
  #checkSealedOnce(): void {
    const { blocks } = this.#options.model
    if (blocks.size === this.#sealed) return
    this.#sealed = blocks.size
    const heights = new Set([...blocks.values()].map(({ height }) => height))
    if (heights.size === blocks.size) return
    throw new Violation('a height is sealed once', `${blocks.size} blocks of ${heights.size} heights`)
  }

  /** What was final once is on the chain, and nobody has another block there. */
  #checkFinal(id: string, final: readonly KnownBlock[], chain: readonly KnownBlock[]): void {
    const memory = this.#memoryOf(id)
    for (const before of memory.final) {
      if (chain[before.height] !== before || final[before.height] !== before) {
        throw new Violation('no final block is lost', `${id}: block ${before.height} was final and is no more`)
      }
    }
    for (const block of final.slice(memory.final.length)) {
      memory.final.push(block)
      const other = this.#finalAt.get(block.height)
      if (other === undefined) this.#finalAt.set(block.height, { hash: block.hash, node: id })
      else if (other.hash !== block.hash && this.#options.oneFinalBlock) {
        const reason = `height ${block.height}: ${id} and ${other.node} have different ones`
        throw new Violation('no two final blocks of a height', reason)
      }
    }
  }

  #checkLight(id: string, { window, trusted, head, evidence, ownVotes }: LightState): void {
    const { model } = this.#options
    const memory = this.#memoryOf(id)
    const known = memory.final.length
    const [last] = trusted === null ? [] : this.#blocksOf(id, [trusted])
    this.#checkFinal(id, last?.chain ?? [], last?.chain ?? [])
    this.#checkOwnAcks(id, ownVotes, known, 'light')
    if (last !== undefined && last.height >= known) {
      const counted = model.finalHeightUpTo(last)
      if (last.height > counted) {
        const reason = `${id} trusts block ${last.height}, all votes that there are make ${counted} final`
        throw new Violation('what is final has its votes', reason)
      }
    }
    this.#checkEvidence(id, evidence)
    memory.seals = sealsOf(this.#blocksOf(id, head === null ? window : [...window, head]))
  }

  /** Blocks of headers that a light node holds: what it follows, not only what it trusts, is sealed and goes on from a block. */
  #blocksOf(id: string, sealed: readonly SealedHeader[]): readonly KnownBlock[] {
    return sealed.map(({ header }) => {
      const block = this.#options.model.blocks.get(hashHeader(header))
      if (block !== undefined) return block
      throw new Violation(
        'every block is valid',
        `${id} holds a header of height ${header.height} that no valid block has`,
      )
    })
  }

  /** @param known number of its blocks that were final at the look before */
  #checkOwnAcks(id: string, votes: readonly Vote[], known: number, kind: Checked['kind']): void {
    const { acks, final, hasLost } = this.#memoryOf(id)
    const isAllowed = (change: KnownBlock): boolean => kind === 'light' || this.#isAllowed(change)
    for (const { header_hash, height } of votes) {
      const block = this.#options.model.blocks.get(header_hash)
      const broken = block ? acks.take(block, { final, known, hasLost, isAllowed }) : 'it is no valid block'
      if (broken === undefined) continue
      throw new Violation('acks follow the rules', `${id} acks block ${height} ${header_hash.slice(0, 8)}: ${broken}`)
    }
  }

  #isAllowed({ block }: KnownBlock): boolean {
    return block.transactions.every((tx) => this.#options.isAllowed(hashTransaction(tx)))
  }

  #checkEvidence(id: string, evidence: readonly Evidence[]): void {
    const { model, honest } = this.#options
    for (const piece of evidence) {
      const signer = piece.proof.entry.id
      if (honest.has(signer)) {
        throw new Violation(
          'no honest node is accused',
          `${id}: ${piece.kind} of ${signer} at height ${heightOf(piece)}`,
        )
      }
      const flaw = model.flawOf(piece)
      if (flaw !== undefined) throw new Violation('no honest node is accused', `${id}: ${piece.kind}: ${flaw}`)
    }
    const seals = evidence.filter(({ kind }) => kind === 'double-seal')
    this.#memoryOf(id).accused = new Set(seals.map(({ proof }) => proof.entry.id))
  }

  /** Now and then: whether those who saw two seals of one height, and reach each other, have known for long enough. */
  checkEvidenceFound(): void {
    const { nodes, isCalm, now } = this.#options
    for (const [index, one] of nodes.entries()) {
      for (const other of nodes.slice(index)) {
        const name = `${one.id} ${other.id}`
        const miner = this.#doubleSealerOf(one.id, other.id)
        const isMet = miner === undefined || (this.#isAccused(one.id, miner) && this.#isAccused(other.id, miner))
        if (isMet || (one !== other && !isCalm(one.id, other.id))) {
          this.#doubleSince.delete(name)
          continue
        }
        const since = this.#doubleSince.get(name) ?? now()
        this.#doubleSince.set(name, since)
        if (now() - since > EVIDENCE_WITHIN_MS) {
          const reason = `${name} have seen two seals of one height by ${miner}, and have none after ${now() - since} ms`
          throw new Violation('evidence of a double seal is found', reason)
        }
      }
    }
  }

  #isAccused(id: string, miner: string): boolean {
    return this.#memoryOf(id).accused.has(miner)
  }

  /** Who has sealed two headers of one height, of which these two nodes hold one each. */
  #doubleSealerOf(one: string, other: string): string | undefined {
    const { seals } = this.#memoryOf(other)
    for (const [hash, place] of this.#memoryOf(one).seals) {
      for (const [otherHash, otherPlace] of seals) {
        if (place === otherPlace && hash !== otherHash) return place.split(' ')[1]
      }
    }
    return undefined
  }
}

/** Header hash -> height, sealer and its key: two keys of one id accuse nobody, one of them may be stolen. */
function sealsOf(blocks: readonly KnownBlock[]): ReadonlyMap<string, string> {
  return new Map(
    blocks.map(({ hash, height, block, sealKey }) => [hash, `${height} ${block.header.miner_id} ${sealKey}`]),
  )
}

const heightOf = ({ a }: Evidence): number => ('header' in a ? a.header.height : a.height)
