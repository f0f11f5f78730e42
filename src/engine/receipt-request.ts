import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { receiptPath, type ProofAnswer } from '../protocol/messages.ts'
import type { Receipt } from '../protocol/receipt.ts'
import { verifyReceipt } from '../protocol/receipt-verify.ts'
import { hashTransaction } from '../protocol/transaction.ts'
import type { Identity, OwnTradesParts } from './own-trades.ts'

/** How one may have a receipt: as a party of the trade, or by the token of a role, which is given to one peer alone. */
export type ReceiptAccess = Identity | TokenOf
interface TokenOf {
  readonly token: string
  /** Id of the peer whose token it is. */
  readonly of: string
}

/** A receipt that holds, as a peer gave it. */
export interface CheckedReceipt {
  readonly receipt: Receipt
  readonly status: 'final' | 'sealed'
}

export interface ReceiptRequestParts extends Pick<OwnTradesParts, 'signAs'> {
  readonly chainId: Hash
  readonly requests: PeerRequests
}

/**
 * Fetches the receipt of a proved transaction from a peer and checks it as anybody later will. Throws `peer_refused`, also
 * for a receipt that does not hold or is another's.
 */
export async function fetchReceipt(
  parts: ReceiptRequestParts,
  peer: string,
  proof: ProofAnswer,
  txId: string,
  by: ReceiptAccess,
): Promise<CheckedReceipt> {
  const { chainId, requests } = parts
  const access = 'token' in by ? tokenFor(peer, by) : await parts.signAs(by)(peer, receiptPath(txId))
  const verdict = verifyReceipt(await requests.request(peer, 'receipt', { tx_id: txId, ...access }), chainId)
  const refused = (code: string, reason: string) =>
    ledgerError('peer_refused', { peer, request: 'receipt', code, reason })
  if (!verdict.ok) throw refused(verdict.code, verdict.reason)
  const found = hashTransaction(verdict.receipt.transaction)
  if (found !== proof.tx_hash) throw refused('wrong_transaction', `the receipt is of ${found}, not of ${proof.tx_hash}`)
  return { receipt: verdict.receipt, status: verdict.status }
}

/** A token opens all that its role may see to whoever has it. Throws `forbidden`. */
function tokenFor(peer: string, { token, of }: TokenOf): { readonly token: string } {
  if (peer === of) return { token }
  throw ledgerError('forbidden', { reason: `the proof is from ${peer}, and the token is for ${of} alone` })
}
