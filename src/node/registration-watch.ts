import type { LightClient } from '../engine/light-client.ts'
import type { Logger } from '../ports/logger.ts'

/** Whether a light node's key is registered; `off`: it does not vote, so nobody needs to know its key. */
export interface Registration {
  readonly state: 'off' | 'unknown' | 'unregistered' | 'registered' | 'revoked'
  /** Under which it is, or was, registered. */
  readonly id: string | null
  readonly public_key: string
}

/** Follows whether the key of this light node is registered, and says so when that changes. */
export interface RegistrationWatch {
  readonly now: Registration
  /** Asks again where the registry may have changed since. Never rejects. */
  look(client: Pick<LightClient, 'status' | 'entryOf'>): Promise<void>
}

export function createRegistrationWatch(publicKey: string, votes: boolean, logger: Logger): RegistrationWatch {
  let now: Registration = { state: votes ? 'unknown' : 'off', id: null, public_key: publicKey }
  /** The registry that was looked at last; null is that of the genesis. */
  let seen: string | null | undefined

  return {
    get now() {
      return now
    },
    async look(client) {
      if (!votes) return
      const root = client.status().headers.at(-1)?.header.registry_root ?? null
      if (root === seen) return
      try {
        const entry = await client.entryOf(publicKey)
        const state = entry === undefined ? 'unregistered' : entry.status === 'active' ? 'registered' : 'revoked'
        seen = root
        if (state === now.state && (entry?.id ?? null) === now.id) return
        now = { state, id: entry?.id ?? null, public_key: publicKey }
        const level = state === 'registered' ? 'info' : 'warn'
        logger[level]({ ...now }, registrationWords(now))
      } catch (error) {
        // Nobody is there to ask: with the next look.
        logger.debug({ error }, 'whether this key is registered is not known yet')
      }
    },
  }
}

/** What a key of each role is for, and how it is registered. */
const ROLES = {
  voter: {
    idle: 'it neither votes nor sees trades of its own',
    works: 'it proves its own trades and votes',
    setting: 'voters:',
    token: 'a platform token',
    flags: '--role voter --id NAME --user-id USER',
  },
  validator: {
    idle: 'it is given no blocks and co-signs none',
    works: 'it replicates and co-signs',
    setting: 'validators:',
    token: 'an operator token',
    flags: '--role validator --id NAME',
  },
} as const

/** One line for people: what is so, and who has to do what. `whose` names the key. */
export function registrationWords(
  { state, id, public_key }: Registration,
  whose = "this node's key",
  role: keyof typeof ROLES = 'voter',
): string {
  const { idle, works, setting, token, flags } = ROLES[role]
  switch (state) {
    case 'off':
      return 'this node does not vote'
    case 'unknown':
      return `whether the key ${public_key} is registered is not known yet`
    case 'registered':
      return `${whose} is registered as ${id ?? ''}: ${works}`
    case 'unregistered':
      return (
        `${whose} is not registered on this chain, so ${idle}: give the public key ${public_key} ` +
        `to whoever runs the authority, to be listed under ${setting} for a new chain; or enrol it yourself, from its key file, ` +
        `with ${token}: solar-node keys enrol ${flags} --key KEY_FILE --to URL --token-file FILE`
      )
    case 'revoked':
      return (
        `${whose} was revoked (it was ${id ?? ''}), so ${idle}: ` +
        `ask whoever runs the authority; the public key is ${public_key}`
      )
  }
}
