import { createAuthorityLedger } from '../../src/engine/authority-ledger.ts'
import { Chain } from '../../src/engine/chain.ts'
import { createCheckpoints } from '../../src/engine/checkpoints.ts'
import { createPutBack } from '../../src/engine/put-back.ts'
import { createSealGuard } from '../../src/engine/seal-guard.ts'
import type { HighWater } from '../../src/ports/high-water.ts'
import type { Miner } from '../../src/ports/miner.ts'
import { createEventHub } from '../../src/engine/events.ts'
import { openEvidencePool } from '../../src/engine/evidence-pool.ts'
import { openFinalizer } from '../../src/engine/finalizer.ts'
import { createFollower } from '../../src/engine/follower.ts'
import { fullSignerBefore, reportDoubleSeal } from '../../src/engine/full-node-evidence.ts'
import { serveFullNodePeers } from '../../src/engine/full-node-peers.ts'
import { createLightClient, type LightClient } from '../../src/engine/light-client.ts'
import { createSealer } from '../../src/engine/sealer.ts'
import { createSharedFinality } from '../../src/engine/shared-finality.ts'
import { createTickRunner } from '../../src/engine/tick-runner.ts'
import type { Validator } from '../../src/engine/validator.ts'
import { createVoteCounter, findOnChain } from '../../src/engine/vote-counter.ts'
import { assembleValidator } from '../../src/node/validator-engine.ts'
import type { RandomBytes } from '../../src/ports/clock.ts'
import { SOLE_LEADERSHIP } from '../../src/ports/leadership.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import type { Logger } from '../../src/ports/logger.ts'
import type { MarketStore } from '../../src/ports/market-store.ts'
import type { Genesis } from '../../src/protocol/genesis.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import type { SigningKey } from '../../src/protocol/signature.ts'
import { chainStore } from '../../src/storage/level/chain-store.ts'
import { lightStore } from '../../src/storage/level/light-store.ts'
import { replicaStore } from '../../src/storage/level/replica-store.ts'
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
    readonly key: SigningKey
    readonly allowedChanges: readonly string[]
    /** Whom the operator has named. */
    readonly named: readonly string[]
  },
): Promise<Validator> {
  const { port, disk, named } = parts
  const { gossip, requests, clock } = port
  const store = await replicaStore(await disk.open())
  const { validator, finalizer } = await assembleValidator({
    ...parts,
    store,
    gossip,
    requests,
    clock,
    namedPeers: {
      addresses: named.length,
      reached: () => new Map(requests.peers().flatMap((peer) => (named.includes(peer) ? [[peer, peer]] : []))),
    },
    roleOfToken: () => undefined,
  })
  port.start()
  validator.start()
  await finalizer.evaluate()
  return validator
}

/** The light node, put together as in src/node/light.ts. */
export async function startLight(parts: NodeParts & { readonly key: SigningKey | null }): Promise<LightClient> {
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

/** An honest authority, put together as in src/node/authority.ts; its SQL outlives it. */
export async function startAuthority(
  parts: NodeParts & { readonly sql: MarketStore; readonly minerId: string; readonly keys: readonly SigningKey[] },
): Promise<Ledger> {
  const { genesis, port, disk, logger, randomBytes, sql: store, minerId } = parts
  const { gossip, requests, clock } = port
  const bodies = await chainStore(await disk.open())
  const chain = await Chain.open(genesis, bodies)
  const { chainId } = chain
  await store.bindChain(chainId)
  const events = createEventHub(logger)
  const finalizer = await openFinalizer({ chain, store, events, clock })
  const keyOf = (publicKey: string) => Promise.resolve(parts.keys.find((key) => key.publicKey === publicKey))
  const highWater = await rememberedMark(store)
  const putBack = createPutBack({ chain, store, bodies, finalizer, clock, logger })
  const guard = createSealGuard(chain, highWater)
  const miner: Miner = { mine: (header) => Promise.resolve(header), stop: () => Promise.resolve() }
  const follower = createFollower({ chain, store, putBack, guard, highWater, clock, logger })
  const finality = createSharedFinality({ chain, store, finalizer, events })
  const leadership = SOLE_LEADERSHIP
  const sealing = { putBack, guard, highWater, miner, minerId, keyOf, follower, finality, leadership }
  const sealer = createSealer({ ...sealing, chain, store, gossip, events, finalizer, clock, logger })
  const runner = createTickRunner({ chain, store, sealer, leadership, clock, randomBytes })
  const evidence = await openEvidencePool({
    genesis,
    chainId,
    store,
    gossip,
    logger,
    signerBefore: (id, height) => fullSignerBefore(chain, id, height),
    onEvidence: (found) => events.emit({ type: 'evidence', evidence: found }),
  })
  const votes = createVoteCounter({
    chainId,
    find: findOnChain(chain),
    store,
    evidence,
    events,
    finalizer,
    clock,
    logger,
  })
  const users = new Map(await store.users())
  const ledger = createAuthorityLedger({
    chain,
    store,
    runner,
    votes,
    events,
    finalizer,
    evidence,
    checkpoints: createCheckpoints({ chain, finalHeight: () => finalizer.finalHeight, minerId, keyOf }),
    clock,
    minTradeMicro: 10_000n,
    users,
  })
  serveFullNodePeers({
    mode: 'authority',
    chain,
    ledger,
    votes,
    finalizer,
    acks: store,
    evidence,
    gossip,
    requests,
    clock,
    logger,
    roleOfToken: () => undefined,
    async onHeader(sealed) {
      if (chain.tip?.hash === hashHeader(sealed.header)) return 'accept'
      await reportDoubleSeal(chain, evidence, sealed, [])
      return 'ignore'
    },
  })
  port.start()
  await runner.recover()
  await finalizer.evaluate()
  return ledger
}

/** The high-water file of an authority whose SQL is never put back from a backup: it says what the last fence says. */
async function rememberedMark(store: MarketStore): Promise<HighWater> {
  const last = await store.lastBlock()
  let mark = last === undefined ? null : { height: last.height, hash: last.block_hash }
  return {
    get mark() {
      return mark
    },
    raise(higher) {
      if (mark === null || higher.height > mark.height) mark = higher
      return Promise.resolve()
    },
  }
}
