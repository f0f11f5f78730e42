import type { ShownTransaction } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'

/**
 * Which of these transactions concern a platform user: true at the index of each of which it is a party. A correction
 * belongs to the parties of its trade; of a block beside the chain the trade may be on its branch alone: whose it is, is not
 * known then.
 */
export async function ownOf(
  chain: Chain,
  transactions: readonly ShownTransaction[],
  user: string,
): Promise<readonly boolean[]> {
  const corrected = await chain.transactions(
    transactions.flatMap((tx) => (tx.kind === 'correction' ? [tx.corrects] : [])),
  )
  return transactions.map((tx) => isOf(tx.kind === 'correction' ? corrected.get(tx.corrects) : tx, user))
}

/** True if a platform user is a party of a transaction; see `ownOf`. */
export const isParty = async (chain: Chain, tx: ShownTransaction, user: string): Promise<boolean> =>
  (await ownOf(chain, [tx], user))[0] === true

const isOf = (tx: ShownTransaction | undefined, user: string): boolean =>
  tx?.kind === 'trade' && (tx.from_user_id === user || tx.to_user_id === user)
