import type { Clock } from '../ports/clock.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Leadership } from '../ports/leadership.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { BodyRedaction, RedactionRequest, Redactor } from '../ports/retention.ts'
import type { Redaction } from '../protocol/redaction.ts'
import { hashTransaction } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import { createSerial } from './serial.ts'

export interface AuthorityRedactorParts {
  readonly store: Pick<MarketStore, 'redact' | 'redactions' | 'redactionCount'>
  readonly blocks: BodyRedaction & Pick<ChainStore, 'size'>
  readonly leadership: Pick<Leadership, 'term'>
  readonly clock: Clock
  readonly logger: Logger
}

export interface AuthorityRedactor extends Redactor {
  /**
   * Removes from the blocks what SQL says is gone and they do not know of: after a crash in between, with an older LevelDB put
   * back, and where another authority has removed it. Cheap where SQL has no other records than at the last call. A body that
   * cannot be reached (a file of the archive is missing) is logged and keeps nobody from the rest; it is tried again with the next
   * record, when this node comes to lead, and at its next start.
   */
  keepUp(): Promise<void>
}

/** Removes bodies from SQL, the source of record, then from the blocks. */
export function createAuthorityRedactor(parts: AuthorityRedactorParts): AuthorityRedactor {
  const { store, blocks, leadership, clock, logger } = parts
  const lane = createSerial()
  /** Number of records in SQL, and the term, of which everything was tried. */
  let tried: { readonly count: number; readonly term: number } | undefined

  /** False if there are records of blocks that are not here yet: they will come without the body, unless it was read before. */
  async function catchUp(): Promise<boolean> {
    const known = new Map((await blocks.redactions(0)).map(({ tx_hash, tx_id }) => [tx_hash, tx_id]))
    // Blocks that came here from SQL without a body do not know whose it was: they may lack a correction of any trade then.
    const isKnown = ({ tx_hash, tx_id }: Redaction) =>
      known.has(tx_hash) && (tx_id === null || known.get(tx_hash) !== null)
    const missing = (await store.redactions()).filter((record) => !isKnown(record))
    if (missing.length === 0) return true
    const size = await blocks.size()
    const here = missing.filter(({ height }) => height < size)
    if (here.length > 0) await blocks.redact(here)
    logRedactions(here, logger)
    return here.length === missing.length
  }

  async function keepUp(): Promise<void> {
    const now = { count: await store.redactionCount(), term: leadership.term }
    if (tried?.count === now.count && tried.term === now.term) return
    tried = now
    try {
      if (!(await catchUp())) tried = undefined
    } catch (error) {
      logger.error({ error }, 'NOT REDACTED: bodies that SQL says are gone are still in the blocks')
    }
  }

  return {
    keepUp: () => lane(keepUp),
    redact: (request) =>
      lane(async () => {
        const redactions = await store.redact({ ...request, redacted_at: clock.now() })
        await catchUp()
        await finish(blocks)
        return redactions
      }),
    redactions: () => store.redactions(),
  }
}

export interface ReplicaRedactorParts {
  readonly chain: Chain
  readonly blocks: BodyRedaction
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly clock: Clock
  readonly logger: Logger
}

/** Removes bodies from the blocks of a validator, which has nothing else. */
export function createReplicaRedactor(parts: ReplicaRedactorParts): Redactor {
  const { blocks, logger } = parts
  const lane = createSerial()
  return {
    redact: (request) =>
      lane(async () => {
        const before = (await blocks.redactions(0)).filter(({ tx_id }) => tx_id === request.tx_id)
        const redactions = await findRedactable(parts, request, before.length > 0)
        await blocks.redact(redactions)
        logRedactions(redactions, logger)
        return [...before, ...redactions]
      }),
    redactions: () => blocks.redactions(0),
  }
}

/**
 * A trade and its corrections; of a trade that is gone already the corrections that came since. Throws
 * `unknown_transaction`, `refused_row`.
 */
async function findRedactable(
  { chain, finalizer, clock }: ReplicaRedactorParts,
  { tx_id, redacted_by, reason }: RedactionRequest,
  isGone: boolean,
): Promise<readonly Redaction[]> {
  const corrections = await chain.correctionsOf(tx_id, chain.size)
  const asked = (await chain.transactions([tx_id])).get(tx_id)
  const refused = (id: string, why: string) => ledgerError('refused_row', { id, reason: why })
  if (asked?.kind === 'registry') throw refused(tx_id, 'a change of the registry is never redacted')
  if (asked?.kind === 'correction') {
    throw refused(tx_id, `it corrects ${asked.corrects}: redact that, and its corrections go with it`)
  }
  // Its corrections tell of it also where it came here without a body, and nobody knows by which hash.
  if (asked === undefined && !isGone && corrections.length === 0) {
    throw ledgerError('unknown_transaction', { id: tx_id })
  }
  const ids = [...(asked === undefined ? [] : [tx_id]), ...corrections]
  const redacted_at = clock.now()
  return await Promise.all(
    ids.map(async (id) => {
      const tx_hash = hashTransaction(await chain.transaction(id))
      const { header } = await chain.transactionProof({ tx_hash }, null)
      if (header.height > finalizer.finalHeight) throw refused(id, 'its block is not final yet')
      return { tx_hash, tx_id: id, height: header.height, redacted_by, redacted_at, reason }
    }),
  )
}

/** What a failure has left of an earlier one: it is on record, and its old bytes may still be in the files. */
const finish = (blocks: BodyRedaction): Promise<void> => blocks.redact([])

function logRedactions(redactions: readonly Redaction[], logger: Logger): void {
  for (const { tx_hash, height, redacted_by, reason } of redactions) {
    logger.warn({ tx_hash, height, redacted_by, reason }, `the body of ${tx_hash} in block ${height} is removed`)
  }
}
