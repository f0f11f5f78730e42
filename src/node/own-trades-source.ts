import { configError } from '../config/errors.ts'
import type { DatabaseConfig } from '../config/types.ts'
import type { LightStore } from '../ports/light-store.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { Correction, ShownTransaction, Trade } from '../protocol/transaction.ts'
import { nodeError } from './errors.ts'
import { modeOf, withStoppedLight, withStoppedStores } from './stopped-stores.ts'

/** A range of time, Unix milliseconds: from inclusive, to exclusive. */
export interface TimeRange {
  readonly from: number
  readonly to: number
}

/** A transaction as a source shows it. */
export interface SourcedTransaction {
  readonly transaction: ShownTransaction
  readonly tx_hash: string
  /** null until sealed. */
  readonly height: number | null
}

/** Transactions by time, page by page, as often as they are asked for: those of the user, perhaps with some of others. */
export interface OwnTradesSource {
  /**
   * Whose trades were asked for, as the chain calls the user; a light node may have been asked for nobody.
   */
  readonly user: string | undefined
  readonly currency: string
  /** What is not to be expected of this source; null if it has all. */
  readonly caveat: string | null
  pages(range: TimeRange): AsyncIterable<readonly SourcedTransaction[]>
}

const PAGE = 1_000
const AT_THE_AUTHORITY = 'solar-node trades USER --to-url URL --token-file FILE'
const CAVEAT =
  'these are the trades that this light node has proved itself; it has none of blocks that it was away for: ' +
  `whoever runs the authority lists all (${AT_THE_AUTHORITY})`

/**
 * Holds the data directory of an authority or a light node that is stopped for as long as `work` takes. Throws
 * `data_directory_in_use` while its node runs, `config_conflict` where there is none, `data_directory_unusable` for that of a
 * validator, `store_failed` and `corrupt` with what to do, and what `work` throws.
 *
 * @param user whose trades; a light node has those of its own household only
 */
export async function withStoredTrades<T>(
  data: string,
  database: DatabaseConfig,
  user: string | undefined,
  work: (source: OwnTradesSource) => Promise<T>,
): Promise<T> {
  try {
    switch (await modeOf(data)) {
      case 'light':
        return await withStoppedLight(data, async ({ genesis: { currency }, store }) =>
          work({ user, currency, caveat: CAVEAT, pages: pagesOf(await provedTrades(store)) }),
        )
      case 'authority':
        if (user !== undefined) return await ofAuthority(data, database, user, work)
        throw configError('config_conflict', {
          reason: `user: the authority of ${data} has the trades of all, expected whose to list, such as home-3`,
        })
      case 'validator': {
        const reason = `it belongs to a validator, which has no list by user: take that of an authority or a household, or ${AT_THE_AUTHORITY}`
        throw nodeError('data_directory_unusable', { directory: data, reason })
      }
    }
  } catch (error) {
    if (!isSolarError(error, 'data_directory_in_use')) throw error
    const advice = `stop that node first (it goes on where it was), or ask the authority while it runs: ${AT_THE_AUTHORITY}`
    throw nodeError(
      'data_directory_in_use',
      { ...(error.fields as { directory: string; holder: string }), advice },
      error,
    )
  }
}

/** All that a household has proved, by time. LevelDB has it by id; what it takes to list it is held, without the proofs. */
async function provedTrades(store: LightStore): Promise<readonly ProvedTrade[]> {
  const all: ProvedTrade[] = []
  for (let after: string | undefined = ''; after !== undefined;) {
    const page = await store.trades(after, PAGE)
    for (const { transaction, tx_hash, sealed } of page) {
      if (transaction.kind !== 'registry') all.push({ transaction, tx_hash, height: sealed.header.height })
    }
    after = page.length < PAGE ? undefined : page.at(-1)?.transaction.id
  }
  return all.sort((a, b) => a.transaction.timestamp - b.transaction.timestamp)
}

interface ProvedTrade extends SourcedTransaction {
  readonly transaction: Trade | Correction
}

const pagesOf = (all: readonly ProvedTrade[]): OwnTradesSource['pages'] =>
  async function* ({ from, to }) {
    yield await Promise.resolve(all.filter(({ transaction: { timestamp } }) => timestamp >= from && timestamp < to))
  }

function ofAuthority<T>(
  data: string,
  database: DatabaseConfig,
  userId: string,
  work: (source: OwnTradesSource) => Promise<T>,
): Promise<T> {
  return withStoppedStores('trades', data, database, async ({ genesis: { currency }, store }) => {
    const user_id = (await store.pseudonymOfUser(userId)) ?? userId
    return await work({
      user: user_id,
      currency,
      caveat: null,
      async *pages(range) {
        let after: string | null | undefined
        do {
          const page = await store.transactions({ user_id, ...range, limit: PAGE, ...(after != null && { after }) })
          yield page.transactions
          after = page.next
        } while (after !== null)
      },
    })
  })
}
