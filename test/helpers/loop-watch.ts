import { readFileSync } from 'node:fs'
import { sha256Hex } from '../../src/protocol/hash.ts'

/**
 * The time that the code of this thread has run so far, in milliseconds: without what others took meanwhile, and without what the
 * kernel took for it, as a virtual machine may take a hundred milliseconds to hand out memory. Linux tells it, in steps of 10 ms;
 * `undefined` elsewhere.
 */
function ownTimeMs(): number | undefined {
  try {
    const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1')
    // The name in parentheses may hold anything; `utime` is the twelfth field after it.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[11]) * MS_PER_TICK
  } catch {
    return undefined
  }
}
/** Of Linux, on every machine that Node runs on. */
const MS_PER_TICK = 10

export const canWatchLoop = ownTimeMs() !== undefined

/** What takes about 50 ms where nothing else runs: more on a slower machine, or where others fill its caches. */
function yardstickMs(): number {
  const before = ownTimeMs() ?? 0
  let text = ''
  for (let n = 0; n < 120_000; n++) text = sha256Hex(`${text}${n}`)
  return (ownTimeMs() ?? 0) - before
}
const YARDSTICK_MS = 50

export interface LoopWatch {
  /**
   * The longest that this thread worked without another turn of its event loop, in milliseconds of a machine
   * on which the yardstick takes as long as it should.
   */
  longest(): { readonly ms: number; readonly during: string }
  /** What is done from now on. */
  during(what: string): void
  stop(): void
}

/**
 * Watches the event loop of this process. It counts the time that the thread itself has worked between two turns, not the time on
 * the wall: what else the machine does is of no matter.
 */
export function watchLoop(): LoopWatch {
  let last = ownTimeMs() ?? 0
  let what = ''
  let longest = { ms: 0, during: what }
  let slowness = 1
  const look = (): void => {
    const worked = (ownTimeMs() ?? 0) - last
    if (worked > longest.ms * slowness) {
      // Only now, as it takes time itself: how slow the machine is at the moment.
      slowness = Math.max(1, yardstickMs() / YARDSTICK_MS)
      if (worked / slowness > longest.ms) longest = { ms: worked / slowness, during: what }
    }
    last = ownTimeMs() ?? 0
  }
  const timer = setInterval(look, 1)
  return {
    longest: () => longest,
    during: (now) => {
      what = now
    },
    stop: () => clearInterval(timer),
  }
}
