import type { DatabaseConfig } from '../config/types.ts'
import { parseCanonicalText } from '../protocol/canonical-json.ts'
import { decodeGenesis } from '../protocol/genesis.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import { openLightStore } from '../storage/level/light-store.ts'
import { openDataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { withStoppedStores } from './stopped-stores.ts'

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

/** Transactions of one user by time, page by page, as often as they are asked for. */
export interface OwnTradesSource {
  readonly currency: string
  /** What is not to be expected of this source; null if it has all. */
  readonly caveat: string | null
  pages(range: TimeRange): AsyncIterable<readonly SourcedTransaction[]>
}

const PAGE = 1_000
const CAVEAT =
  'these are the trades that this light node has proved itself; it has none of blocks that it was away for: ' +
  'whoever runs the authority lists all (solar-node trades USER --to-url URL --token-file FILE)'

/**
 * Holds a data directory whose node is stopped, an authority's or a light node's, for as long as `work` takes. Throws
 * `data_directory_in_use`, `data_directory_incomplete`, and what `work` throws.
 *
 * @param user whose trades; a light node has those of its own household only
 */
export async function withStoredTrades<T>(
  data: string,
  database: DatabaseConfig,
  user: string | undefined,
  work: (source: OwnTradesSource) => Promise<T>,
): Promise<T> {
  const directory = await openDataDirectory(data)
  const isLight = await directory.has('voterKey')
  if (!isLight) {
    directory.close()
    return await ofAuthority(data, database, user ?? '', work)
  }
  try {
    const store = await openLightStore(directory.file('level'))
    try {
      const genesis = await store.genesis()
      if (genesis === undefined) {
        const advice = 'the light node has not joined a chain yet: start it first'
        throw nodeError('data_directory_incomplete', { directory: data, file: 'genesis', advice })
      }
      const { currency } = decodeGenesis(parseCanonicalText(genesis))
      const all: SourcedTransaction[] = []
      for (let after: string | undefined = ''; after !== undefined;) {
        const page = await store.trades(after, PAGE)
        all.push(...page.map((one) => ({ ...one, height: one.sealed.header.height })))
        after = page.length < PAGE ? undefined : page.at(-1)?.transaction.id
      }
      const timeOf = ({ transaction: tx }: SourcedTransaction): number => (tx.kind === 'redacted' ? 0 : tx.timestamp)
      all.sort((a, b) => timeOf(a) - timeOf(b))
      return await work({
        currency,
        caveat: CAVEAT,
        async *pages({ from, to }) {
          yield await Promise.resolve(all.filter((one) => timeOf(one) >= from && timeOf(one) < to))
        },
      })
    } finally {
      await store.close()
    }
  } finally {
    directory.close()
  }
}

function ofAuthority<T>(
  data: string,
  database: DatabaseConfig,
  user_id: string,
  work: (source: OwnTradesSource) => Promise<T>,
): Promise<T> {
  return withStoppedStores('trades', data, database, ({ genesis, store }) =>
    work({
      currency: genesis.currency,
      caveat: null,
      async *pages(range) {
        let after: string | null | undefined
        do {
          const page = await store.transactions({ user_id, ...range, limit: PAGE, ...(after != null && { after }) })
          yield page.transactions
          after = page.next
        } while (after !== null)
      },
    }),
  )
}
