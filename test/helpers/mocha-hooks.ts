import { Runnable } from 'mocha'
import { PATIENCE_MS, progressed, sinceProgressMs } from './patience.ts'
import { stopSharedPostgres } from './postgres.ts'

const LOOK_EVERY_MS = 500

/**
 * One limit for all tests and hooks (.mocharc.json turns mocha's own off): it ends what has made no progress for as long as
 * patience lasts.
 */
Runnable.prototype.resetTimeout = function () {
  this.clearTimeout()
  progressed()
  this.timer = setInterval(() => {
    if (sinceProgressMs() <= PATIENCE_MS) return
    this.callback?.(new Error(`nothing that it waits for has come within ${PATIENCE_MS} ms of an idle machine`))
    this.timedOut = true
  }, LOOK_EVERY_MS)
}

/** Runs once after all tests (see .mocharc.json). */
export const mochaGlobalTeardown = (): Promise<void> => stopSharedPostgres()
