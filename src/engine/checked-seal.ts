import type { PeerRequests } from '../ports/peer-requests.ts'
import { CHECKED_IN_PLACE, type SignatureChecks } from '../ports/signature-checks.ts'
import type { Verdict } from '../protocol/errors.ts'
import { verifySeal, type SealedHeader } from '../protocol/header.ts'
import { registryAnswer, type ProvenRecovery } from '../protocol/messages.ts'

/** Checks the link and the seal of a header; `recovery`: what its block begins with, if a peer shows that. */
export type VerifySealed = (sealed: SealedHeader, recovery?: ProvenRecovery) => Verdict

/**
 * Checks a header that a peer shows before anything is asked for, and signed, about it. No key that is known seals a block
 * that begins with the recovery of its sealer: the peer is asked for that then. Never throws.
 */
export async function checkSeal(
  requests: PeerRequests,
  peer: string,
  sealed: SealedHeader,
  verify: VerifySealed,
): Promise<Verdict> {
  const verdict = verify(sealed)
  if (verdict.ok || (verdict.code !== 'bad_seal' && verdict.code !== 'unknown_sealer')) return verdict
  const { miner_id: id, height: at_height } = sealed.header
  try {
    const { recovery } = registryAnswer(await requests.request(peer, 'registry', { id, at_height }), 'registry')
    return recovery === undefined ? verdict : verify(sealed, recovery)
  } catch {
    return verdict
  }
}

/** True if this key has sealed the header; the signature is checked where the node checks those of strangers. */
export async function hasSeal(
  sealed: SealedHeader,
  publicKey: string,
  signatures: SignatureChecks = CHECKED_IN_PLACE,
): Promise<boolean> {
  const { header, signature } = sealed
  await signatures.settle({ type: 'header', chainId: header.chain_id, body: header, signature, publicKey })
  return verifySeal(sealed, publicKey).ok
}
