import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { bytesToHex, type Hash } from '../protocol/bytes.ts'
import { receiptPath, type ProofAnswer } from '../protocol/messages.ts'
import type { Receipt } from '../protocol/receipt.ts'
import { verifyReceipt } from '../protocol/receipt-verify.ts'
import { signRequest } from '../protocol/request.ts'
import { hashTransaction } from '../protocol/transaction.ts'
import type { Identity } from './own-trades.ts'

/** How one may have a receipt: as a party of the trade, or by the token of a role. */
export type ReceiptAccess = Identity | { readonly token: string }

/** A receipt that holds, as a peer gave it. */
export interface CheckedReceipt {
  readonly receipt: Receipt
  readonly status: 'final' | 'sealed'
}

export interface ReceiptRequestParts {
  readonly chainId: Hash
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly randomBytes: RandomBytes
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
  const access = 'token' in by ? { token: by.token } : { credential: signFor(parts, txId, by) }
  const verdict = verifyReceipt(await requests.request(peer, 'receipt', { tx_id: txId, ...access }), chainId)
  const refused = (code: string, reason: string) =>
    ledgerError('peer_refused', { peer, request: 'receipt', code, reason })
  if (!verdict.ok) throw refused(verdict.code, verdict.reason)
  const found = hashTransaction(verdict.receipt.transaction)
  if (found !== proof.tx_hash) throw refused('wrong_transaction', `the receipt is of ${found}, not of ${proof.tx_hash}`)
  return { receipt: verdict.receipt, status: verdict.status }
}

function signFor({ chainId, clock, randomBytes }: ReceiptRequestParts, txId: string, { id, key }: Identity) {
  const path = receiptPath(txId)
  const request = { method: 'P2P', path, timestamp: clock.now(), id: bytesToHex(randomBytes(16)) } as const
  return signRequest(id, chainId, request, key)
}
