import type { Transaction } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'

/** True if a platform user is a party of a transaction. A correction belongs to the parties of its trade. */
export async function isParty(chain: Chain, tx: Transaction, user: string): Promise<boolean> {
  switch (tx.kind) {
    case 'trade':
      return tx.from_user_id === user || tx.to_user_id === user
    case 'correction':
      return await isParty(chain, await chain.transaction(tx.corrects), user)
    case 'registry':
      return false
  }
}
