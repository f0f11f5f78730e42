import { createCredentialSigner } from '../engine/credential-signer.ts'
import { replicaAcks } from '../engine/branch-acks.ts'
import { Chain } from '../engine/chain.ts'
import { createEventHub, type EventHub } from '../engine/events.ts'
import { openEvidencePool } from '../engine/evidence-pool.ts'
import { openFinalizer, type Finalizer } from '../engine/finalizer.ts'
import { fullSignerBefore } from '../engine/full-node-evidence.ts'
import { serveFullNodePeers, type FullNodePeersParts } from '../engine/full-node-peers.ts'
import { askForOwnId } from '../engine/identity.ts'
import { ownPlace } from '../engine/own-place.ts'
import { passOnMembership } from '../engine/membership-relay.ts'
import { passingOn } from '../engine/vote-passing.ts'
import { createReplicaRedactor } from '../engine/redactor.ts'
import { createValidatorLedger } from '../engine/validator-ledger.ts'
import { createValidator, type Validator } from '../engine/validator.ts'
import { createWitness } from '../engine/witness.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { SignatureChecks } from '../ports/signature-checks.ts'
import type { NamedPeers } from '../ports/named-peers.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Redactor } from '../ports/retention.ts'
import type { Witness } from '../ports/witness.ts'
import { cosignerName } from '../protocol/checkpoint.ts'
import type { Genesis } from '../protocol/genesis.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Vote } from '../protocol/vote.ts'
import { registrationWords, type Registration } from './registration-watch.ts'
import type { ReplicaStore } from '../storage/level/replica-store.ts'

export interface ValidatorEngineParts {
  readonly genesis: Genesis
  readonly store: ReplicaStore
  /** The one that a genesis or an enrolment registers with the role validator. */
  readonly key: SigningKey
  /** What the signer of the key has acked last, if it is in one. */
  readonly signedBefore?: Vote | null | undefined
  readonly allowedChanges: readonly string[] | 'all'
  readonly gossip: Gossip
  readonly requests: PeerRequests
  /** Those that the operator has named; without them any peer is as good as another. */
  readonly namedPeers?: NamedPeers | undefined
  /** How many of them must have said what the key has acked before, if the operator has said so. */
  readonly recallPeers?: number | undefined
  readonly roleOfToken: FullNodePeersParts['roleOfToken']
  readonly signatures: SignatureChecks
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly logger: Logger
}

/** What checks, co-signs and answers, over a store that is open; nothing of it has begun. */
export interface ValidatorEngine {
  readonly chain: Chain
  readonly events: EventHub
  readonly finalizer: Finalizer
  readonly validator: Validator
  readonly ledger: ChainLedger
  readonly redactor: Redactor
  readonly witness: Witness
  /** Of its key, as of the tip. */
  readonly registration: () => Registration
  /** The id under which the key is registered at the tip. */
  readonly registeredId: () => string | undefined
}

/** Names a key that no registry has: it is given nothing. */
const UNREGISTERED = 'unregistered'
/** A half-open connection is found by asking. */
const POLL_MS = 15_000

/** Why a validator is given nothing and co-signs nothing; `undefined` while its key is registered. */
export const unregisteredWords = (registration: Registration): string | undefined =>
  registration.state === 'registered' ? undefined : registrationWords(registration, "this validator's key", 'validator')

/** Puts the engine of a validator together. Throws `wrong_chain` if the store holds another chain. */
export async function assembleValidator(parts: ValidatorEngineParts): Promise<ValidatorEngine> {
  const { genesis, store, key, allowedChanges, gossip, requests, roleOfToken, clock, randomBytes, logger } = parts
  const chain = await Chain.open(genesis, store.chain)
  const { chainId } = chain
  const events = createEventHub(logger)
  const finalizer = await openFinalizer({ chain, store: store.finality, events, clock })
  const evidence = await openEvidencePool({
    genesis,
    chainId,
    store: store.evidence,
    gossip,
    logger,
    signatures: parts.signatures,
    signerBefore: (id, height) => fullSignerBefore(chain, id, height),
    onEvidence: (found) => events.emit({ type: 'evidence', evidence: found }),
  })
  const registration = (): Registration => {
    const entry = chain.registry.holder(key.publicKey)
    const state = entry === undefined ? 'unregistered' : entry.status === 'active' ? 'registered' : 'revoked'
    return { state, id: entry?.id ?? null, public_key: key.publicKey }
  }
  const registeredId = (): string | undefined => registration().id ?? undefined
  const lastId = (): string | undefined => ownPlace(chain, key.publicKey, finalizer.finalHeight)?.entry.id
  const sign = createCredentialSigner({
    chainId,
    requests,
    // The block that enrolled this key may be one that it has yet to take; one that took it away is to be acked.
    voterId: async () => registeredId() ?? lastId() ?? (await askForOwnId(requests, key.publicKey)) ?? UNREGISTERED,
    key: () => Promise.resolve(key),
    clock,
    randomBytes,
  })
  const shared = { chain, finalizer, evidence, events, clock, logger }
  const validator = createValidator({
    ...shared,
    store: store.chain,
    finalityStore: store.finality,
    voterStore: store.voter,
    gossip,
    requests,
    key,
    signedBefore: parts.signedBefore,
    sign,
    allowedChanges,
    explainRefusal: (code) => (code === 'unknown_voter' ? unregisteredWords(registration()) : undefined),
    pollMs: POLL_MS,
    signatures: parts.signatures,
    namedPeers: parts.namedPeers,
    recallPeers: parts.recallPeers,
  })
  const acks = replicaAcks(store.chain, store.finality)
  const ledger = createValidatorLedger({
    ...shared,
    store: store.finality,
    acks,
    votes: passingOn(validator.votes, gossip, logger),
    finalizedAt: (height) => store.finalizedAt(height),
  })
  serveFullNodePeers({
    ...shared,
    mode: 'validator',
    ledger,
    votes: validator.votes,
    findBeside: (hash) => validator.find(hash),
    acks,
    gossip,
    requests,
    roleOfToken,
    onHeader: (sealed, from) => validator.onHeader(sealed, from),
  })
  passOnMembership({ chain, ledger, requests, clock, namedPeers: parts.namedPeers })
  const redactor = createReplicaRedactor({ ...shared, blocks: store.chain })
  const witness = createWitness({
    name: () => cosignerName(genesis.origin, registeredId() ?? UNREGISTERED),
    key,
    store: store.witness,
    logKeys: (origin) =>
      origin === genesis.origin ? chain.registry.activeOf('authority').map(({ public_key }) => public_key) : undefined,
    clock,
    logger,
  })
  return { chain, events, finalizer, validator, ledger, redactor, witness, registration, registeredId }
}
