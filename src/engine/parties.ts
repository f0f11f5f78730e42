import type { ChainStore } from '../ports/chain-store.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'
import { transactionsById } from './transaction-reads.ts'

/**
 * The platform users that each of these transactions concerns. A correction belongs to the parties of its trade, an earlier one
 * of the chain; of a block beside the chain the trade may be on its branch alone: whose it is, is not known then.
 *
 * @param size the blocks of the chain below this height have the trades
 */
export async function partiesOf(
  store: Pick<ChainStore, 'transactions' | 'places'>,
  transactions: readonly ShownTransaction[],
  size: number,
): Promise<readonly (readonly string[])[]> {
  const ids = transactions.flatMap((tx) => (tx.kind === 'correction' ? [tx.corrects] : []))
  const corrected = ids.length === 0 ? NONE : await transactionsById(store, ids, size)
  return transactions.map((tx) => {
    const trade = tx.kind === 'correction' ? corrected.get(tx.corrects) : tx
    return trade?.kind === 'trade' ? [trade.from_user_id, trade.to_user_id] : []
  })
}

const NONE: ReadonlyMap<string, ShownTransaction> = new Map()

/** True at the index of each of these transactions of which a platform user is a party; see `partiesOf`. */
export const ownOf = async (
  chain: Chain,
  transactions: readonly ShownTransaction[],
  user: string,
): Promise<readonly boolean[]> => (await chain.partiesOf(transactions)).map((parties) => parties.includes(user))

/** True if a platform user is a party of a transaction; see `partiesOf`. */
export const isParty = async (chain: Chain, tx: ShownTransaction, user: string): Promise<boolean> =>
  (await ownOf(chain, [tx], user))[0] === true
