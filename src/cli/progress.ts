import { Presets, SingleBar } from 'cli-progress'
import type { ChainProgress, OnProgress } from '../node/progress.ts'
import { count } from '../protocol/count-words.ts'
import { canDrawBar, type Output } from './terminal.ts'

/** Says how work through a whole chain goes. */
export interface ProgressReport {
  readonly onProgress: OnProgress
  /** Leaves the terminal as it was; to be called whatever happened. */
  close(): void
}

/** Without a terminal a line now and then: what is over before the first needs none. */
const LINE_EVERY_MS = 5_000

/**
 * A bar with rate and time left on a terminal, else a line every few seconds, JSON if that is asked for.
 *
 * @param doing what is done, such as `auditing`
 * @param now milliseconds of a clock that never goes back
 */
export function createProgressReport(
  doing: string,
  output: Output,
  json: boolean,
  now: () => number = () => performance.now(),
): ProgressReport {
  const startedAt = now()
  const describe = (progress: ChainProgress) => withRate(progress, now() - startedAt)
  return canDrawBar(output) && !json
    ? barReport(doing, output, describe)
    : lineReport(describe, now, (state) =>
        output.write(
          `${json ? JSON.stringify({ event: 'progress', doing, ...state }) : `${doing}: ${countsOf(state).join(', ')}`}\n`,
        ),
      )
}

interface State extends ChainProgress {
  readonly transactions_per_second: number
  /** null while nobody can tell. */
  readonly seconds_left: number | null
}

function withRate(progress: ChainProgress, elapsedMs: number): State {
  const { blocks, transactions, total } = progress
  const seconds = elapsedMs / 1_000
  return {
    ...progress,
    transactions_per_second: seconds === 0 ? 0 : Math.round(transactions / seconds),
    seconds_left: total === null || blocks === 0 ? null : Math.round((seconds / blocks) * Math.max(0, total - blocks)),
  }
}

function barReport(doing: string, stream: Output, describe: (progress: ChainProgress) => State): ProgressReport {
  let bar: SingleBar | undefined
  const start = (total: number | null): SingleBar => {
    const format = `${doing} ${total === null ? '' : '{bar} '}{counts}`
    // The terminal is left as it is: an interrupt ends the process at once, and nobody would put anything back.
    const options = { format, stream, hideCursor: false, linewrap: true, gracefulExit: false, barsize: 24 }
    const started = new SingleBar(options, Presets.shades_classic)
    started.start(total ?? 0, 0, {})
    return started
  }
  return {
    onProgress(progress) {
      bar ??= start(progress.total)
      bar.update(progress.blocks, { counts: countsOf(describe(progress)).join(' · ') })
    },
    close: () => bar?.stop(),
  }
}

function lineReport(
  describe: (progress: ChainProgress) => State,
  now: () => number,
  write: (state: State) => void,
): ProgressReport {
  let due = now() + LINE_EVERY_MS
  return {
    onProgress(progress) {
      if (now() < due) return
      due = now() + LINE_EVERY_MS
      write(describe(progress))
    },
    close: () => undefined,
  }
}

function countsOf({ blocks, total, transactions, transactions_per_second, seconds_left }: State): readonly string[] {
  return [
    total === null ? count(blocks, 'block') : `${blocks}/${count(total, 'block')}`,
    count(transactions, 'transaction'),
    `${transactions_per_second}/s`,
    ...(seconds_left === null ? [] : [timeLeft(seconds_left)]),
  ]
}

const timeLeft = (seconds: number): string =>
  seconds < 120 ? `${seconds} s left` : `${Math.round(seconds / 60)} min left`
