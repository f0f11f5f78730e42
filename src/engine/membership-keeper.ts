import { steadyNow, type Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { verifyMembership, type Membership } from '../protocol/membership.ts'
import { MEMBERSHIP_PATH, membershipAnswer } from '../protocol/messages.ts'
import { Registry, type RegistryEntry } from '../protocol/registry.ts'
import { timeWords } from '../protocol/time-words.ts'
import type { CredentialSigner } from './credential-signer.ts'
import type { Identity } from './own-trades.ts'
import type { LightFollower } from './light-follower.ts'
import { askForAuthority } from './light-signers.ts'

export interface MembershipKeeperParts {
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly store: Pick<LightStore, 'membership' | 'putMembership'>
  readonly follower: Pick<LightFollower, 'head'>
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly logger: Logger
  /** Signs for the device alone, without a certificate. */
  readonly signAs: (identity: Identity) => CredentialSigner
}

/**
 * Keeps the certificate of whose device this node is: nodes that do not know the platform's users show trades to who has one.
 * It is renewed long before it expires, so that the authority may be away for as long as two thirds of its life.
 */
export interface MembershipKeeper {
  /**
   * The certificate to show: fetched where there is none that counts, and renewed in the background where it is time.
   * `undefined` if nobody issues one. Never rejects.
   */
  of(identity: Identity): Promise<Membership | undefined>
  /** The user whose device this is; null while nobody has said it. */
  user(): string | null
  /** Waits for what is under way. */
  stop(): Promise<void>
}

/** A peer that issued none is asked again after this time; and while one counts, there is more of it. */
const ASK_AGAIN_MS = 10_000
const RENEW_AGAIN_MS = 10 * 60_000

export function createMembershipKeeper(parts: MembershipKeeperParts): MembershipKeeper {
  const { genesis, chainId, store, follower, requests, clock, logger, signAs } = parts
  let held: Membership | undefined
  let issuedUnder: Hash | null | undefined
  let stored: Promise<void> | undefined
  let fetching: Promise<void> | undefined
  const askedAt = new Map<string, number>()
  const stopListening = requests.onConnect((peer) => askedAt.delete(peer))
  let saidMissing = false

  /** A later life goes on with what an earlier one was given. */
  function load(): Promise<void> {
    stored ??= store.membership().then((found) => {
      held ??= found
    })
    return stored
  }

  const counts = ({ id }: Identity): boolean =>
    held?.chain_id === chainId && held.voter_id === id && clock.now() < held.expires_at

  function isDue(identity: Identity): boolean {
    if (held === undefined || !counts(identity)) return true
    return clock.now() >= held.issued_at + (held.expires_at - held.issued_at) / 3 || hasOtherRegistry()
  }

  /**
   * The registry is another than when it was issued, or that is not known: its issuer may have another key. Where that came
   * by a recovery nobody takes the one before.
   */
  const hasOtherRegistry = (): boolean => registryNow() !== issuedUnder
  const registryNow = (): Hash | null => follower.head.anchor?.header.registry_root ?? null

  const verify = (membership: Membership, { id }: Identity, { public_key }: RegistryEntry) =>
    verifyMembership(membership, { chainId, voterId: id }, [{ public_key, until: null }], clock.now())

  /** One that a peer gives, if an authority of this chain has signed it. */
  async function askFor(peer: string, identity: Identity): Promise<Membership> {
    const { credential } = await signAs(identity)(peer, MEMBERSHIP_PATH)
    const known = held !== undefined && counts(identity) ? { membership: held } : {}
    const answer = await requests.request(peer, 'membership', { credential, ...known })
    const { membership } = membershipAnswer(answer, 'membership')
    const refused = (code: string, reason: string) =>
      ledgerError('peer_refused', { peer, request: 'membership', code, reason })
    const { anchor } = follower.head
    const issuer =
      anchor === null
        ? Registry.fromGenesis(genesis).active(membership.issuer, 'authority')
        : await askForAuthority(requests, peer, membership.issuer, anchor.header)
    if (issuer === undefined) throw refused('unknown_issuer', `${membership.issuer} is no proven authority`)
    const verdict = verify(membership, identity, issuer)
    if (!verdict.ok) throw refused(verdict.code, verdict.reason)
    // Who is asked is shown the one that counts, and may give it back: that renews nothing.
    if (held !== undefined && counts(identity) && membership.issued_at <= held.issued_at)
      throw refused('not_renewed', `it was issued at ${timeWords(membership.issued_at)}, as the present one or before`)
    return membership
  }

  async function fetch(identity: Identity): Promise<void> {
    const now = steadyNow(clock)
    const waitMs = counts(identity) ? RENEW_AGAIN_MS : ASK_AGAIN_MS
    const peers = requests.peers().filter((peer) => now - (askedAt.get(peer) ?? -Infinity) >= waitMs)
    if (peers.length === 0) return
    for (const peer of peers) askedAt.set(peer, now)
    try {
      const found = await Promise.any(peers.map((peer) => askFor(peer, identity)))
      await store.putMembership(found)
      noteFound(found)
    } catch (error) {
      noteMissing(identity, error)
    }
  }

  function noteFound(found: Membership): void {
    const { user_id, expires_at } = found
    if (held?.user_id !== user_id || saidMissing) {
      logger.info(
        { user_id, expires_at },
        `this is a device of the user ${user_id}, certified until ${timeWords(expires_at)}`,
      )
    }
    saidMissing = false
    held = found
    issuedUnder = registryNow()
    askedAt.clear()
  }

  function noteMissing(identity: Identity, error: unknown): void {
    const failures: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
    const reasons = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)))
    if (counts(identity) || saidMissing) {
      logger.debug({ reasons }, 'no new membership certificate')
      return
    }
    saidMissing = true
    const advice = 'validators show no trades without one: an authority issues it, to this node or through a validator'
    logger.warn({ reasons }, `no membership certificate for ${identity.id}; ${advice} (${reasons.join('; ')})`)
  }

  function renew(identity: Identity): Promise<void> {
    fetching ??= load()
      .then(() => (isDue(identity) ? fetch(identity) : undefined))
      .catch((error: unknown) => logger.debug({ error }, 'the membership certificate could not be read'))
      .finally(() => (fetching = undefined))
    return fetching
  }

  return {
    async of(identity) {
      const renewed = renew(identity)
      if (!counts(identity) || hasOtherRegistry()) await renewed
      return counts(identity) ? held : undefined
    },
    user: () => held?.user_id ?? null,
    async stop() {
      stopListening()
      await fetching
    },
  }
}
