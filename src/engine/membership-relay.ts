import { ledgerError } from '../ports/errors.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import type { NamedPeers } from '../ports/named-peers.ts'
import type { Membership } from '../protocol/membership.ts'
import { MEMBERSHIP_PATH, membershipAnswer, membershipParams } from '../protocol/messages.ts'
import { credentialCheck, type CredentialCheckParts } from './block-server.ts'

/** So many peers are asked for one device. */
const MAX_ASKED = 8
/** So many of them at the most are the same each time. */
const MAX_FIRST = 4

export interface MembershipRelayParts extends CredentialCheckParts {
  readonly ledger: Pick<ChainLedger, 'activeEntry' | 'userOf'>
  /** Who may see whose device it is that asks; without them nobody. */
  readonly namedPeers: Pick<NamedPeers, 'reached'> | undefined
}

/**
 * Answers `membership` where the users of the platform are not known: the request is passed on to authorities that this node
 * is connected to, so that a device needs no connection to one of its own. Its credential is for this node, and the
 * authority takes it from this node alone; what was passed on once is not passed on again. Anybody may be connected: what is
 * no certificate that counts, or none that is newer than what the device has, is no answer. The certificate that the device
 * has says whose it is, so only peers that the operator has named are shown it: who has issued one shows nothing by that,
 * since any device gets one of its own, which a peer can give back here.
 */
export function passOnMembership(parts: MembershipRelayParts): void {
  const { ledger, requests, namedPeers } = parts
  const check = credentialCheck(parts)
  let issuedBy: string | undefined
  let turn = 0

  const isNamed = (peer: string): boolean => [...(namedPeers?.reached().values() ?? [])].includes(peer)

  /** Who issued one last and who is named, then others; from one request to the next all come up. */
  function peersToAsk(from: string): readonly string[] {
    const peers = requests.peers().filter((peer) => peer !== from)
    const issuers = peers.filter((peer) => peer === issuedBy)
    const first = [...new Set([...issuers, ...peers.filter(isNamed)])].slice(0, MAX_FIRST)
    const others = peers.filter((peer) => !first.includes(peer))
    turn = others.length === 0 ? 0 : (turn + MAX_ASKED - first.length) % others.length
    return [...first, ...others.slice(turn), ...others.slice(0, turn)].slice(0, MAX_ASKED)
  }

  async function askFor(peer: string, params: ReturnType<typeof membershipParams>): Promise<Membership> {
    const { credential, membership: held } = params
    const { voter_id } = credential
    const isShown = isNamed(peer)
    const answer = await requests.request(peer, 'membership', isShown ? params : { credential })
    const { membership } = membershipAnswer(answer, 'membership')
    await ledger.userOf(voter_id, membership)
    const refused = (reason: string) => ledgerError('no_membership', { voter_id, reason: `${peer} ${reason}` })
    if (membership.issued_at <= (held?.issued_at ?? -1))
      throw refused('gives back the one that it has, or an older one')
    // An authority that has lost its users says so of a voter of the genesis, unless it is shown whose device that is.
    const isOwnUser = membership.user_id === voter_id
    if (!isShown && isOwnUser && held !== undefined && held.user_id !== voter_id)
      throw refused('knows no user of it any more')
    issuedBy = peer
    return membership
  }

  requests.serve('membership', async (given, from) => {
    const params = membershipParams(given, 'membership')
    check(params.credential, MEMBERSHIP_PATH, { from, to: requests.id }).useUp()
    const asked = peersToAsk(from)
    try {
      return { membership: await Promise.any(asked.map((peer) => askFor(peer, params))) }
    } catch (error) {
      const failures: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
      const words = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)))
      const reason = `no authority that this node is connected to has certified it (${words.join('; ')})`
      throw ledgerError('no_membership', { voter_id: params.credential.voter_id, reason })
    }
  })
}
