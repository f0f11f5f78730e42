import type { Chain } from '../engine/chain.ts'
import type { LightEvent } from '../engine/light-client.ts'
import type { LedgerEvent } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import { hashHeader } from '../protocol/header.ts'
import { count } from '../protocol/count-words.ts'
import type { OwnTradeLog } from './own-trade-log.ts'

const short = (hash: Hash): string => hash.slice(0, 12)

/** One line an event of an authority or a validator; `chain` tells which blocks change the registry. */
export function logLedgerEvent(event: LedgerEvent, chain: Pick<Chain, 'recentChanges'>, logger: Logger): void {
  switch (event.type) {
    case 'header': {
      const { height, tx_count } = event.sealed.header
      const hash = event.header_hash
      // A change of the registry has a block of its own.
      const [changed] = chain.recentChanges(height - 1)
      const holds = changed === height ? `${count(tx_count, 'change')} of the registry` : count(tx_count, 'trade')
      logger.info({ height, hash, status: event.status }, `block ${height} ${short(hash)} sealed: ${holds}`)
      return
    }
    case 'vote': {
      const { voter_id, decision, height } = event.vote
      const { ack, reject } = event.votes
      logger.info(
        { height, voter_id, decision, ack, reject },
        `${voter_id} votes ${decision} on block ${height} (${ack} ack, ${reject} reject)`,
      )
      return
    }
    case 'final':
      logger.debug({ height: event.height, hash: event.header_hash }, `block ${event.height} is final`)
      return
    case 'evidence':
      // The pool of evidence has logged it where it found it.
      return
  }
}

/** One line an event of a light node, and one for each trade of its own. */
export function logLightEvent(event: LightEvent, logger: Logger, trades: OwnTradeLog): void {
  switch (event.type) {
    case 'header': {
      const { height } = event.sealed.header
      const how = event.how === 'linked' ? 'follows the last one' : 'proved from the last trusted one'
      const hash = hashHeader(event.sealed.header)
      logger.info({ height, hash, how: event.how }, `block ${height} ${short(hash)} checked: ${how}`)
      return
    }
    case 'verified':
      logger.info(
        { height: event.height, trades: event.trades.map((trade) => trade.transaction.id) },
        `block ${event.height}: ${count(event.trades.length, 'own trade')} proved`,
      )
      trades.say(event.height, event.trades)
      return
    case 'vote':
      logger.info(
        { height: event.vote.height, decision: event.vote.decision },
        `voted ${event.vote.decision} on block ${event.vote.height}`,
      )
      return
    case 'evidence':
    case 'alarm':
      // The light client has logged it where it found it.
      return
  }
}
