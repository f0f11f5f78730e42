import type { KnownBlock } from './model.ts'

/** What is known of a voter when it acks. */
export interface AckRules {
  /** Its final blocks, by height. */
  readonly final: readonly KnownBlock[]
  /** How many of these were final at the look before. */
  readonly known: number
  /** Its stores were lost once: it need not know its newest acks. */
  readonly hasLost: boolean
  /** False for a change of the registry that its operator has not allowed; of a household nobody has to. */
  readonly isAllowed: (change: KnownBlock) => boolean
}

/** All that one honest voter has acked, which binds it whatever it loses how often. */
export class OwnAcks {
  readonly #byHeight = new Map<number, KnownBlock>()
  readonly #hashes = new Set<string>()
  #last: KnownBlock | undefined

  has(hash: string): boolean {
    return this.#hashes.has(hash)
  }

  /**
   * Takes an ack that its disk has. One ack a height; none beside what is final; each extends the one before, unless a final
   * block contradicts that; none above a change that is neither allowed nor final. Who has lost its stores may ack
   * once more what its last ack counts for already.
   *
   * @returns which rule it breaks; `undefined` if none
   */
  take(block: KnownBlock, { final, known, hasLost, isAllowed }: AckRules): string | undefined {
    const [before, acked] = [this.#last, this.#byHeight.get(block.height)]
    // An older disk shows an older ack once more.
    if (acked === block) return undefined
    if (acked !== undefined) return 'it acked one of this height before'
    this.#byHeight.set(block.height, block)
    this.#hashes.add(block.hash)
    if (hasLost && before?.chain[block.height] === block) return undefined
    this.#last = block
    const lost = contradiction(final.slice(0, known), block)
    if (lost !== undefined) return `it contradicts the final block ${lost.height}`
    const isBound = before !== undefined && block.chain[before.height] !== before
    if (isBound && contradiction(final, before) === undefined) {
      return `it does not extend block ${before.height} ${before.hash.slice(0, 8)}`
    }
    const change = block.chain.find((one) => one.isGuarded && final[one.height] !== one && !isAllowed(one))
    return change && `the change of block ${change.height} is not allowed`
  }
}

/** A final block that is not on the chain that ends in this one, which reaches its height. */
function contradiction(final: readonly KnownBlock[], { chain }: KnownBlock): KnownBlock | undefined {
  return final.find((one) => chain[one.height] !== undefined && chain[one.height] !== one)
}
