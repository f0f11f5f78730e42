/** One line of a benchmark: the medians of both sides, and how many times the floor ours takes. */
export interface BenchRow {
  readonly name: string
  readonly ours: number
  readonly against: number
  /** ours / against: 1 is the floor itself. */
  readonly ratio: number
  readonly unit: string
}

/** What the command line may set; what it leaves out each benchmark chooses. */
export interface BenchOptions {
  readonly rounds?: number
  /** Transactions of a tick or a block, leaves of a tree. */
  readonly sizes?: readonly number[]
  /** Trades of the whole store. */
  readonly trades?: number
  /** Changes of the registry. */
  readonly changes?: number
}

/** Does one round and gives what it measured. What the round needs is made before the clock starts. */
export type Sample = (round: number) => number | Promise<number>

export interface Contest {
  readonly name: string
  readonly unit: string
  readonly ours: Sample
  readonly against: Sample
}

export interface Rounds {
  /** Rounds that are measured. */
  readonly rounds: number
  /** Rounds before them that are not: compilation, caches, first pages of a file. */
  readonly warmUp: number
}

/**
 * Runs ours, floor, ours, floor, ... and compares the medians: what else the machine does meets both sides alike, and a
 * round that was held up does not count.
 */
export async function compare(contest: Contest, { rounds, warmUp }: Rounds): Promise<BenchRow> {
  const ours: number[] = []
  const against: number[] = []
  for (let round = 0; round < warmUp + rounds; round++) {
    const mine = await contest.ours(round)
    const floor = await contest.against(round)
    if (round < warmUp) continue
    ours.push(mine)
    against.push(floor)
  }
  const medians = { ours: median(ours), against: median(against) }
  return { name: contest.name, ...medians, ratio: medians.ours / medians.against, unit: contest.unit }
}

/** Milliseconds that `work` takes. */
export async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** Holds the last result: the compiler may not leave out what somebody could read. */
const sink: { last: unknown } = { last: undefined }

/** A sample of microseconds per call of `work`, which gets a new number with each call. */
export function microsecondsPerCall(calls: number, work: (call: number) => unknown): Sample {
  return () => {
    const start = performance.now()
    for (let call = 0; call < calls; call++) sink.last = work(call)
    return ((performance.now() - start) * 1_000) / calls
  }
}

/** The middle value; between the middle two of an even number. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return ((low ?? NaN) + (high ?? NaN)) / 2
}
