import { createInterface } from 'node:readline/promises'
import type { Finality } from '../../protocol/genesis.ts'
import { UsageError } from '../output.ts'
import type { Terminal } from '../passphrase.ts'
import type { ChangeFields } from './change.ts'
import type { RegistryClient, SeenVoter } from './registry-client.ts'

/** How many blocks back "lately" is. */
const LATELY_BLOCKS = 10

/**
 * Before a policy by votes: says who was seen voting lately. Where these are fewer than it takes, blocks would not become final any more:
 * then it asks, or takes --yes. Throws `UsageError` where nobody says yes.
 */
export async function confirmPolicy(
  fields: ChangeFields,
  client: RegistryClient,
  yes: boolean,
  terminal: Terminal,
): Promise<void> {
  if (fields.action !== 'policy' || fields.finality.policy === 'authority') return
  const { finality } = fields
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  const { entries } = await client.registry()
  const active = new Set(
    entries.filter((entry) => entry.role === role && entry.status === 'active').map(({ id }) => id),
  )
  const seen = (await client.seenVoters(LATELY_BLOCKS)).filter(({ id }) => active.has(id))
  const warning = describe(finality, role, active.size, seen)
  if (seen.length >= finality.threshold) {
    terminal.output.write(`solar-node: ${warning}\n`)
    return
  }
  const risk = `${warning}; while fewer than ${finality.threshold} vote no block becomes final`
  if (yes) {
    terminal.output.write(`solar-node: ${risk}\n`)
    return
  }
  if (terminal.input.isTTY !== true) throw new UsageError(`${risk}: nothing was sent, --yes does it all the same`)
  const reader = createInterface({ input: terminal.input, output: terminal.output })
  try {
    const answer = await reader.question(`${risk}. Change it all the same? (yes/no) `)
    if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('the policy stays as it is: nothing was sent')
  } finally {
    reader.close()
  }
}

function describe(
  { policy, threshold }: Exclude<Finality, { policy: 'authority' }>,
  role: string,
  registered: number,
  seen: readonly SeenVoter[],
): string {
  const names = seen.slice(0, 10).map(({ id, since }) => `${id} (since ${new Date(since).toISOString()})`)
  const who = names.length === 0 ? 'nobody' : `${names.join(', ')}${seen.length > names.length ? ', ...' : ''}`
  return (
    `${policy}:${threshold} takes ${threshold} of ${registered} registered ${role}s, ` +
    `${seen.length} voted on one of the last ${LATELY_BLOCKS} blocks: ${who}`
  )
}
