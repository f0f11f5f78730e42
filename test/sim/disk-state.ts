import type { Block } from '../../src/protocol/block.ts'
import type { Evidence } from '../../src/protocol/evidence.ts'
import type { SealedHeader } from '../../src/protocol/header.ts'
import { hashTransaction, type ShownTransaction } from '../../src/protocol/transaction.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { keyOf, type Keyspace } from '../../src/storage/level/keyspaces.ts'
import type { Disk } from './disk.ts'
import type { KnownBlock, Model } from './model.ts'
import { Violation } from './violation.ts'

/** What the disk of a full node says, read key by key. */
export interface FullState {
  readonly chain: readonly KnownBlock[]
  readonly beside: readonly KnownBlock[]
  readonly votes: readonly Vote[]
  readonly finalHeight: number
  readonly evidence: readonly Evidence[]
  /** The ack that this node put last. */
  readonly ownVote: Vote | undefined
  /** All acks of its own that it keeps, the lowest first. */
  readonly ownVotes: readonly Vote[]
}

/** What the disk of a light node says. */
export interface LightState {
  readonly window: readonly SealedHeader[]
  readonly trusted: SealedHeader | null
  readonly head: SealedHeader | null
  readonly evidence: readonly Evidence[]
  readonly ownVotes: readonly Vote[]
  readonly ownVote: Vote | undefined
}

const prefixOf = (space: Keyspace): string => keyOf(space)

/** Reads disks; values that were read before are not parsed again. */
export class DiskReader {
  readonly #model: Model
  readonly #parsed = new Map<string, unknown>()
  readonly #blocks = new Map<string, Map<string, KnownBlock>>()
  readonly #besides = new Map<string, KnownBlock>()

  constructor(model: Model) {
    this.#model = model
  }

  full(node: string, disk: Disk): FullState {
    const heads: string[] = []
    const bodies: string[] = []
    const besideTexts: string[] = []
    const votes: Vote[] = []
    const evidence: Evidence[] = []
    let finalHeight = -1
    const own: Vote[] = []
    let ownVote: Vote | undefined
    for (const [key, value] of disk.entries) {
      switch (key.charAt(0)) {
        case prefixOf('header'):
          heads[heightIn(key)] = value
          break
        case prefixOf('body'):
          bodies[heightIn(key)] = value
          break
        case prefixOf('beside'):
          besideTexts.push(value)
          break
        case prefixOf('anyVote'):
          votes.push(this.#parse<Vote>(value))
          break
        case prefixOf('evidence'):
          evidence.push(this.#parse<Evidence>(value))
          break
        case prefixOf('final'):
          finalHeight = Math.max(finalHeight, heightIn(key))
          break
        case prefixOf('ownVote'):
          own.push(this.#parse<Vote>(value))
          break
        case prefixOf('vote'):
          ownVote = this.#parse<Vote>(value)
      }
    }
    const chain = heads.map((head, height) => this.#block(node, head, bodies[height] ?? ''))
    const ownVotes = ascending(own, ownVote)
    return { chain, beside: this.#beside(node, besideTexts), votes, finalHeight, evidence, ownVote, ownVotes }
  }

  light(disk: Disk): LightState {
    const evidence: Evidence[] = []
    const own: Vote[] = []
    let ownVote: Vote | undefined
    let window: StoredWindow | undefined
    for (const [key, value] of disk.entries) {
      if (key.startsWith(prefixOf('window'))) window = this.#parse<StoredWindow>(value)
      if (key.startsWith(prefixOf('evidence'))) evidence.push(this.#parse<Evidence>(value))
      if (key.startsWith(prefixOf('ownVote'))) own.push(this.#parse<Vote>(value))
      if (key.startsWith(prefixOf('vote'))) ownVote = this.#parse<Vote>(value)
    }
    const trusted = window?.trusted.anchor ?? null
    const kept = { window: window?.headers ?? [], trusted, head: window?.head.anchor ?? null }
    return { ...kept, evidence, ownVote, ownVotes: ascending(own, ownVote) }
  }

  // What the stores wrote is what they say it is: the engine checked it.
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
  #parse<T>(text: string): T {
    const known: unknown = this.#parsed.get(text) ?? JSON.parse(text)
    this.#parsed.set(text, known)
    return known as T
  }

  #block(node: string, head: string, body: string): KnownBlock {
    const known = this.#blocks.get(head)?.get(body)
    if (known !== undefined) return known
    const { header, signature } = this.#parse<SealedHeader>(head)
    const transactions = this.#parse<ShownTransaction[]>(body)
    const whole = transactions.flatMap((tx) => (tx.kind === 'redacted' ? [] : [tx]))
    const learnt = this.#model.learn({ header, signature, transactions: whole })
    if (typeof learnt === 'string') throw new Violation('every block is valid', `${node}: ${learnt}`)
    // A body that is gone has left its hash.
    const hashes = transactions.map((tx) => (tx.kind === 'redacted' ? tx.tx_hash : hashTransaction(tx)))
    const isSame = learnt.block.transactions.every((tx, index) => hashTransaction(tx) === hashes[index])
    if (!isSame) throw new Violation('every block is valid', `${node}: block ${learnt.height} has another body`)
    const byBody = this.#blocks.get(head) ?? new Map<string, KnownBlock>()
    this.#blocks.set(head, byBody.set(body, learnt))
    return learnt
  }

  /** Blocks beside the chain come in no order. */
  #beside(node: string, texts: readonly string[]): KnownBlock[] {
    const unknown = texts.filter((text) => !this.#besides.has(text)).map((text) => this.#readBeside(text))
    unknown.sort((a, b) => a.block.header.height - b.block.header.height)
    for (const { text, block } of unknown) {
      const learnt = this.#model.learn(block)
      if (typeof learnt === 'string')
        throw new Violation('every block is valid', `${node}, beside its chain: ${learnt}`)
      this.#besides.set(text, learnt)
    }
    return texts.flatMap((text) => this.#besides.get(text) ?? [])
  }

  #readBeside(text: string): { readonly text: string; readonly block: Block } {
    return { text, block: JSON.parse(text) as Block }
  }
}

interface StoredWindow {
  readonly headers: readonly SealedHeader[]
  readonly trusted: { readonly anchor: SealedHeader | null }
  readonly head: { readonly anchor: SealedHeader | null }
}

const ascending = (votes: readonly Vote[], last: Vote | undefined): readonly Vote[] =>
  [...votes, ...(last === undefined ? [] : [last])].sort((a, b) => a.height - b.height)

const heightIn = (key: string): number => Number.parseInt(key.slice(1), 16)
