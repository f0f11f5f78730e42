import type { Logger } from '../ports/logger.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'

/** Whether this authority is one still, by the registry after the tip, and has its key. */
export interface Standing {
  /** For people: why it may seal nothing; `undefined` while it is an active authority that has its key. */
  reason(): string | undefined
}

/**
 * A revoked authority stops nothing, nor does one whose key is lost: it answers, follows what others seal, and says so, until it is
 * recovered. What it says here it logs as well, as it starts and whenever it changes.
 *
 * @param missing the key that it would need now, if that is not here
 */
export function watchStanding(
  { chain, events, logger }: { readonly chain: Chain; readonly events: EventHub; readonly logger: Logger },
  minerId: string,
  missing: () => Hex | undefined,
): Standing {
  const reason = () => revokedWords(chain, minerId) ?? lostWords(minerId, missing())
  let said: string | undefined
  const say = (): void => {
    const now = reason()
    if (now !== undefined && now !== said) logger.warn({ miner_id: minerId }, now)
    else if (now === undefined && said !== undefined)
      logger.info({ miner_id: minerId }, `${minerId} is an authority again`)
    said = now
  }
  say()
  events.subscribe(({ type }) => {
    if (type === 'header') say()
  })
  return { reason }
}

function lostWords(minerId: string, key: Hex | undefined): string | undefined {
  if (key === undefined) return undefined
  return (
    `the key ${key} of the authority ${minerId} is not here, so nothing is sealed: put its key file back and start again; ` +
    'if it is lost, its recovery key puts a new one in its place (solar-node keys recover)'
  )
}

function revokedWords({ registry }: Chain, minerId: string): string | undefined {
  if (registry.active(minerId, 'authority') !== undefined) return undefined
  const by = registry.entry(minerId)?.revoked_by
  const advice = by === undefined ? 'its recovery key' : 'its recovery key, with the signature of another authority,'
  const who = by === undefined ? '' : ` by ${by}`
  return `the authority ${minerId} is revoked${who} and seals nothing: ${advice} brings it back (solar-node keys recover)`
}
