import type { LightEvent } from '../../node/light.ts'
import type { LedgerEvent, TickAnswer } from '../../ports/ledger.ts'
import { formatQuantity, parseQuantity } from '../../protocol/decimal.ts'
import { misbehaviourOf } from '../../protocol/evidence.ts'
import type { Order } from '../../protocol/order.ts'
import { localHour, sunAltitude } from './model.ts'

/** What the demo says: one line an event, for people or as JSON. */
export interface DemoPrinter {
  started(report: {
    readonly chainId: string
    readonly dashboard: string
    readonly households: readonly string[]
  }): void
  tick(timestamp: number, orders: readonly Order[], answer: TickAnswer): void
  household(id: string, transport: string, event: LightEvent): void
  validator(id: string, event: LedgerEvent): void
  failed(error: unknown): void
  stopped(): void
}

export function createDemoPrinter(json: boolean): DemoPrinter {
  const print = (text: string, fields: object): void => {
    process.stdout.write(`${json ? JSON.stringify(fields) : text}\n`)
  }
  return {
    started({ chainId, dashboard, households }) {
      print(
        [
          '',
          '  solar-node demo: an authority, a validator and light households on this machine, a model day in a few minutes',
          '',
          `  chain      ${chainId}`,
          `  dashboard  ${dashboard}   (Ctrl-C ends the demo)`,
          `  api        ${dashboard}docs`,
          `  households ${households.join(', ')}`,
          '',
        ].join('\n'),
        { event: 'started', chain_id: chainId, dashboard, households },
      )
    },

    tick(timestamp, orders, { tick_id, height, block_hash, transactions }) {
      const sum = (side: Order['side']): string =>
        formatQuantity(
          orders.filter((order) => order.side === side).reduce((total, { kwh }) => total + parseQuantity(kwh), 0n),
        )
      const count = transactions.length
      const traded =
        height === null
          ? 'nothing to trade'
          : `block ${height} ${block_hash?.slice(0, 12) ?? ''} sealed, ${count} trade${count === 1 ? '' : 's'}`
      print(
        `${clockTime(timestamp)}  sun ${sunAltitude(timestamp).toFixed(0).padStart(3)} deg  offered ${sum('sell').padEnd(5)} kWh  wanted ${sum('buy').padEnd(5)} kWh  ${traded}`,
        { event: 'tick', tick_id, height, block_hash, trades: count, offered_kwh: sum('sell'), wanted_kwh: sum('buy') },
      )
    },

    household(id, transport, event) {
      const line = describeEvent(event)
      if (line !== undefined)
        print(`         ${id.padEnd(12)} ${transport.padEnd(9)} ${line.text}`, {
          ...line.fields,
          household: id,
          transport,
        })
    },

    validator(id, event) {
      // A header that it took, and votes of others: its word on a block is its own.
      if (event.type !== 'vote' || event.vote.voter_id !== id) return
      const { height, decision, header_hash } = event.vote
      const text = `block ${height}: replicated, checked, ${decision === 'ack' ? 'co-signed' : 'rejected'}`
      print(`         ${id.padEnd(22)} ${text}`, { event: 'co-sign', validator: id, height, decision, header_hash })
    },

    failed(error) {
      const message = error instanceof Error ? error.message : String(error)
      print(`         ! ${message}`, { event: 'failed', message })
    },

    stopped: () => print('\n  stopped; nothing was left behind', { event: 'stopped' }),
  }
}

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
      const text =
        trades.length === 0
          ? `block ${height}: seal and history checked, no trade of its own`
          : `block ${height}: verified the Merkle proof${trades.length === 1 ? '' : 's'} of ${trades.length} own trade${trades.length === 1 ? '' : 's'}`
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

/** Model time by the sun, hh:mm. */
function clockTime(timestamp: number): string {
  const minutes = Math.round(localHour(timestamp) * 60)
  return `${String(Math.floor(minutes / 60) % 24).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}
