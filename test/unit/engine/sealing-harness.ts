import { Chain } from '../../../src/engine/chain.ts'
import { createEventHub } from '../../../src/engine/events.ts'
import { openFinalizer } from '../../../src/engine/finalizer.ts'
import { createLeadRight } from '../../../src/engine/lead-right.ts'
import { createFollower } from '../../../src/engine/follower.ts'
import { createPutBack } from '../../../src/engine/put-back.ts'
import { createSealGuard } from '../../../src/engine/seal-guard.ts'
import { createSealer } from '../../../src/engine/sealer.ts'
import { createSharedFinality } from '../../../src/engine/shared-finality.ts'
import { createTickRunner } from '../../../src/engine/tick-runner.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { HighWater, HighWaterMark } from '../../../src/ports/high-water.ts'
import { SOLE_LEADERSHIP } from '../../../src/ports/leadership.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import type { Hex } from '../../../src/protocol/bytes.ts'
import { hashHeader, headerShape, type Header } from '../../../src/protocol/header.ts'
import type { SigningKey } from '../../../src/protocol/signature.ts'
import type { LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { createStreet, namedKey, STREET_TIME } from '../../helpers/branches.ts'
import { createTestGossip } from '../../helpers/peers.ts'
import { sealHeader } from '../../helpers/sign-now.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

export const street = createStreet()
const { genesis, chainId } = street
export const untroubled = () => Promise.resolve()

/** A key in a signer, which does `before` it signs a header. */
export const signerThat = (before: (header: Header) => void | Promise<void>, name = 'authority'): SigningKey => ({
  publicKey: namedKey(name).publicKey,
  async sign(message) {
    const [, , body = ''] = new TextDecoder().decode(message).split('\n')
    await before(headerShape(JSON.parse(body), 'header'))
    return namedKey(name).signNow(message)
  },
})

/** What a signer says that has signed this header before. */
export const refusalWith = (header: Header, name = 'authority') =>
  ledgerError('already_signed', { reason: 'signed before', sealed: sealHeader(header, namedKey(name)) })

/** The key of a signer with a memory: it signs one header a height, and nothing below. `signed`: each header, once. */
export function rememberingSigner(name = 'authority'): { readonly key: SigningKey; readonly signed: Header[] } {
  const signed: Header[] = []
  const key = signerThat((header) => {
    const last = signed.at(-1)
    if (last !== undefined && hashHeader(last) === hashHeader(header)) return
    if (last !== undefined && header.height <= last.height) throw refusalWith(last, name)
    signed.push(header)
  }, name)
  return { key, signed }
}

export interface SealingOptions {
  /** Called with each mark, before it counts as durable. */
  readonly raise?: (mark: HighWaterMark) => Promise<void>
  /** What is in the high-water file at the start. */
  readonly mark?: HighWaterMark
  /** The key that a node here has, by its public key. */
  readonly keyOf?: (publicKey: Hex) => SigningKey | undefined
}

/** An authority that seals what it is given, over real stores. */
export async function startSealing(store: MarketStore, level: LevelChainStore, options: SealingOptions = {}) {
  const clock = createVirtualClock(STREET_TIME)
  await store.bindChain(chainId)
  const chain = await Chain.open(genesis, level)
  const events = createEventHub(silentLogger)
  const finalizer = await openFinalizer({ chain, store, events, clock })
  let mark: HighWaterMark | null = options.mark ?? null
  const highWater: HighWater = {
    get mark() {
      return mark
    },
    raisedAt: null,
    async raise(higher) {
      await options.raise?.(higher)
      mark = higher
    },
  }
  const shared = { chain, store, finalizer, clock, logger: silentLogger, highWater, leadership: SOLE_LEADERSHIP }
  const putBack = createPutBack({ ...shared, bodies: level })
  const guard = createSealGuard(chain, highWater)
  const find = options.keyOf ?? (() => namedKey('authority'))
  const own = { minerId: 'authority', keyOf: (publicKey: Hex) => Promise.resolve(find(publicKey)) }
  const right = createLeadRight({ chain, store, ...own })
  await right.look()
  const sealer = createSealer({
    ...shared,
    gossip: createTestGossip(),
    events,
    putBack,
    guard,
    follower: createFollower({ ...shared, putBack, guard }),
    finality: createSharedFinality({ chain, store, finalizer, events }),
    miner: { mine: (header) => Promise.resolve(header), stop: () => Promise.resolve() },
    ...own,
  })
  const changeLimiter = { check: () => Promise.resolve() }
  const randomBytes = (length: number) => new Uint8Array(length)
  const ticks = createTickRunner({ ...shared, sealer, right, changeLimiter, randomBytes })
  return { chain, ticks, guard, store, right }
}

/** A platform's tick with one trade. */
export const tick = (id: string) => ({
  tick_id: id,
  timestamp: STREET_TIME,
  transactions: [
    {
      kind: 'trade' as const,
      id: `${id}.1`,
      from_user_id: 'ann',
      to_user_id: 'ben',
      kwh: '2.5',
      price_per_kwh: '0.2',
      total_amount: '0.5',
      timestamp: STREET_TIME,
    },
  ],
})
