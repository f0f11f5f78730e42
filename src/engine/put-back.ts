import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore, RestoredTick } from '../ports/market-store.ts'
import type { BodyRedaction } from '../ports/retention.ts'
import { inTurns } from '../ports/turns.ts'
import { tickIdOf, type ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { count } from '../protocol/count-words.ts'
import type { Verdict } from '../protocol/errors.ts'
import { hashHeader } from '../protocol/header.ts'
import { mapInPieces, type Pieces } from '../protocol/pieces.ts'
import type { Registry } from '../protocol/registry.ts'
import { unknownId, unknownRedaction, type Redaction } from '../protocol/redaction.ts'
import { leafOf } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'
import { registryOf, sizeOf, stateAfter, verifyBlock } from './chain-state.ts'
import { earlierKeys } from './history-rules.ts'
import type { Finalizer } from './finalizer.ts'
import { createPace } from './progress.ts'
import { restoredContent } from './tick-content.ts'

export interface PutBackParts {
  readonly chain: Chain
  readonly store: MarketStore
  /** Knows more of bodies that are gone than the blocks say. */
  readonly bodies: Pick<BodyRedaction, 'redactions' | 'tickAt'>
  readonly finalizer: Finalizer
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Puts sealed blocks back into a SQL that is an older backup. Each is checked by every rule before, and is in SQL as a
 * whole or not at all; after a kill the next start goes on where this one ended. Whoever calls does so one at a time.
 */
export interface PutBack {
  /**
   * Puts into SQL what the chain store has above it, and takes out of it what that says is gone. Throws `corrupt` if the two hold different chains or a block is not
   * valid, and what `MarketStore.restoreBlock` throws.
   */
  fromChainStore(): Promise<void>
  /** Puts the next block, which a peer has given, into SQL and then on the chain. Throws as the above. */
  add(block: ShownBlock, from: string): Promise<void>
}

export function createPutBack(parts: PutBackParts): PutBack {
  const { chain, store, bodies, finalizer, clock, logger } = parts

  async function intoSql(
    block: ShownBlock,
    txHashes: readonly Hash[],
    known: Known,
    registryBefore: Registry,
  ): Promise<void> {
    const { header, signature } = block
    const { height } = header
    const tick = await inTurns(tickOf(block, txHashes, known))
    const isFinal = finalizer.isFinalWhenSealed(height, registryBefore)
    const finalized_at = isFinal ? clock.now() : null
    const block_hash = hashHeader(header)
    await store.restoreBlock(
      { height, block_hash, tick_id: tick.tick_id, sealed: { header, signature }, finalized_at },
      tick,
    )
    if (isFinal) finalizer.sealedFinal(height)
  }

  async function knownOf({ header, transactions }: ShownBlock, records: Known['records']): Promise<Known> {
    const tickId = transactions.every(({ kind }) => kind === 'redacted')
      ? await bodies.tickAt(header.height)
      : undefined
    return { records, tickId }
  }

  /**
   * A body that was removed stays so: an older SQL has it still, and would take a correction of it that no peer who has
   * removed it as well can check.
   */
  async function forgetAgain(): Promise<void> {
    for (const { tx_hash, height } of await store.redactAgain(await bodies.redactions(0))) {
      logger.warn(
        { tx_hash, height },
        `SQL is older than a redaction: the body of ${tx_hash} in block ${height} is removed again`,
      )
    }
  }

  return {
    async fromChainStore() {
      const last = await store.lastBlock()
      const size = last === undefined ? 0 : last.height + 1
      await compareBlock(chain, store, Math.min(size, chain.size) - 1)
      await forgetAgain()
      if (size >= chain.size) return
      const missing = chain.size - size
      logger.warn(
        { missing, from_height: size },
        `SQL is older than LevelDB: ${count(missing, 'block')} ${missing === 1 ? 'is' : 'are'} put back`,
      )
      const isDue = createPace(clock)
      let state = await chain.stateAt(size)
      const records = new Map((await bodies.redactions(size)).map((record) => [record.tx_hash, record]))
      while (sizeOf(state) < chain.size) {
        const height = sizeOf(state)
        const block = await chain.blockAt(height)
        const place = `LevelDB, block ${height}`
        const txHashes = await inTurns(mapInPieces(block.transactions, leafOf))
        const earlier = await earlierKeys(block.transactions, chain.history(height))
        refuseInvalid(await inTurns(verifyBlock(state, block, chain, earlier, txHashes)), place)
        await intoSql(block, txHashes, await knownOf(block, records), registryOf(state))
        state = stateAfter(state, block, hashHeader(block.header))
        if (isDue()) logger.info({ height }, `SQL: ${height + 1} of ${chain.size} blocks put back from LevelDB`)
      }
      logger.warn({ height: chain.size - 1 }, `SQL has block ${chain.size - 1} again, as LevelDB`)
    },

    async add(block, from) {
      const txHashes = await inTurns(mapInPieces(block.transactions, leafOf))
      refuseInvalid(await chain.verify(block, txHashes), `block ${block.header.height} of ${from}`)
      await intoSql(block, txHashes, NOTHING_KNOWN, chain.registry)
      await chain.append(block, txHashes)
      logger.info({ height: block.header.height, peer: from }, `block ${block.header.height} put back from a peer`)
    },
  }
}

/** Throws `corrupt` for a block that is not valid as the next one. */
function refuseInvalid(verdict: Verdict, place: string): void {
  if (verdict.ok) return
  throw ledgerError('corrupt', { place, expected: 'a valid block', found: `${verdict.code}: ${verdict.reason}` })
}

const ADVICE =
  'solar-node audit names what differs; where SQL is right, solar-node rebuild makes level/ anew from it, ' +
  'where SQL is an older backup that has gone on otherwise, put the newer SQL back'

/** A block of this height must be the same in both stores, and with it all before: else neither may be sealed upon. */
async function compareBlock(chain: Chain, store: MarketStore, height: number): Promise<void> {
  if (height < 0) return
  const [[row], [stored]] = await Promise.all([store.blocks(height, 1), chain.headers(height, 1)])
  if (row?.height === height && row.block_hash === stored?.hash) return
  throw ledgerError('corrupt', {
    place: `SQL, block ${height} (another chain than the blocks in level/)`,
    expected: stored === undefined ? 'none' : `header ${stored.hash} as in LevelDB`,
    found: `${row?.height === height ? `header ${row.block_hash}` : 'nothing'} (${ADVICE})`,
  })
}

/** What a node knows of a block beside what is left of it. */
interface Known {
  /** By tx_hash, of bodies that are gone. */
  readonly records: ReadonlyMap<Hash, Redaction>
  readonly tickId: string | undefined
}

const NOTHING_KNOWN: Known = { records: new Map(), tickId: undefined }

/**
 * The tick of a block. Its own time is not in the block: the header's stands in for it, which is that of the parent where
 * the tick was late. Throws `corrupt` for a block without transactions, which no tick makes.
 */
function* tickOf({ header, transactions }: ShownBlock, tx_hashes: readonly Hash[], known: Known): Pieces<RestoredTick> {
  const { height, timestamp } = header
  const [first] = transactions
  const [firstHash] = tx_hashes
  if (first === undefined || firstHash === undefined) {
    throw ledgerError('corrupt', { place: `block ${height}`, expected: 'a transaction', found: 'none' })
  }
  // Where nothing says which tick it was it gets a name by which no platform can have called it.
  const tick_id = tickIdOf(transactions) ?? known.tickId ?? unknownId(firstHash)
  const redactions = transactions.flatMap((tx) =>
    tx.kind === 'redacted' ? [known.records.get(tx.tx_hash) ?? unknownRedaction(tx.tx_hash, height)] : [],
  )
  const common = { tick_id, timestamp, transactions, tx_hashes, redactions }
  // A change of the registry is a tick of its own and is recognised by its hash.
  return first.kind === 'registry' && transactions.length === 1
    ? { ...common, source: 'registry', content_hash: firstHash }
    : { ...common, source: 'restored', content_hash: yield* restoredContent(tick_id, transactions) }
}
