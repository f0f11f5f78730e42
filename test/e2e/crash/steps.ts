/** The steps of a tick at which an authority can be killed, in their order. */
export const STEPS = [
  'before commit',
  'after commit',
  'before fence',
  'after fence',
  'after append',
  'before publish',
  'after publish',
] as const
/** Those of a block that is put back into SQL, before it is appended where LevelDB does not have it. */
type RestoreStep = 'before restore' | 'after restore'
/** Those of the outbox, after its tick is sealed. */
type OutboxStep = 'before row is done' | 'after row is done'
export type Step = (typeof STEPS)[number] | RestoreStep | OutboxStep

/** Kills the process when it comes to `step` for the `occurrence`-th time in its life, recovery included. */
export interface PlannedKill {
  readonly step: Step
  readonly occurrence: number
}

/** What the process is told, one line of JSON on its standard input. */
export interface StartCommand {
  /** As on the command line. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly kill: PlannedKill | null
}

/** What the process says, one line of JSON each. */
export type ProcessEvent =
  | { readonly event: 'loaded' }
  | { readonly event: 'started'; readonly tipHeight: number | null }
  | { readonly event: 'refused'; readonly message: string }
  | { readonly event: 'killed'; readonly step: Step }
