import { Chain } from '../../src/engine/chain.ts'
import { createLightClient, type LightClient } from '../../src/engine/light-client.ts'
import {
  assembleAuthority,
  recoverAuthority,
  type AuthorityEngine,
  type AuthorityEngineParts,
} from '../../src/node/authority-engine.ts'
import { assembleValidator, type ValidatorEngine } from '../../src/node/validator-engine.ts'
import { CHECKED_IN_PLACE } from '../../src/ports/signature-checks.ts'
import type { RandomBytes } from '../../src/ports/clock.ts'
import type { HighWater } from '../../src/ports/high-water.ts'
import type { Logger } from '../../src/ports/logger.ts'
import type { MarketStore } from '../../src/ports/market-store.ts'
import type { Genesis } from '../../src/protocol/genesis.ts'
import { chainStore } from '../../src/storage/level/chain-store.ts'
import { lightStore } from '../../src/storage/level/light-store.ts'
import { replicaStore } from '../../src/storage/level/replica-store.ts'
import type { TestKey } from '../helpers/sign-now.ts'
import type { Disk } from './disk.ts'
import type { Port } from './network.ts'

/** What a node of the simulation is made of: the real engine over a simulated port, disk and clock. */
export interface NodeParts {
  readonly genesis: Genesis
  readonly port: Port
  readonly disk: Disk
  readonly logger: Logger
  readonly randomBytes: RandomBytes
}

const POLL_MS = 15_000

/** A validator, as it is put together everywhere. */
export async function startValidator(
  parts: NodeParts & {
    readonly key: TestKey
    readonly allowedChanges: readonly string[]
    /** Whom the operator has named. */
    readonly named: readonly string[]
  },
): Promise<ValidatorEngine> {
  const { port, disk, named } = parts
  const { gossip, requests, clock } = port
  const store = await replicaStore(await disk.open())
  const engine = await assembleValidator({
    signatures: CHECKED_IN_PLACE,
    ...parts,
    store,
    gossip,
    requests,
    clock,
    namedPeers: {
      addresses: named.length,
      reached: () => new Map(requests.peers().flatMap((peer) => (named.includes(peer) ? [[peer, peer]] : []))),
    },
    roleOfToken: () => Promise.resolve(undefined),
  })
  port.start()
  engine.validator.start()
  await engine.finalizer.evaluate()
  return engine
}

/** The light node, put together as in src/node/light.ts. */
export async function startLight(parts: NodeParts & { readonly key: TestKey | null }): Promise<LightClient> {
  const { genesis, port, disk, logger, randomBytes, key } = parts
  const { gossip, requests, clock } = port
  const store = lightStore(await disk.open())
  const client = await createLightClient({
    genesis,
    store,
    gossip,
    requests,
    clock,
    randomBytes,
    logger,
    key,
    windowSize: 5,
    staleAfterMs: 60_000,
    pollMs: POLL_MS,
    onEvent: () => undefined,
  })
  port.start()
  client.start()
  return client
}

/** What an authority has besides its disk. */
export interface AuthorityMeans {
  readonly sql: MarketStore
  /** Where others share the database. */
  readonly shareLead: AuthorityEngineParts['shareLead']
  /** The file beside the key. */
  readonly highWater: HighWater
  readonly keyOf: AuthorityEngineParts['keyOf']
}

/** An authority, as it is put together everywhere. Resolves when it takes ticks. */
export async function startAuthority(parts: NodeParts & AuthorityMeans): Promise<AuthorityEngine> {
  const { genesis, port, disk, logger, sql: store } = parts
  const { gossip, requests, clock } = port
  const level = await chainStore(await disk.open())
  const chain = await Chain.open(genesis, level)
  await store.bindChain(chain.chainId)
  const engine = await assembleAuthority({
    signatures: CHECKED_IN_PLACE,
    ...parts,
    store,
    chain,
    level,
    gossip,
    requests,
    clock,
    roleOfToken: () => Promise.resolve(undefined),
    miner: { mine: (header) => Promise.resolve(header), stop: () => Promise.resolve() },
    onTick: () => undefined,
    minTradeMicro: 10_000n,
    changeLimits: { perHour: 10_000, perUserPerHour: 60 },
  })
  port.start()
  await recoverAuthority(engine, { awaited: chain.size === 0 ? 0 : 1, opened: () => undefined, clock, logger })
  return engine
}

/** The high-water file of one authority: what it says outlives crashes and older databases. */
export function createHighWater(now: () => number): HighWater {
  let mark: HighWater['mark'] = null
  let raisedAt: number | null = null
  return {
    get raisedAt() {
      return raisedAt
    },
    get mark() {
      return mark
    },
    raise(higher) {
      if (mark === null || higher.height > mark.height) [mark, raisedAt] = [higher, now()]
      return Promise.resolve()
    },
  }
}
