import type { AuthorityConfig } from '../config/types.ts'
import { createAuthorityLedger } from '../engine/authority-ledger.ts'
import type { Chain } from '../engine/chain.ts'
import { createCheckpoints, type Checkpoints } from '../engine/checkpoints.ts'
import { createEventHub, type EventHub } from '../engine/events.ts'
import { keepAskingForEvidence } from '../engine/evidence-exchange.ts'
import { openEvidencePool } from '../engine/evidence-pool.ts'
import { openFinalizer, type Finalizer } from '../engine/finalizer.ts'
import { createFollower } from '../engine/follower.ts'
import { fullSignerBefore } from '../engine/full-node-evidence.ts'
import { serveFullNodePeers } from '../engine/full-node-peers.ts'
import { createPeerHeaders } from '../engine/peer-headers.ts'
import { createPutBack } from '../engine/put-back.ts'
import { createAuthorityRedactor, type AuthorityRedactor } from '../engine/redactor.ts'
import { createRestorer, type Restorer } from '../engine/restorer.ts'
import { createSealClock, type SealClock } from '../engine/seal-clock.ts'
import { createSealGuard, withClock, type SealGuard } from '../engine/seal-guard.ts'
import { createSealer } from '../engine/sealer.ts'
import { createSharedFinality } from '../engine/shared-finality.ts'
import { createSuccession, type Succession } from '../engine/succession.ts'
import { createTickRunner, type TickRunner } from '../engine/tick-runner.ts'
import { createVoteCounter, findOnChain, type VoteCounterParts } from '../engine/vote-counter.ts'
import { roleOfToken } from '../http/access.ts'
import type { PeerNetwork } from '../network/peer-network.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip } from '../ports/gossip.ts'
import { SOLE_LEADERSHIP, type Leadership } from '../ports/leadership.ts'
import type { Ledger, TickOutcome } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { Miner } from '../ports/miner.ts'
import { hashHeader } from '../protocol/header.ts'
import type { PostgresLeadership } from '../storage/sql/postgres-leadership.ts'
import type { AuthorityKeys } from './authority-keys.ts'
import type { AuthorityStores } from './authority-stores.ts'
import { createSharedLeadership } from './leadership.ts'
import { warnOfSeveralVotes } from './several-votes.ts'

export interface AuthorityEngineParts extends AuthorityStores {
  readonly network: PeerNetwork
  readonly gossip: Gossip
  readonly miner: Miner
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly logger: Logger
  readonly onTick: (outcome: TickOutcome) => void
}

/** What decides, over stores that are open; nothing of it has begun. */
export interface AuthorityEngine {
  /** Begins to ask peers for evidence; gives back how to end it. */
  readonly askForEvidence: () => () => void
  readonly events: EventHub
  readonly finalizer: Finalizer
  readonly guard: SealGuard
  readonly sealClock: SealClock
  readonly runner: TickRunner
  readonly checkpoints: Checkpoints
  readonly ledger: Ledger
  readonly redactor: AuthorityRedactor
  readonly restorer: Restorer
  readonly leadership: Leadership
  /** On a database that other authorities share: who leads, and what comes of it. */
  readonly standby: { readonly lead: PostgresLeadership; readonly succession: Succession } | undefined
}

/**
 * Puts the engine together and brings both stores to one height. Throws `corrupt` if they contradict each other, `not_ready`
 * without the key of an authority.
 */
