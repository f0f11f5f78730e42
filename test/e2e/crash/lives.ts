import assert from 'node:assert/strict'
import { processGroup, type Ended, type NodeProcess } from '../../helpers/processes.ts'
import type { PlannedKill, ProcessEvent, StartCommand, Step } from './steps.ts'

/** One life of the authority, from its start to its end. */
export interface Life {
  readonly process: NodeProcess
  /** Resolves once it takes calls; false if it was killed before. Rejects if it refused to start. */
  readonly started: Promise<boolean>
  /** The step at which it killed itself, null if it ended otherwise. */
  readonly end: Promise<Ended & { readonly step: Step | null }>
}

/** Starts one life after another. The next process is loaded while the one before still lives. */
export interface Lives {
  begin(kill: PlannedKill | null): Promise<Life>
  killAll(): Promise<void>
}

const isEvent =
  <E extends ProcessEvent['event']>(wanted: E) =>
  (line: string): Extract<ProcessEvent, { event: E }> | undefined => {
    if (!line.startsWith('{"event":')) return undefined
    const event = JSON.parse(line) as ProcessEvent
    return event.event === wanted ? (event as Extract<ProcessEvent, { event: E }>) : undefined
  }

export function createLives(file: string, flags: StartCommand['flags']): Lives {
  const processes = processGroup()
  const load = (): NodeProcess => processes.start([file])
  let spare = load()

  return {
    killAll: () => processes.killAll(),
    async begin(kill) {
      const process = spare
      await process.awaitLine(isEvent('loaded'))
      const refused = process.awaitLine(isEvent('refused'))
      const startedLine = process.awaitLine(isEvent('started'))
      const killedLine = process.awaitLine(isEvent('killed'))
      const command: StartCommand = { flags, kill }
      process.send(JSON.stringify(command))
      spare = load()
      const started = Promise.race([
        startedLine.then(
          () => true,
          () => false,
        ),
        refused.then(
          ({ message }) => assert.fail(`the authority refuses to start: ${message}`),
          () => false,
        ),
      ])
      started.catch(() => undefined)
      const step = killedLine.then(
        (event) => event.step,
        () => null,
      )
      return { process, started, end: process.ended.then(async (ended) => ({ ...ended, step: await step })) }
    },
  }
}
