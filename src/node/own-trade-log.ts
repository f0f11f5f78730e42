import type { CheckedTrade, LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { Correction } from '../protocol/transaction.ts'
import {
  addCorrection,
  correctionWords,
  localTime,
  netOf,
  netWords,
  sideOf,
  tradeWords,
  type CorrectionSum,
} from './trade-words.ts'

export interface OwnTradeLogParts {
  readonly store: Pick<LightStore, 'trades' | 'trade'>
  readonly logger: Logger
  /** Of the genesis. */
  readonly currency: () => Promise<string>
  /** The user whose device this is, if that is known. */
  readonly user: () => string | null
}

/** Says a household's own proved trades, one line each, in the order in which they were proved. */
export interface OwnTradeLog {
  say(height: number, trades: readonly CheckedTrade[]): void
  /** Waits for what is being said. */
  idle(): Promise<void>
}

const PAGE = 500

export function createOwnTradeLog({ store, logger, currency, user }: OwnTradeLogParts): OwnTradeLog {
  /** By the id of the corrected trade; read when the first correction comes. */
  let corrections: Promise<Map<string, Map<string, Correction>>> | undefined
  let last: Promise<void> = Promise.resolve()

  async function readCorrections(): Promise<Map<string, Map<string, Correction>>> {
    const known = new Map<string, Map<string, Correction>>()
    for (let after = ''; ;) {
      const page = await store.trades(after, PAGE)
      for (const { transaction: tx } of page) {
        after = tx.id
        if (tx.kind === 'correction') ofTrade(known, tx.corrects).set(tx.id, tx)
      }
      if (page.length < PAGE) return known
    }
  }

  /** What is left of a trade by the corrections that this node has proved; `undefined` if it does not have the trade. */
  async function leftOf(correction: Correction): Promise<string | undefined> {
    corrections ??= readCorrections()
    const same = ofTrade(await corrections, correction.corrects)
    same.set(correction.id, correction)
    const held = await store.trade({ tx_id: correction.corrects })
    if (held?.transaction.kind !== 'trade') return undefined
    const sum = [...same.values()].reduce<CorrectionSum | undefined>(addCorrection, undefined)
    return netWords(netOf(held.transaction, sum), await currency())
  }

  async function lineOf({ transaction: tx }: CheckedTrade): Promise<string | undefined> {
    if (tx.kind === 'registry') return undefined
    const when = localTime(tx.timestamp)
    if (tx.kind === 'trade') {
      return `${when} ${tradeWords(tx, sideOf(tx, user()), await currency())} (${tx.id})`
    }
    const left = await leftOf(tx)
    const now = left === undefined ? 'the trade itself was not proved here' : `left of it: ${left}`
    return `${when} correction of ${tx.corrects}: ${correctionWords(tx, await currency())}; ${now}`
  }

  return {
    say(height, trades) {
      last = last.then(async () => {
        for (const trade of trades) {
          try {
            const line = await lineOf(trade)
            if (line !== undefined) logger.info({ height, id: trade.transaction.id }, `block ${height}: ${line}`)
          } catch (error) {
            logger.warn({ error, height, id: trade.transaction.id }, 'an own trade could not be told')
          }
        }
      })
    },
    idle: () => last,
  }
}

function ofTrade(known: Map<string, Map<string, Correction>>, id: string): Map<string, Correction> {
  const found = known.get(id) ?? new Map<string, Correction>()
  known.set(id, found)
  return found
}
