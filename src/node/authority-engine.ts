import { createAuthorityLedger } from '../engine/authority-ledger.ts'
import { serveMembership } from '../engine/block-server.ts'
import { createChangeLimiter, type ChangeLimits } from '../engine/change-limits.ts'
import type { Chain } from '../engine/chain.ts'
import { createCheckpoints, type Checkpoints } from '../engine/checkpoints.ts'
import { createEventHub, type EventHub } from '../engine/events.ts'
import { keepAskingForEvidence } from '../engine/evidence-exchange.ts'
import { openEvidencePool } from '../engine/evidence-pool.ts'
import { openFinalizer, type Finalizer } from '../engine/finalizer.ts'
import { createFollower } from '../engine/follower.ts'
import { fullSignerBefore } from '../engine/full-node-evidence.ts'
import { serveFullNodePeers, type FullNodePeersParts } from '../engine/full-node-peers.ts'
import { createPeerHeaders } from '../engine/peer-headers.ts'
import { heedSigner } from '../engine/heed-signer.ts'
import { createLeadRight, type LeadRight } from '../engine/lead-right.ts'
import { pseudonymousLedger } from '../engine/pseudonymous-ledger.ts'
import type { Pseudonyms } from '../engine/pseudonyms.ts'
import { createPutBack, type PutBackParts } from '../engine/put-back.ts'
import { createAuthorityRedactor, type AuthorityRedactor, type AuthorityRedactorParts } from '../engine/redactor.ts'
import { createRestorer, type Restorer } from '../engine/restorer.ts'
import { createSealClock, type SealClock } from '../engine/seal-clock.ts'
import { createSealGuard, withOthers, type SealGuard, type ToSeal } from '../engine/seal-guard.ts'
import { createSealer } from '../engine/sealer.ts'
import { createSharedFinality } from '../engine/shared-finality.ts'
import { watchStanding, type Standing } from '../engine/standing.ts'
import { createSuccession, type Succession } from '../engine/succession.ts'
import { createTickRunner, type TickRunner, type TickRunnerParts } from '../engine/tick-runner.ts'
import { createVoteCounter, findOnChain, type VoteCounterParts } from '../engine/vote-counter.ts'
import { keepAskingForVotes } from '../engine/vote-asking.ts'
import { passingOn } from '../engine/vote-passing.ts'
import { createVoteSync } from '../engine/vote-sync.ts'
import { sealWhatWaits } from '../engine/waiting-ticks.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { HighWater } from '../ports/high-water.ts'
import { SOLE_LEADERSHIP, type Leadership, type SharedLeadership } from '../ports/leadership.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { Miner } from '../ports/miner.ts'
import type { SignatureChecks } from '../ports/signature-checks.ts'
import type { NamedPeers } from '../ports/named-peers.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hex } from '../protocol/bytes.ts'
import { hashHeader } from '../protocol/header.ts'
import type { AuthorityKeys } from './authority-keys.ts'
import type { NodeSigner } from './node-signer.ts'
import { warnOfSeveralVotes } from './several-votes.ts'
import type { Shutdown } from './shutdown.ts'

export interface AuthorityEngineParts extends AuthorityKeys {
  /** The source of record, tied to this chain. */
  readonly store: MarketStore
  readonly chain: Chain
  /** The blocks that `chain` is over. */
  readonly level: PutBackParts['bodies'] & AuthorityRedactorParts['blocks']
  readonly highWater: HighWater
  /** Has the keys of `keyOf`, where they are not in files. */
  readonly signer?: Pick<NodeSigner, 'reason' | 'sealed' | 'publicKeys'> | undefined
  /** Who leads on a database that others share; `undefined` for this node's own. `mayLead`: false while it could seal nothing. */
  readonly shareLead: (mayLead: () => boolean) => Promise<SharedLeadership | undefined>
  readonly gossip: Gossip
  readonly requests: PeerRequests
  readonly namedPeers?: NamedPeers | undefined
  readonly roleOfToken: FullNodePeersParts['roleOfToken']
  readonly miner: Miner
  readonly signatures: SignatureChecks
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly logger: Logger
  readonly onTick: NonNullable<TickRunnerParts['onTick']>
  readonly priceBand?: TickRunnerParts['priceBand']
  /** The smallest order, micro-kWh. */
  readonly minTradeMicro: bigint
  readonly changeLimits: ChangeLimits
  /** Of a pseudonymous ledger. */
  readonly pseudonyms?: Pseudonyms | undefined
}

