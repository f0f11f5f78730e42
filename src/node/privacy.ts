import { configError } from '../config/errors.ts'
import { tellingWords } from '../config/load.ts'
import type { AuthorityConfig, ConfiguredKey } from '../config/types.ts'
import { createPseudonyms, type Pseudonyms } from '../engine/pseudonyms.ts'
import { createPseudonymSecret, readPseudonymSecret } from '../keys/pseudonym-secret.ts'
import type { NewKeyOptions } from '../keys/key-file.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { pseudonymCheck, tellsUser } from '../protocol/pseudonym.ts'
import { DATA_FILES, type DataDirectory } from './data-directory.ts'

/**
 * How users are called on the chain is settled once: what is sealed stays. The secret in the data directory
 * and a check of it in SQL say that a ledger is pseudonymous, and each is refused without the other.
 */
const SECRET = DATA_FILES.pseudonymSecret
const refused = (reason: string) => configError('config_conflict', { reason: `privacy: ${reason}` })

/**
 * The secret of a pseudonymous ledger, made where this start makes the chain; `undefined` for a plain one.
 * Durable before the chain is. Throws `config_conflict`, errors of keys.
 */
export async function ensurePseudonymSecret(
  directory: DataDirectory,
  { privacy }: Pick<AuthorityConfig, 'privacy'>,
  {
    makesChain,
    logger,
    ...options
  }: NewKeyOptions & { readonly makesChain: boolean; readonly logger?: Logger | undefined },
): Promise<Uint8Array | undefined> {
  const file = directory.file('pseudonymSecret')
  if (await directory.has('pseudonymSecret')) {
    if (privacy !== 'plain') return await readPseudonymSecret(file, options.passphrase)
    throw refused(`${file} says that this ledger is pseudonymous, and it stays so: start it without --privacy plain`)
  }
  if (privacy !== 'pseudonymous') return undefined
  if (makesChain) {
    logger?.warn({ file }, `keep a copy of ${SECRET} with the keys: without it nobody can go on with this ledger`)
    return await createPseudonymSecret(file, options)
  }
  throw refused(
    `there is a chain already, and no ${file}: if it is plain it stays plain, and a pseudonymous one takes a new data ` +
      `directory and database; if it was pseudonymous, put ${SECRET} back from a backup, or from the other authority`,
  )
}

/**
 * Ties a new database to the secret, for ever. To be called before the database is tied to the chain: so
 * one that is has its check. Throws `config_conflict` for a database of another secret, and where one of
 * the two is of a plain ledger.
 */
export async function bindSecret(
  store: Pick<MarketStore, 'chainId' | 'pseudonymCheck' | 'bindPseudonyms'>,
  secret: Uint8Array | undefined,
  chainId: Hash,
  directory: DataDirectory,
): Promise<void> {
  const file = directory.file('pseudonymSecret')
  const stored = await store.pseudonymCheck()
  if (secret === undefined) {
    if (stored === undefined) return
    throw refused(`the database is that of a pseudonymous ledger, and there is no ${file}: put it back from a backup`)
  }
  if (stored === undefined && (await store.chainId()) !== undefined) {
    throw refused(
      `the database is that of a plain ledger, and stays so, but there is ${file}: it belongs to another one`,
    )
  }
  const check = pseudonymCheck(secret, chainId)
  if ((stored ?? (await store.bindPseudonyms(check))) === check) return
  throw refused(
    `the pseudonyms in the database were made with another secret than ${file}: put back the one that belongs to this ` +
      'database, as with this one each user would become somebody else',
  )
}

/** What names users for a pseudonymous ledger. */
export const pseudonymsOf = (
  secret: Uint8Array | undefined,
  chainId: Hash,
  store: MarketStore,
): Pseudonyms | undefined => secret && createPseudonyms(secret, chainId, store)

/** The users that the setting `voters` names, as the chain calls them. */
export async function votersOnChain(
  voters: readonly ConfiguredKey[],
  pseudonyms: Pseudonyms | undefined,
): Promise<readonly ConfiguredKey[]> {
  if (pseudonyms === undefined) return voters
  const named: ConfiguredKey[] = []
  for (const voter of voters) {
    const { id, userId } = voter
    if (userId === undefined) continue
    if (tellsUser(id, userId)) throw refused(`voters: ${tellingWords(id)}`)
    named.push({ ...voter, userId: await pseudonyms.take(userId) })
  }
  return named
}

/**
 * A voter of the genesis of whom nobody says whose device it is would be its own user, by its id. Throws
 * `config_conflict`.
 */
export async function refuseNameless(store: Pick<MarketStore, 'users'>, { registry }: Genesis): Promise<void> {
  const users = await store.users()
  const nameless = registry.find(({ id, role }) => role === 'voter' && !users.has(id))
  if (nameless === undefined) return
  throw refused(`voters: expected a user_id for each voter of the genesis, ${nameless.id} has none`)
}
