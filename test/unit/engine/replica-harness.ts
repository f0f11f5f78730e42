import assert from 'node:assert/strict'
import { join } from 'node:path'
import { createCredentialSigner } from '../../../src/engine/credential-signer.ts'
import { serveMembership } from '../../../src/engine/block-server.ts'
import { replicaAcks } from '../../../src/engine/branch-acks.ts'
import { Chain } from '../../../src/engine/chain.ts'
import { openEvidencePool, type EvidencePool } from '../../../src/engine/evidence-pool.ts'
import { createEventHub, type EventHub } from '../../../src/engine/events.ts'
import { openFinalizer, type Finalizer } from '../../../src/engine/finalizer.ts'
import { fullSignerBefore } from '../../../src/engine/full-node-evidence.ts'
import { serveFullNodePeers } from '../../../src/engine/full-node-peers.ts'
import { createReplicaSync } from '../../../src/engine/replica-sync.ts'
import { Replica } from '../../../src/engine/replica.ts'
import { createValidatorLedger } from '../../../src/engine/validator-ledger.ts'
import { createVoteCounter, type VoteCounter } from '../../../src/engine/vote-counter.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { FinalityStore } from '../../../src/ports/finality-store.ts'
import type { ChainLedger, LedgerEvent } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { PeerRequests } from '../../../src/ports/peer-requests.ts'
import type { Block } from '../../../src/protocol/block.ts'
import type { Hash } from '../../../src/protocol/bytes.ts'
import type { BlockPoint } from '../../../src/protocol/finality.ts'
import type { Membership } from '../../../src/protocol/membership.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import { openReplicaStore, type ReplicaStore } from '../../../src/storage/level/replica-store.ts'
import { namedKey, STREET_TIME, type Branch, type Street } from '../../helpers/branches.ts'
import { realClock } from '../../helpers/network.ts'
import { createTestGossip } from '../../helpers/peers.ts'
import { signMembership, type TestKey } from '../../helpers/sign-now.ts'
import { tempDir } from '../../helpers/temp.ts'

/** What every node of these tests says the time is. */
export const NOW = STREET_TIME + 3_600_000

/** A replica over a real LevelDB, with what counts votes and decides finality, and without a network. */
export interface TestReplica {
  readonly replica: Replica
  readonly chain: Chain
  readonly store: ReplicaStore
  readonly finalizer: Finalizer
  readonly evidence: EvidencePool
  readonly votes: VoteCounter
  readonly hub: EventHub
  readonly clock: Clock
  readonly events: readonly LedgerEvent[]
  readonly alarms: readonly string[]
  /** Every tip that the chain had, oldest first. */
  readonly tips: readonly BlockPoint[]
  /** Takes blocks in order, and says what became of the last: its outcome, or the code of its refusal. */
  accept(...blocks: readonly Block[]): Promise<string>
  /** Takes the blocks of a branch that are not here. */
  acceptAll(branch: Branch): Promise<string>
  /** Counts votes, then lets the replica choose anew. */
  cast(...votes: readonly Vote[]): Promise<void>
  /** The tip of the chain; height -1 on an empty one. */
  tip(): BlockPoint
}

/** A validator's answers from this replica. */
export function ledgerOf({ chain, store, votes, finalizer, evidence, hub, clock }: TestReplica): ChainLedger {
  return createValidatorLedger({
    chain,
    store: store.finality,
    acks: replicaAcks(store.chain, store.finality),
    votes,
    finalizer,
    evidence,
    events: hub,
    clock,
    finalizedAt: (height) => store.finalizedAt(height),
  })
}

/** Lets peers ask this replica as they ask a validator; as an authority does, it knows each device to be of the user of its name. */
export function serveReplica(node: TestReplica, requests: PeerRequests): void {
  const { chain, store, votes, finalizer, evidence, clock } = node
  serveFullNodePeers({
    mode: 'validator',
    chain,
    ledger: { ...ledgerOf(node), userOf: (id) => Promise.resolve(id) },
    votes,
    finalizer,
    findBeside: (hash) => node.replica.find(hash),
    acks: replicaAcks(store.chain, store.finality),
    evidence,
    gossip: createTestGossip(),
    requests,
    clock,
    logger: silentLogger,
    roleOfToken: () => Promise.resolve(undefined),
    onHeader: () => Promise.resolve('ignore'),
  })
  serveNamesakes(node, requests)
}

