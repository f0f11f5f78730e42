import type { ShownTransaction } from '../../src/protocol/transaction.ts'

/** The id of a transaction; the hash of one that was redacted. */
export const idOf = (tx: ShownTransaction): string => (tx.kind === 'redacted' ? tx.tx_hash : tx.id)
