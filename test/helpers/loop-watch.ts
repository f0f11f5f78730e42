import { readFileSync } from 'node:fs'
import { sha256Hex } from '../../src/protocol/hash.ts'

/**
 * The processor time of this thread so far in milliseconds, without what others took meanwhile: Linux tells it; `undefined`
 * elsewhere.
 */
function ownTimeMs(): number | undefined {
  try {
    const [onProcessor = ''] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')
    return Number(onProcessor) / 1e6
  } catch {
    return undefined
  }
}

export const canWatchLoop = ownTimeMs() !== undefined

/** What takes about 10 ms where nothing else runs, in processor time: more on a slower machine, or where others fill its caches. */
function yardstickMs(): number {
  const before = ownTimeMs() ?? 0
  let text = ''
  for (let n = 0; n < 12_000; n++) text = sha256Hex(`${text}${n}`)
  return (ownTimeMs() ?? 0) - before
}
const YARDSTICK_MS = 10

export interface LoopWatch {
  /**
   * The longest that this thread worked without another turn of its event loop, in milliseconds of processor time of a machine
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
