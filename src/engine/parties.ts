import { isSolarError } from '../protocol/errors.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'

/**
 * True if a platform user is a party of a transaction. A correction belongs to the parties of its trade; of a block beside the
 * chain the trade may be on its branch alone: whose it is, is not known then.
 */
export async function isParty(chain: Chain, tx: ShownTransaction, user: string): Promise<boolean> {
  switch (tx.kind) {
    case 'trade':
      return tx.from_user_id === user || tx.to_user_id === user
    case 'correction': {
      const corrected = await chain.transaction(tx.corrects).catch(nothingIfUnknown)
      return corrected !== undefined && (await isParty(chain, corrected, user))
    }
    case 'registry':
    case 'redacted':
      return false
  }
}

function nothingIfUnknown(error: unknown): undefined {
  if (!isSolarError(error, 'unknown_transaction')) throw error
}
