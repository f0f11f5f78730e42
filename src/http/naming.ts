import type { Ledger } from '../ports/ledger.ts'
import { identifier, isJsonObject, refuse, type Shape } from '../protocol/shape.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import { rolesOnly, type Caller } from './access.ts'
import { documented, type Schema } from './schema.ts'

/** What says who the users of a pseudonymous ledger are. */
export type Naming = Pick<Ledger, 'privacy' | 'namesOf'>

type Names = Readonly<Record<string, string>>

const namesShape: Shape<Names> = (value, path) => {
  if (!isJsonObject(value)) return refuse(path, 'an object', value)
  return Object.fromEntries(Object.entries(value).map(([id, name]) => [id, identifier(name, `${path}.${id}`)]))
}
export const names: Schema<Names> = documented(
  namesShape,
  {
    type: 'object',
    additionalProperties: { type: 'string' },
    description: "pseudonymous ledgers, to platform and operator: the platform's ids by the pseudonyms that stand here",
  },
  { 'u-c1b2f40c9d3e4a6f8b7a5c4d3e2f1a0b': 'household-7' },
)

/** Who may know of every user who it is. */
const MAY_NAME = rolesOnly('platform', 'operator').roles

/**
 * The names of the parties of these, for who may know them. They stand beside the transactions, which are
 * shown as they are hashed.
 */
export async function namesFor(
  caller: Caller,
  naming: Naming | undefined,
  transactions: readonly ShownTransaction[],
): Promise<{ readonly names?: Names }> {
  if (naming?.privacy !== 'pseudonymous' || caller.kind !== 'role' || !MAY_NAME.includes(caller.role)) return {}
  const parties = transactions.flatMap((tx) => (tx.kind === 'trade' ? [tx.from_user_id, tx.to_user_id] : []))
  return { names: await naming.namesOf([...new Set(parties)]) }
}