/** What decides, over stores that are open; nothing of it has begun. */
export interface AuthorityEngine {
  readonly chain: Chain
  /** Begins to ask peers for evidence and votes that did not come; returns how to end it. */
  readonly askPeers: () => () => void
  readonly events: EventHub
  readonly finalizer: Finalizer
  readonly guard: SealGuard
  readonly standing: Standing
  readonly sealClock: SealClock
  readonly runner: TickRunner
  readonly checkpoints: Checkpoints
  readonly ledger: Ledger
  readonly redactor: AuthorityRedactor
  readonly restorer: Restorer
  readonly leadership: Leadership
  readonly right: LeadRight
  /** The key that the registry names for this authority now. */
  readonly keyNow: () => Hex | undefined
  /** On a database that other authorities share: who leads, and what comes of it. */
  readonly standby: { readonly lead: SharedLeadership; readonly succession: Succession } | undefined
}

/**
 * Puts the engine together and brings both stores to one height. Throws `corrupt` if they contradict each other, `not_ready`
 * without the key of an authority.
 */
export async function assembleAuthority(parts: AuthorityEngineParts): Promise<AuthorityEngine> {
  const { keyOf, store, chain, level, highWater, gossip, requests, miner, clock, randomBytes, logger } = parts
  const { onTick, priceBand, minTradeMicro } = parts
  const { chainId, genesis } = chain
  const events = createEventHub(logger)
  const finalizer = await openFinalizer({ chain, store, events, clock })
  const finality = createSharedFinality({ chain, store, finalizer, events })
  const sealClock = createSealClock({
    clock,
    requests,
    namedPeers: parts.namedPeers,
    databaseTime: () => store.now(),
    hasValidators: () => chain.registry.activeOf('validator').length > 0,
    lastSealedAt: highWater.raisedAt,
    logger,
  })
  const backups = createSealGuard(chain, highWater)
  const { signer } = parts
  // What the signer lacks is the key that a recovery replaces.
  const signerSays = { reason: (what?: ToSeal) => (what === 'recovery' ? undefined : signer?.reason()) }
  const guard = withOthers(backups, sealClock, signerSays)
  const putBack = createPutBack({ chain, store, bodies: level, finalizer, clock, logger })
  const follower = createFollower({ chain, store, putBack, guard, highWater, clock, logger })
  // In this order, after the signer was asked: a block that it has signed is of a tick that waits, or on the chain, or lost here.
  const waiting = await store.nextUnsealedTick()
  // Which of the keys here is that of an authority, the newest block says.
  await follower.align()
  const minerId = await findAuthority(chain, keyOf)
  const right = createLeadRight({ chain, store, minerId, keyOf })
  await right.look()
  const keyNow = () => chain.registry.active(minerId, 'authority')?.public_key
  const named = keyNow()
  if (signer !== undefined && named !== undefined)
    await heedSigner(signer, { chain, store, guard: backups, minerId, named, isWaiting: waiting !== undefined })
  const lead = await parts.shareLead(() => right.mayLead())
  const leadership = lead ?? SOLE_LEADERSHIP
  const evidence = await openEvidencePool({
    genesis,
    chainId,
    store,
    gossip,
    logger,
    signatures: parts.signatures,
    signerBefore: (id, height) => fullSignerBefore(chain, id, height),
    onEvidence: (found) => events.emit({ type: 'evidence', evidence: found }),
  })
  const sealing = { chain, guard, leadership, clock, logger, minerId, keyOf }
  const stores = { store, follower, finality, putBack, highWater }
  const users = new Map<string, string>()
  const readUsers = async (): Promise<void> => {
    const known = await store.users()
    users.clear()
    for (const [voter, user] of known) users.set(voter, user)
  }
  await readUsers()
  const sealer = createSealer({ ...sealing, ...stores, gossip, events, finalizer, miner, onVoid: readUsers })
  const band = priceBand && { priceBand }
  const userOf = (id: string): string => users.get(id) ?? id
  const changeLimiter = createChangeLimiter({ chain, clock, limits: parts.changeLimits, userOf })
  const ticking = { leadership, right, clock, randomBytes, changeLimiter, onTick }
  const runner = createTickRunner({ chain, store, sealer, ...ticking, ...band })
  const find = findWhileFollowing(findOnChain(chain), leadership, () => runner.follow())
  const { signatures } = parts
  const votes = createVoteCounter({ chainId, find, store, evidence, events, finalizer, signatures, clock, logger })
  const checkpoints = createCheckpoints({ chain, finalHeight: () => finalizer.finalHeight, minerId, keyOf })
  const counting = { chain, votes, events, finalizer, evidence, clock }
  const queries = { ...counting, checkpoints, store, runner, minTradeMicro, users, minerId, keyOf }
  const inner = warnOfSeveralVotes(
    createAuthorityLedger({ ...queries, votes: passingOn(votes, gossip, logger) }),
    logger,
  )
  const peerHeaders = createPeerHeaders({ ...sealing, evidence, signatures })
  const voteSync = createVoteSync({
    ...{ chain, votes: store, counter: votes, finalizer, requests, logger },
    // There is one chain here: a peer on another one does not know these headers.
    hashAt: (_, height) => chain.hashAt(height),
    onCounted: () => Promise.resolve(),
  })
  const restoring = { guard: backups, peerHeaders, votes: voteSync, requests, runner, randomBytes }
  const restorer = createRestorer({ ...sealing, ...restoring, finalizer })
  serveFullNodePeers({
    ...counting,
    mode: 'authority',
    ledger: inner,
    acks: store,
    gossip,
    requests,
    logger,
    roleOfToken: parts.roleOfToken,
    async onHeader(sealed, from) {
      const isTip = () => chain.tip?.hash === hashHeader(sealed.header)
      if (isTip()) return 'accept'
      await restorer.heard(sealed, from)
      return isTip() ? 'accept' : 'ignore'
    },
  })
  serveMembership({ chain, ledger: inner, requests, clock })
  const redactor = createAuthorityRedactor({ store, blocks: level, leadership, clock, logger })
  const following = { ...sealing, right, runner, finality, readUsers, redactor }
  const standby = lead && { lead, succession: createSuccession(following) }
  const askPeers = (): (() => void) => {
    const stops = [
      keepAskingForEvidence({ requests, evidence, clock, logger }),
      keepAskingForVotes({ requests, chain, finalizer, votes: voteSync, clock, logger }),
    ]
    return () => stops.forEach((stop) => stop())
  }
  // Peers name devices alone; who comes over HTTP, or by the outbox, names users as the platform does.
  const entries = { has: (id: string) => chain.registry.entry(id) !== undefined }
  const ledger = parts.pseudonyms === undefined ? inner : pseudonymousLedger(inner, parts.pseudonyms, entries)
  // A signer says itself which key it lacks.
  const missing = () => (signer === undefined ? right.missing() : undefined)
  const standing = watchStanding({ chain, events, logger }, minerId, missing)
  const deciding = { events, finalizer, guard, standing, sealClock, runner, checkpoints, ledger, redactor, restorer }
  return { ...deciding, chain, askPeers, leadership, right, keyNow, standby }
}

