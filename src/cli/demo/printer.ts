import { count } from '../../protocol/count-words.ts'
import type { LightEvent } from '../../node/light.ts'
import type { Clock } from '../../ports/clock.ts'
import type { LedgerEvent, TickAnswer } from '../../ports/ledger.ts'
import type { ShownBlock } from '../../protocol/block.ts'
import { formatQuantity, parseQuantity } from '../../protocol/decimal.ts'
import { misbehaviourOf } from '../../protocol/evidence.ts'
import type { Order } from '../../protocol/order.ts'
import { blockLine, clockTime, dayText, sunText, zoneText } from './block-line.ts'
import { createBlockTally, type BlockSummary } from './block-tally.ts'

/** What is told of a street when it opens. */
export interface StreetReport {
  readonly chainId: string
  /** URL with a slash at the end. */
  readonly dashboard: string
  /** The HOST:PORT that was asked for, if another program has it. */
  readonly taken: string | undefined
  readonly households: readonly string[]
  readonly validator: {
    readonly id: string
    /** URL with a slash at the end: the same page, of the validator's own copy of the ledger. */
    readonly dashboard: string
  }
  readonly currency: string
  /** Model time, Unix ms. */
  readonly startAt: number
}

/** A quarter of an hour that the authority has taken. */
export interface TickReport {
  /** Model time, Unix ms. */
  readonly timestamp: number
  readonly orders: readonly Order[]
  readonly answer: TickAnswer
  /** Null if nobody traded. */
  readonly block: ShownBlock | null
}

/** What the demo says: a line a block for people, a line an event with `verbose`, JSON lines with `json`. */
export interface DemoPrinter {
  /** A street is open; what is told from now on is of its chain. */
  started(report: StreetReport): void
  tick(report: TickReport): void
  household(id: string, transport: string, event: LightEvent): void
  validator(event: LedgerEvent): void
  /** A quarter was not taken: said once for each reason. */
  failed(timestamp: number, message: string): void
  recovered(): void
  /** The street has come to the end of its time; a new one opens. */
  over(): void
  stopped(): void
}

export interface PrinterParts {
  readonly json: boolean
  readonly verbose: boolean
  readonly clock: Pick<Clock, 'after'>
  readonly write: (text: string) => void
  /** Width of the terminal at this moment. */
  readonly columns: () => number
}

export function createDemoPrinter({ json, verbose, clock, write, columns }: PrinterParts): DemoPrinter {
  let street: StreetReport | undefined
  let day = ''

  const print = (text: string, fields: object): void => write(`${json ? JSON.stringify(fields) : text}\n`)
  /** What a household or the validator does, one line each. */
  const detail = (line: string, fields: object): void => {
    if (json || verbose) print(line, fields)
  }

  function block(summary: BlockSummary): void {
    const { timestamp, kwhMicro, amountMicro, provers, validator, ...counts } = summary
    const currency = street?.currency ?? ''
    print(blockLine(summary, currency, columns()), {
      event: 'block',
      ...counts,
      timestamp,
      kwh: formatQuantity(kwhMicro),
      amount: formatQuantity(amountMicro),
      currency,
      households: provers,
      validator: validator ?? null,
    })
  }

  const newTally = (households: number) => createBlockTally({ households, clock, onBlock: block })
  let tally = newTally(0)

  return {
    started(report) {
      tally.stop()
      tally = newTally(report.households.length)
      street = report
      day = ''
      const { chainId, dashboard, households, validator } = report
      print(bannerOf(report), {
        event: 'started',
        chain_id: chainId,
        dashboard,
        validator_dashboard: validator.dashboard,
        households,
      })
    },

    tick({ timestamp, orders, answer, block: sealed }) {
      const today = dayText(timestamp)
      if (today !== day && !json) write(`${day === '' ? '' : '\n'}${today}\n`)
      day = today
      const { tick_id, height, block_hash } = answer
      const trades = answer.transactions.length
      const [offered, wanted] = [sumOf(orders, 'sell'), sumOf(orders, 'buy')]
      const traded = height === null ? 'nothing to trade' : `block ${height} sealed, ${count(trades, 'trade')}`
      const line = `${clockTime(timestamp)}  ${sunText(timestamp)}  offered ${offered} kWh, wanted ${wanted} kWh: ${traded}`
      const fields = { event: 'tick', tick_id, height, block_hash, trades, offered_kwh: offered, wanted_kwh: wanted }
      if (sealed === null) print(line, fields)
      else {
        detail(line, fields)
        tally.sealed(sealed)
      }
    },

    household(id, transport, event) {
      const line = describeEvent(event)
      if (line === undefined) return
      const say = event.type === 'alarm' || event.type === 'evidence' ? print : detail
      say(`       ${id.padEnd(12)} ${transport.padEnd(9)} ${line.text}`, { ...line.fields, household: id, transport })
      if (event.type === 'vote') tally.voted(event.vote.height, event.vote.decision)
      if (event.type === 'verified') {
        const ids = event.trades.map(({ transaction }) => transaction.id)
        tally.proved(event.height, id, ids)
      }
    },

    validator(event) {
      // A header that it took, and votes of others: its word on a block is its own.
      const id = street?.validator.id
      if (id === undefined || event.type !== 'vote' || event.vote.voter_id !== id) return
      const { height, decision, header_hash } = event.vote
      const text = `block ${height}: replicated, checked, ${decision === 'ack' ? 'co-signed' : 'rejected'}`
      detail(`       ${id.padEnd(22)} ${text}`, { event: 'co-sign', validator: id, height, decision, header_hash })
      tally.coSigned(height, decision)
    },

    failed: (timestamp, message) =>
      print(`${clockTime(timestamp)}  the authority did not take this quarter of an hour: ${message}; trying again`, {
        event: 'failed',
        timestamp,
        message,
      }),
    recovered: () => print('       the authority trades again', { event: 'recovered' }),
    over: () => print('\nThe model years are over: a new street opens, with a chain of its own.', { event: 'over' }),
    stopped() {
      tally.stop()
      print('\n  stopped; nothing was left behind', { event: 'stopped' })
    },
  }
}

