import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { bytesToHex, type Hash } from '../protocol/bytes.ts'
import type { Membership } from '../protocol/membership.ts'
import { signRequest, type PeerCredential } from '../protocol/request.ts'
import type { SigningKey } from '../protocol/signature.ts'

/** Who asks: what goes along with a request that is not for everybody. */
export interface SignedAccess {
  readonly credential: PeerCredential
  /** Of a household: whose device it is. */
  readonly membership?: Membership
}

/**
 * Signs, for one peer, what it is asked for over libp2p: `path` is that of `blockPath`. About a header only of which the
 * seal was checked: nobody gets a signature for what he has made up.
 */
export type CredentialSigner = (peer: string, path: string) => Promise<SignedAccess>

/** Signs requests as who is registered at the time of asking. */
export function createCredentialSigner(parts: {
  readonly chainId: Hash
  readonly requests: Pick<PeerRequests, 'id'>
  /** The id under which the key is registered now. */
  readonly voterId: () => string | Promise<string>
  readonly key: () => Promise<SigningKey>
  /** Of a household: its certificate, if it has one. */
  readonly membership?: () => Promise<Membership | undefined>
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}): CredentialSigner {
  return async (peer, path) => {
    const membership = await parts.membership?.()
    const request = {
      method: 'P2P',
      path,
      timestamp: parts.clock.now(),
      id: bytesToHex(parts.randomBytes(16)),
      from: parts.requests.id,
      to: peer,
    } as const
    const credential = await signRequest(await parts.voterId(), parts.chainId, request, await parts.key())
    return { credential, ...(membership !== undefined && { membership }) }
  }
}
