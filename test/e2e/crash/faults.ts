import type { ChainStore } from '../../../src/ports/chain-store.ts'
import type { HighWater } from '../../../src/ports/high-water.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'

/** The writes that a block needs, in their order. */
export const WRITES = ['commitTick', 'fence', 'append', 'raise'] as const
export type Write = (typeof WRITES)[number]

/** A write that fails once: without having written, or although it has. */
export interface Fault {
  readonly write: Write
  readonly written: boolean
}

/** Makes writes of real stores fail, each planned fault once, in the order of the plan. */
export interface Faults {
  plan(...faults: readonly Fault[]): void
  /** Planned faults that have not happened. */
  readonly left: number
  wrapMarketStore(store: MarketStore): MarketStore
  wrapChainStore(store: ChainStore): ChainStore
  wrapHighWater(file: HighWater): HighWater
}

export const FAULT_MESSAGE = 'the disk is gone'

export function createFaults(): Faults {
  let planned: Fault[] = []

  async function perhaps<T>(write: Write, work: () => Promise<T>): Promise<T> {
    const fault = planned[0]?.write === write ? planned.shift() : undefined
    if (fault === undefined) return await work()
    if (fault.written) await work()
    throw new Error(FAULT_MESSAGE)
  }

  return {
    plan: (...faults) => void (planned = [...faults]),
    get left() {
      return planned.length
    },
    wrapMarketStore: (store) => ({
      ...store,
      commitTick: (tick) => perhaps('commitTick', () => store.commitTick(tick)),
      fence: (row) => perhaps('fence', () => store.fence(row)),
    }),
    wrapChainStore: (store) => ({
      ...store,
      append: (...block) => perhaps('append', () => store.append(...block)),
    }),
    wrapHighWater: (file) => ({
      get mark() {
        return file.mark
      },
      raisedAt: file.raisedAt,
      raise: (mark) => perhaps('raise', () => file.raise(mark)),
    }),
  }
}