export async function assembleAuthority(
  config: AuthorityConfig,
  parts: AuthorityEngineParts,
): Promise<AuthorityEngine> {
  const { files, store, chain, level, highWater, network, gossip, miner, clock, randomBytes, logger, onTick } = parts
  const { chainId } = files
  const { keyOf } = files.authorityKeys
  const events = createEventHub(logger)
  const finalizer = await openFinalizer({ chain, store, events, clock })
  const finality = createSharedFinality({ chain, store, finalizer, events })
  const sealClock = createSealClock({
    clock,
    requests: network.requests,
    databaseTime: () => store.now(),
    hasValidators: () => chain.registry.activeOf('validator').length > 0,
    logger,
  })
  const backups = createSealGuard(chain, highWater)
  const guard = withClock(backups, sealClock)
  const putBack = createPutBack({ chain, store, bodies: level, finalizer, clock, logger })
  const follower = createFollower({ chain, store, putBack, guard, highWater, clock, logger })
  // First: which of the keys here is that of an authority, the newest block says.
  await follower.align()
  const minerId = await authorityIdOf(chain, keyOf)
  const mayLead = () => chain.registry.active(minerId, 'authority') !== undefined
  const lead = await createSharedLeadership(config.database, chainId, logger, mayLead)
  const leadership = lead ?? SOLE_LEADERSHIP
  const evidence = await openEvidencePool({
    genesis: files.genesis,
    chainId,
    store,
    gossip,
    logger,
    signerBefore: (id, height) => fullSignerBefore(chain, id, height),
    onEvidence: (found) => events.emit({ type: 'evidence', evidence: found }),
  })
  const sealing = { chain, guard, leadership, clock, logger, minerId, keyOf }
  const stores = { store, follower, finality, putBack, highWater }
  const users = new Map<string, string>()
  const readUsers = async (): Promise<void> => {
    const known = [...usersOf(config), ...(await store.users())]
    users.clear()
    for (const [voter, user] of known) users.set(voter, user)
  }
  await readUsers()
  const sealer = createSealer({ ...sealing, ...stores, gossip, events, finalizer, miner, onVoid: readUsers })
  const runner = createTickRunner({ chain, store, sealer, leadership, clock, randomBytes, onTick, ...bandOf(config) })
  const find = findWhileFollowing(findOnChain(chain), leadership, () => runner.follow())
  const votes = createVoteCounter({ chainId, find, store, evidence, events, finalizer, clock, logger })
  const checkpoints = createCheckpoints({ chain, finalHeight: () => finalizer.finalHeight, minerId, keyOf })
  const counting = { chain, votes, events, finalizer, evidence, clock }
  const { minTradeMicro } = config
  const queries = { ...counting, checkpoints, store, runner, minTradeMicro, users }
  const ledger = warnOfSeveralVotes(createAuthorityLedger(queries), logger)
  const { requests } = network
  const peerHeaders = createPeerHeaders({ ...sealing, evidence })
  const restorer = createRestorer({ ...sealing, finalizer, guard: backups, peerHeaders, requests, runner, randomBytes })
  serveFullNodePeers({
    ...counting,
    mode: 'authority',
    ledger,
    acks: store,
    gossip,
    requests,
    logger,
    roleOfToken: (token) => roleOfToken(token, files.tokens.hashes),
    async onHeader(sealed, from) {
      const isTip = () => chain.tip?.hash === hashHeader(sealed.header)
      if (isTip()) return 'accept'
      await restorer.heard(sealed, from)
      return isTip() ? 'accept' : 'ignore'
    },
  })
  const redactor = createAuthorityRedactor({ store, blocks: level, leadership, clock, logger })
  const standby = lead && { lead, succession: createSuccession({ ...sealing, runner, finality, readUsers, redactor }) }
  const askForEvidence = () => keepAskingForEvidence({ requests, evidence, clock, logger })
  return {
    askForEvidence,
    events,
    finalizer,
    guard,
    sealClock,
    runner,
    checkpoints,
    ledger,
    redactor,
    restorer,
    leadership,
    standby,
  }
}

const bandOf = ({ priceBand }: AuthorityConfig) =>
  priceBand && { priceBand: { floorMicro: priceBand.feedInMicro, ceilingMicro: priceBand.retailMicro } }

/** The authority id whose key this node has: now, or in the genesis if its key has changed since. Throws `not_ready`. */
async function authorityIdOf(chain: Chain, keyOf: AuthorityKeys['keyOf']): Promise<string> {
  for (const registry of [chain.registry, chain.registryBefore(0)]) {
    for (const entry of registry.activeOf('authority')) {
      if ((await keyOf(entry.public_key)) !== undefined) return entry.id
    }
  }
  throw ledgerError('not_ready', { reason: 'no key file in the data directory is that of a registered authority' })
}

/** A vote may be here before the block that the leader has sealed: then the database has it. */
function findWhileFollowing(
  find: VoteCounterParts['find'],
  leadership: Leadership,
  follow: () => Promise<void>,
): VoteCounterParts['find'] {
  return async (headerHash) => {
    const found = await find(headerHash)
    if (found !== undefined || leadership.leads()) return found
    await follow()
    return await find(headerHash)
  }
}

/** Voters whose platform user has another name than they. */
function usersOf(config: AuthorityConfig): ReadonlyMap<string, string> {
  return new Map(
    config.genesis.voters.flatMap(({ id, userId }) => (userId === undefined ? [] : [[id, userId] as const])),
  )
}