/** Takes what a peer has; blocks are asked for as `v1` with this key. Fails at an alarm. */
export async function syncReplica(
  { chain, store, replica, votes, finalizer, clock }: TestReplica,
  requests: PeerRequests,
  peer: string,
  key: TestKey = namedKey('v1'),
): Promise<void> {
  const sign = createCredentialSigner({
    chainId: chain.chainId,
    requests,
    voterId: () => 'v1',
    key: () => Promise.resolve(key),
    clock,
    randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
  })
  const sync = createReplicaSync({
    chain,
    store: store.chain,
    votes: store.finality,
    replica,
    counter: votes,
    finalizer,
    requests,
    clock,
    logger: silentLogger,
    sign,
    onAlarm: (code, reason) => assert.fail(`${code}: ${reason}`),
  })
  await sync.syncWith(peer)
}

/** Lets peers ask it for certificates too, as an authority to which each device is of the user of its name. */
function serveNamesakes({ chain, clock }: TestReplica, requests: PeerRequests): void {
  serveMembership({
    ...{ chain, requests, clock },
    ledger: {
      activeEntry: (id) => chain.registry.active(id),
      membership: (id) => Promise.resolve(namesake(chain, id, clock.now())),
    },
  })
}

/** The certificate of a device of the user of its name. */
export function namesake({ chainId, registry }: Chain, id: string, issued_at: number): Membership {
  const keys = ['authority', 'authority 2', 'authority 3'].map(namedKey)
  const key =
    keys.find(({ publicKey }) => publicKey === registry.active('authority')?.public_key) ?? namedKey('authority')
  const body = { chain_id: chainId, voter_id: id, user_id: id, issued_at, expires_at: issued_at + 86_400_000 }
  return signMembership({ ...body, issuer: 'authority' }, key)
}

const watched = (votes: FinalityStore, onRead: (hash: Hash) => Promise<void>): FinalityStore => ({
  ...votes,
  async votesOf(hash) {
    const found = await votes.votesOf(hash)
    await onRead(hash)
    return found
  },
})

/** What opens replicas of one street in one folder, one at a time. */
export async function replicaFolder({ genesis, chainId }: Street) {
  const folder = await tempDir()
  let current: ReplicaStore | undefined

  /**
   * @param onVotesRead awaited after each look of the fork choice at the votes on a header
   * @param now what it says the time is
   */
  async function open(onVotesRead?: (hash: Hash) => Promise<void>, now = NOW): Promise<TestReplica> {
    await current?.close()
    const store = (current = await openReplicaStore(join(folder.path, 'level')))
    const clock = { ...realClock(), now: () => now }
    const chain = await Chain.open(genesis, store.chain)
    const hub = createEventHub(silentLogger)
    const events: LedgerEvent[] = []
    hub.subscribe((event) => events.push(event))
    const alarms: string[] = []
    const tips: BlockPoint[] = []
    const finalizer = await openFinalizer({ chain, store: store.finality, events: hub, clock })
    const evidence = await openEvidencePool({
      genesis,
      chainId,
      store: store.evidence,
      gossip: createTestGossip(),
      logger: silentLogger,
      signerBefore: (id, height) => fullSignerBefore(chain, id, height),
      onEvidence: (found) => hub.emit({ type: 'evidence', evidence: found }),
    })
    const shared = { chain, finalizer, evidence, clock, logger: silentLogger }
    const replica = new Replica({
      ...shared,
      store: store.chain,
      votes: onVotesRead === undefined ? store.finality : watched(store.finality, onVotesRead),
      onTip: ({ hash, header }) => tips.push({ hash, height: header.height }),
      onAlarm: (code) => alarms.push(code),
    })
    const find = (hash: string) => replica.find(hash)
    const votes = createVoteCounter({ ...shared, chainId, find, store: store.finality, events: hub })

    async function accept(...blocks: readonly Block[]): Promise<string> {
      let last = 'nothing'
      for (const block of blocks) {
        const accepted = await replica.accept(block)
        last = typeof accepted === 'object' ? accepted.refused : accepted
      }
      return last
    }
    return {
      replica,
      chain,
      store,
      finalizer,
      evidence,
      votes,
      hub,
      clock,
      events,
      alarms,
      tips,
      accept,
      acceptAll: ({ blocks }) => accept(...blocks),
      async cast(...cast) {
        await Promise.all(cast.map((vote) => votes.cast(vote)))
        await replica.reconsider()
      },
      tip: () => ({ hash: chain.tip?.hash ?? chainId, height: chain.size - 1 }),
    }
  }

  return {
    open,
    async remove(): Promise<void> {
      await current?.close()
      await folder.remove()
    },
  }
}
