import type { PlatformRow, PlatformTick } from '../../src/ports/ledger.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import { hashTransaction, type Trade } from '../../src/protocol/transaction.ts'
import type { KnownBlock } from './model.ts'
import { isBroken, type World } from './world.ts'
import { Violation } from './violation.ts'

/** Rows of ticks, and for an honest authority the platform that posts them: again whenever it likes, and where it heard no answer. */
export interface Platform {
  /** Trades, and now and then a correction of one that is on this chain. */
  rows(tickId: string, tip: KnownBlock | undefined): readonly PlatformRow[]
  nextId(): string
  /** Posts a new tick, after one that it has posted before. Rejects in peace if it has no answer. */
  post(tick: PlatformTick): Promise<void>
  register(change: RegistryTransaction): Promise<void>
  /** From now on every new tick must be answered. */
  insist(): void
  /** Throws a `Violation` unless each block that was named in an answer is on this chain. */
  checkAnswers(chain: readonly KnownBlock[]): void
}

interface Posted {
  readonly tick: PlatformTick
  /** The block that it was said to be in. */
  answer: string | null
}

/** What an authority may say to a tick while databases and leaders come and go: it is posted again. */
const LATER = ['not_ready', 'not_leading', 'fenced', 'tip_moved', 'missing_parent', 'from_the_future'] as const
/** What it may say to what cannot be any more: a change beside another, a correction of what was redacted, the tick of a void one. */
const NEVER = ['registry_refused', 'refused_row', 'tick_conflict', 'tick_void', 'duplicate_transaction'] as const

export function createPlatform(world: World): Platform {
  const { plan, random, authorities, checker } = world
  const posted: Posted[] = []
  let count = 0
  let insists = false

  const isOneOf = (codes: readonly (typeof LATER | typeof NEVER)[number][], error: unknown): boolean =>
    codes.some((code) => isSolarError(error, code))

  /** Asks one authority after the other; `undefined` if none does it now. */
  async function ask<T>(work: (ledger: NonNullable<ReturnType<typeof engineOf>>['ledger']) => Promise<T>) {
    for (const id of random.shuffle([...authorities.keys()])) {
      const engine = engineOf(id)
      if (engine === undefined) continue
      try {
        const answer = await world.unlessGone(id, work(engine.ledger))
        if (answer !== undefined) return answer
      } catch (error) {
        if (isOneOf(NEVER, error)) throw error
        if (!isOneOf(LATER, error) && !isBroken(error)) throw error
      }
    }
    return undefined
  }
  const engineOf = (id: string) => authorities.get(id)

  async function send(one: Posted): Promise<void> {
    const answer = await ask((ledger) => ledger.acceptTick(one.tick))
    if (answer === undefined) return
    const { tick_id, header_hash } = answer
    if (one.answer !== null && one.answer !== header_hash) {
      throw new Violation(
        'what was answered stays',
        `${tick_id}: ${one.answer}, and later ${header_hash ?? 'no block'}`,
      )
    }
    one.answer = header_hash
  }

  async function again(): Promise<void> {
    const open = posted.filter(({ answer }) => answer === null)
    const one = random.pick(open.length > 0 && random.chance(0.7) ? open : posted)
    try {
      await send(one)
    } catch (error) {
      if (!isOneOf(NEVER, error)) throw error
    }
  }

  function trade(id: string, timestamp: number): PlatformRow {
    const [from_user_id = 'ann', to_user_id = 'ben'] = random.shuffle([...plan.lights, 'ann', 'ben'])
    const money = { kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3' }
    return { kind: 'trade', id, from_user_id, to_user_id, ...money, timestamp }
  }

  /**
   * Of a trade that can bear it. An authority with two faces has none for what was removed: it takes over the disk of a
   * validator in the end, and nobody would have the body that such a correction is checked by.
   */
  function correction(id: string, tip: KnownBlock | undefined, timestamp: number): PlatformRow | undefined {
    const earlier = tip?.chain.flatMap(({ block }) => block.transactions) ?? []
    const corrected = earlier.flatMap((tx) => (tx.kind === 'correction' ? [tx.corrects] : []))
    const removed = plan.isTwoFaced ? plan.validators.flatMap((other) => checker.removedBy(other)) : []
    const trades = earlier.filter(
      (tx): tx is Trade => tx.kind === 'trade' && !corrected.includes(tx.id) && !removed.includes(hashTransaction(tx)),
    )
    if (trades.length === 0) return undefined
    const { id: corrects } = random.pick(trades)
    const deltas = { kwh_delta: '-0.5', amount_delta: '-0.1', reason: 'read late' }
    return { kind: 'correction', id, corrects, ...deltas, timestamp }
  }

  return {
    nextId: () => `t${count++}`,
    rows(tickId, tip) {
      const timestamp = world.platformTime()
      const rows = Array.from({ length: random.between(1, 3) }, (_, index) => trade(`${tickId}.${index}`, timestamp))
      const late = !insists && random.chance(0.3) ? correction(`${tickId}.c`, tip, timestamp) : undefined
      return late === undefined ? rows : [...rows, late]
    },
    async post(tick) {
      if (posted.length > 0 && random.chance(0.4)) await again()
      const one: Posted = { tick, answer: null }
      posted.push(one)
      try {
        await send(one)
      } catch (error) {
        if (insists || !isOneOf(NEVER, error)) throw error
        // The same rows would be refused again.
        posted.splice(posted.indexOf(one), 1)
      }
      if (insists && one.answer === null) {
        throw new Violation('the chain moves on', `tick ${tick.tick_id} is not taken, in peace`)
      }
    },
    async register(change) {
      try {
        await ask((ledger) => ledger.register(change))
      } catch (error) {
        if (!isOneOf(NEVER, error)) throw error
      }
    },
    insist() {
      insists = true
    },
    checkAnswers(chain) {
      const hashes = new Set(chain.map(({ hash }) => hash))
      for (const { tick, answer } of posted) {
        if (answer === null || hashes.has(answer)) continue
        throw new Violation('what was answered stays', `${tick.tick_id} was in ${answer}, which is not on the chain`)
      }
    },
  }
}