/**
 * Makes good what a crash, an older backup or the leader before has left, as far as this node may, and goes on doing so.
 *
 * @param awaited how many peers tell their tip before the first seal, if they come in time
 * @param opened hears of each part that runs from then on, to stop them in reverse order
 */
export async function recoverAuthority(
  engine: AuthorityEngine,
  { awaited, opened, clock, logger }: { awaited: number; opened: Shutdown['opened']; clock: Clock; logger: Logger },
): Promise<void> {
  const { chain, sealClock, runner, restorer, finalizer, standby, redactor } = engine
  if (standby !== undefined) opened('leadership', () => standby.lead.stop())
  opened('tick in hand', () => runner.idle())
  opened('questions to peers', engine.askPeers())
  opened('restorer', () => restorer.stop())
  await restorer.start(awaited)
  await sealClock.compare()
  opened('clock watch', () => sealClock.stop())
  sealClock.start(() => {
    runner.recover().catch((error: unknown) => logger.error({ error }, 'waiting ticks are not sealed yet'))
  })
  if (standby !== undefined) {
    await standby.lead.start()
    opened('succession', () => standby.succession.stop())
    standby.succession.start()
  }
  // Mining takes long: under seal `work` what is committed is sealed once the node answers.
  else if (chain.genesis.seal !== 'work') opened('waiting ticks', await sealWhatWaits({ ...engine, clock, logger }))
  await finalizer.evaluate()
  await redactor.keepUp()
}

/**
 * The authority whose key this node has: now, in the genesis if its key has changed since, or as it was revoked. Without any the
 * key is lost, and this is the node of the one authority that a recovery key brings back. Throws `not_ready` if there are more.
 */
async function findAuthority(chain: Chain, keyOf: AuthorityKeys['keyOf']): Promise<string> {
  const active = chain.registry.activeOf('authority')
  const known = [...active, ...(await chain.registryBefore(0)).activeOf('authority')]
  for (const { id, public_key } of known) if ((await keyOf(public_key)) !== undefined) return id
  // Looked through only where it has to be: there may be many entries.
  const revoked = chain.registry.entries.filter(({ role, status }) => role === 'authority' && status === 'revoked')
  for (const { id, public_key } of revoked) if ((await keyOf(public_key)) !== undefined) return id
  const [lost, ...others] = active
  if (lost !== undefined && others.length === 0 && lost.recovery_key !== null) return lost.id
  throw ledgerError('not_ready', {
    reason: 'no key in the data directory, nor of its signer, is that of a registered authority',
  })
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
