import type { Clock } from '../../ports/clock.ts'
import type { ShownBlock } from '../../protocol/block.ts'
import { parseQuantity } from '../../protocol/decimal.ts'
import type { Vote } from '../../protocol/vote.ts'

/** A block, and what households and validator have said about it. */
export interface BlockSummary {
  readonly height: number
  /** Unix ms. */
  readonly timestamp: number
  readonly trades: number
  readonly kwhMicro: bigint
  readonly amountMicro: bigint
  /** Households that proved trades of their own. */
  readonly provers: number
  /** Trades that at least one of their two parties proved. */
  readonly proved: number
  readonly acks: number
  readonly rejects: number
  /** The validator's word, if it came in time. */
  readonly validator: Vote['decision'] | undefined
}

/** Sums up who has said what about each block. */
export interface BlockTally {
  sealed(block: ShownBlock): void
  /** @param transactions ids of the household's own trades in the block */
  proved(height: number, household: string, transactions: readonly string[]): void
  voted(height: number, decision: Vote['decision']): void
  coSigned(height: number, decision: Vote['decision']): void
  /** Stops waiting for what is still to be said. */
  stop(): void
}

export interface BlockTallyParts {
  /** How many households there are. */
  readonly households: number
  readonly clock: Pick<Clock, 'after'>
  /** Hears of each block once, in the order of heights. */
  readonly onBlock: (summary: BlockSummary) => void
}

/** So long a block waits for words that do not come, from its sealing on. */
const LATE_MS = 3_000

interface Entry {
  block: ShownBlock | undefined
  readonly provers: Set<string>
  readonly proved: Set<string>
  acks: number
  rejects: number
  validator: Vote['decision'] | undefined
  cancel: () => void
}

export function createBlockTally({ households, clock, onBlock }: BlockTallyParts): BlockTally {
  const open = new Map<number, Entry>()
  let toldHeight = -1

  /** The words about a block can come before the answer that tells of its sealing. None, once it was told of. */
  function entryOf(height: number): Entry | undefined {
    if (height <= toldHeight) return undefined
    let entry = open.get(height)
    if (entry === undefined) {
      const nothing = { block: undefined, acks: 0, rejects: 0, validator: undefined, cancel: () => undefined }
      entry = { ...nothing, provers: new Set(), proved: new Set() }
      open.set(height, entry)
    }
    return entry
  }

  function update(height: number, change: (entry: Entry) => void): void {
    const entry = entryOf(height)
    if (entry === undefined) return
    change(entry)
    const { block, acks, rejects, validator } = entry
    if (block !== undefined && acks + rejects >= households && validator !== undefined) tellUpTo(height)
  }

  function tellUpTo(height: number): void {
    for (const due of [...open.keys()].filter((one) => one <= height).sort((a, b) => a - b)) {
      const entry = open.get(due)
      open.delete(due)
      entry?.cancel()
      if (entry?.block !== undefined) onBlock(summaryOf(entry, entry.block))
    }
    toldHeight = height
  }

  return {
    sealed(block) {
      const { height } = block.header
      update(height, (entry) => {
        entry.block = block
        entry.cancel = clock.after(LATE_MS, () => tellUpTo(height))
      })
    },
    proved: (height, household, transactions) =>
      update(height, ({ provers, proved }) => {
        if (transactions.length > 0) provers.add(household)
        for (const id of transactions) proved.add(id)
      }),
    voted: (height, decision) =>
      update(height, (entry) => {
        if (decision === 'ack') entry.acks += 1
        else entry.rejects += 1
      }),
    coSigned: (height, decision) =>
      update(height, (entry) => {
        entry.validator = decision
      }),
    stop() {
      for (const { cancel } of open.values()) cancel()
      open.clear()
    },
  }
}

function summaryOf({ provers, proved, acks, rejects, validator }: Entry, block: ShownBlock): BlockSummary {
  const { height, timestamp } = block.header
  const trades = block.transactions.filter((transaction) => transaction.kind === 'trade')
  return {
    height,
    timestamp,
    trades: trades.length,
    kwhMicro: trades.reduce((sum, { kwh }) => sum + parseQuantity(kwh), 0n),
    amountMicro: trades.reduce((sum, { total_amount }) => sum + parseQuantity(total_amount), 0n),
    provers: provers.size,
    proved: proved.size,
    acks,
    rejects,
    validator,
  }
}
