import { ledgerError } from '../ports/errors.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import type { Membership } from '../protocol/membership.ts'
import { MEMBERSHIP_PATH, membershipAnswer, membershipParams } from '../protocol/messages.ts'
import { credentialCheck, type CredentialCheckParts } from './block-server.ts'

/** So many peers are asked for one device. */
const MAX_ASKED = 8

/**
 * Answers `membership` where the users of the platform are not known: the request is passed on to authorities that this node
 * is connected to, so that a device needs no connection to one of its own. Its credential is for this node, and the
 * authority takes it from this node alone; what was passed on once is not passed on again. Anybody may be connected: what is
 * no certificate that counts, or none that is newer than what the device has, is no answer.
 */
export function passOnMembership(
  parts: CredentialCheckParts & { readonly ledger: Pick<ChainLedger, 'activeEntry' | 'userOf'> },
): void {
  const { ledger, requests } = parts
  const check = credentialCheck(parts)
  let issuedBy: string | undefined
  let turn = 0

  /** Who issued one last, then others; from one request to the next all come up. */
  function peersToAsk(from: string): readonly string[] {
    const peers = requests.peers().filter((peer) => peer !== from && peer !== issuedBy)
    turn = peers.length === 0 ? 0 : (turn + MAX_ASKED) % peers.length
    const others = [...peers.slice(turn), ...peers.slice(0, turn)]
    const first = issuedBy !== undefined && requests.peers().includes(issuedBy) ? [issuedBy] : []
    return [...first, ...others].slice(0, MAX_ASKED)
  }

  async function askFor(peer: string, params: ReturnType<typeof membershipParams>): Promise<Membership> {
    const { membership } = membershipAnswer(await requests.request(peer, 'membership', params), 'membership')
    const { voter_id } = params.credential
    await ledger.userOf(voter_id, membership)
    if (membership.issued_at <= (params.membership?.issued_at ?? -1))
      throw ledgerError('no_membership', {
        voter_id,
        reason: `${peer} gives back the one that it has, or an older one`,
      })
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
