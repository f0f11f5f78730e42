import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Finality } from '../../protocol/genesis.ts'
import { UsageError } from '../output.ts'
import type { Terminal } from '../passphrase.ts'
import type { ChangeFields } from './change.ts'
import type { RegistryClient, SeenVoter } from './registry-client.ts'

/** How many blocks back "lately" is. */
const LATELY_BLOCKS = 10
/** Votes on a block that was sealed just now are on their way. */
const VOTES_PATIENCE_MS = 5_000
const LOOK_EVERY_MS = 1_000

type Voting = Exclude<Finality, { policy: 'authority' }>

/** Who says yes, and where it is asked. */
export interface Confirmation {
  /** --yes */
  readonly yes: boolean
  readonly terminal: Terminal
}

/**
 * Before a policy by votes: says who was seen voting lately. Where these are fewer than it takes, blocks would not become final any more:
 * then it asks, or takes --yes. A script, which nobody can be asked for, goes on where nobody could have voted yet, and where the policy
 * only asks for fewer than before. Throws `UsageError` where nobody says yes.
 */
export async function confirmPolicy(
  fields: ChangeFields,
  client: RegistryClient,
  { yes, terminal }: Confirmation,
): Promise<void> {
  if (fields.action !== 'policy' || fields.finality.policy === 'authority') return
  const { finality } = fields
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  const { entries, finality: present } = await client.registry()
  const active = new Set(
    entries.filter((entry) => entry.role === role && entry.status === 'active').map(({ id }) => id),
  )
  // The authority refuses that, and says why.
  if (role === 'validator' && active.size < finality.threshold) return
  const say = (line: string) => terminal.output.write(`solar-node: ${line}\n`)
  const { blocks, voters } = await seenLately(client, active, finality.threshold)
  const warning = describe(finality, role, active.size, voters)
  if (voters.length >= finality.threshold) {
    say(warning)
    return
  }
  const risk = `${warning}; while fewer than ${finality.threshold} vote no block becomes final`
  if (yes || isEasier(present, finality)) {
    say(risk)
    return
  }
  if (terminal.input.isTTY === true) {
    await ask(`${risk}. Change it all the same? (yes/no) `, terminal)
    return
  }
  if (blocks > 0) throw new UsageError(`${risk}: nothing was sent, --yes does it all the same`)
  say(risk)
}

/** Looks again for a while where too few were seen. */
async function seenLately(client: RegistryClient, active: ReadonlySet<string>, wanted: number) {
  const deadline = performance.now() + VOTES_PATIENCE_MS
  for (;;) {
    const { blocks, voters: all } = await client.seenVoters(LATELY_BLOCKS)
    const voters = all.filter(({ id }) => active.has(id))
    const isOver = performance.now() + LOOK_EVERY_MS > deadline
    if (voters.length >= wanted || blocks === 0 || active.size < wanted || isOver) return { blocks, voters }
    await sleep(LOOK_EVERY_MS)
  }
}

const isEasier = (present: Finality, wanted: Voting): boolean =>
  present.policy === wanted.policy && wanted.threshold <= present.threshold

async function ask(question: string, { input, output }: Terminal): Promise<void> {
  const reader = createInterface({ input, output })
  try {
    const ended = new Promise<string>((resolve) => reader.once('close', () => resolve('')))
    const answer = await Promise.race([reader.question(question), ended])
    if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('the policy stays as it is: nothing was sent')
  } finally {
    reader.close()
  }
}

function describe({ policy, threshold }: Voting, role: string, registered: number, seen: readonly SeenVoter[]): string {
  const names = seen.slice(0, 10).map(({ id, since }) => `${id} (since ${new Date(since).toISOString()})`)
  const who = names.length === 0 ? 'nobody' : `${names.join(', ')}${seen.length > names.length ? ', ...' : ''}`
  return (
    `${policy}:${threshold} takes ${threshold} of ${registered} registered ${role}s, ` +
    `${seen.length} voted on one of the last ${LATELY_BLOCKS} blocks: ${who}`
  )
}
