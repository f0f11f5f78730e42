import type { LightEvent } from '../../../src/node/light.ts'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import { hashHeader } from '../../../src/protocol/header.ts'

/** What one household did. */
export interface HouseholdRecord {
  tip: number
  /** height -> header that was acked */
  readonly acked: Map<number, string>
  verifiedTrades: number
}

/**
 * Remembers everything that anybody was ever told, by whatever way, over all lives of the authority, and notes what cannot
 * be: a second header of a height, another answer for a tick, a household's alarm.
 */
export interface Witness {
  readonly complaints: readonly string[]
  /** The platform's ticks as they were answered. */
  readonly answers: ReadonlyMap<string, TickAnswer>
  saw(height: number, hash: string, source: string): void
  /** The one header of a height that anybody saw. */
  hashAt(height: number): string | undefined
  answered(answer: TickAnswer): void
  heard(household: string, event: LightEvent): void
  household(id: string): HouseholdRecord
  complain(text: string): void
}

export function createWitness(): Witness {
  const complaints: string[] = []
  const answers = new Map<string, TickAnswer>()
  const seen = new Map<number, { readonly hash: string; readonly source: string }>()
  const households = new Map<string, HouseholdRecord>()

  function saw(height: number, hash: string, source: string): void {
    const known = seen.get(height)
    if (known === undefined) seen.set(height, { hash, source })
    else if (known.hash !== hash) {
      complaints.push(`height ${height} is ${hash} by ${source} and ${known.hash} by ${known.source}`)
    }
  }

  function household(id: string): HouseholdRecord {
    const record = households.get(id) ?? { tip: -1, acked: new Map<number, string>(), verifiedTrades: 0 }
    households.set(id, record)
    return record
  }

  return {
    complaints,
    answers,
    saw,
    hashAt: (height) => seen.get(height)?.hash,
    household,
    complain: (text) => complaints.push(text),
    answered(answer) {
      const { tick_id, height, header_hash } = answer
      if (height !== null && header_hash !== null) saw(height, header_hash, `the answer to tick ${tick_id}`)
      const known = answers.get(tick_id)
      if (known === undefined) answers.set(tick_id, answer)
      else if (JSON.stringify(known) !== JSON.stringify(answer)) {
        complaints.push(`tick ${tick_id} was answered ${JSON.stringify(known)} and ${JSON.stringify(answer)}`)
      }
    },
    heard(id, event) {
      const record = household(id)
      switch (event.type) {
        case 'header': {
          const { header } = event.sealed
          saw(header.height, hashHeader(header), `${id}'s light node`)
          if (header.height <= record.tip) complaints.push(`${id} went back from ${record.tip} to ${header.height}`)
          record.tip = header.height
          return
        }
        case 'verified':
          record.verifiedTrades += event.trades.length
          return
        case 'vote': {
          const { height, header_hash, decision } = event.vote
          saw(height, header_hash, `${id}'s vote`)
          if (decision !== 'ack') complaints.push(`${id} rejects block ${height}`)
          if (record.acked.has(height)) complaints.push(`${id} votes on height ${height} twice`)
          record.acked.set(height, header_hash)
          return
        }
        case 'evidence':
        case 'alarm':
          if (event.type === 'alarm') complaints.push(`${id} is alarmed: ${event.code}, ${event.reason}`)
      }
    },
  }
}