function bannerOf({ chainId, dashboard, taken, households, validator, startAt }: StreetReport): string {
  return [
    '',
    `  solar-node demo: an authority, a validator and ${count(households.length, 'household')} trade under a`,
    '  model sun: a summer day takes a minute or two, and its night no time at all',
    '',
    `  dashboard  ${dashboard}${taken === undefined ? '' : `   (${taken} is taken by another program)`}`,
    `  validator  ${validator.dashboard}   (the same page, of its own copy of the ledger)`,
    `  api        ${dashboard}docs`,
    `  chain      ${chainId}`,
    `  households ${households.join(', ')}`,
    `  time       of the model street, here and on the dashboard: ${zoneText(startAt)}`,
    '',
    '  --verbose shows what each household does; Ctrl-C ends the demo',
    '',
  ].join('\n')
}

const sumOf = (orders: readonly Order[], side: Order['side']): string =>
  formatQuantity(
    orders.filter((order) => order.side === side).reduce((total, { kwh }) => total + parseQuantity(kwh), 0n),
  )

interface Line {
  readonly text: string
  readonly fields: object
}

function describeEvent(event: LightEvent): Line | undefined {
  switch (event.type) {
    case 'header':
      // A household's word on a block is whether its own trades are proved, and its vote.
      return undefined
    case 'verified': {
      const { height, trades } = event
      const ids = trades.map(({ transaction }) => transaction.id)
      const own = count(trades.length, 'own trade')
      const text =
        trades.length === 0
          ? `block ${height}: seal and history checked, no trade of its own`
          : `block ${height}: verified the Merkle ${trades.length === 1 ? 'proof' : 'proofs'} of ${own}`
      return { text, fields: { event: 'verified', height, transactions: ids } }
    }
    case 'vote': {
      const { height, decision, header_hash } = event.vote
      return { text: `block ${height}: voted ${decision}`, fields: { event: 'vote', height, decision, header_hash } }
    }
    case 'evidence': {
      const { kind, signer_id, height } = misbehaviourOf(event.evidence)
      return {
        text: `EVIDENCE ${kind} by ${signer_id} at height ${height}`,
        fields: { event: 'evidence', kind, signer_id, height },
      }
    }
    case 'alarm':
      return { text: `ALARM ${event.reason}`, fields: { event: 'alarm', code: event.code, reason: event.reason } }
  }
}
