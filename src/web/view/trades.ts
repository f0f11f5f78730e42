import type { ShownTransaction } from '../../protocol/transaction.ts'
import type { BlockBody } from '../bodies.ts'
import { h } from '../dom.ts'
import { count, formatDecimal, formatMicro, formatMoney, formatTime, shortHash } from '../format.ts'
import { transactionWords } from './facts.ts'

/** A table of more than these is for a program. */
const SHOWN_ROWS = 100

/** "12.4 kWh for 2.31 USD", with what no sum has. */
export function bodyWords({ kwhMicro, amountMicro, redacted, corrections }: BlockBody, currency: string): string {
  const sum = `${formatMicro(kwhMicro)} kWh for ${formatMicro(amountMicro, 2)} ${currency}`
  const corrected = corrections === 0 ? '' : `, ${count(corrections, 'correction')} counted in`
  const removed = redacted === 0 ? '' : `, without ${redacted} whose content was removed`
  return `${sum}${corrected}${removed}`
}

/** What was traded in a block, for who may see it. */
export function tradesTable(body: BlockBody, currency: string, now: number): readonly HTMLElement[] {
  const rows = body.transactions.slice(0, SHOWN_ROWS)
  const more = body.transactions.length - rows.length
  const verdict = body.matches
    ? 'They lead to the Merkle root in the header: computed here.'
    : 'They do not lead to the Merkle root in the header. Do not rely on them.'
  return [
    h('h3', {}, headingOf(body)),
    h('p', { class: body.matches ? 'muted' : 'failed' }, `${bodyWords(body, currency)}. ${verdict}`),
    h(
      'div',
      { class: 'table', tabindex: 0, role: 'region', 'aria-label': 'Trades of this block' },
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ...['From', 'To', 'kWh', `${currency}/kWh`, 'Amount', 'Time'].map((name) =>
              h('th', { scope: 'col' }, name),
            ),
          ),
        ),
        h('tbody', {}, ...rows.map((tx) => row(tx, currency, now))),
      ),
    ),
    ...(more > 0 ? [h('p', { class: 'muted' }, `and ${count(more, 'more transaction')}.`)] : []),
  ]
}

function headingOf({ trades, corrections }: BlockBody): string {
  if (corrections === 0) return 'Trades'
  return trades === 0 ? 'Corrections' : 'Trades and corrections'
}

function row(tx: ShownTransaction, currency: string, now: number): HTMLElement {
  if (tx.kind === 'redacted') {
    return h('tr', {}, h('td', { colspan: 6 }, `Content removed; its hash ${shortHash(tx.tx_hash)} stays.`))
  }
  if (tx.kind !== 'trade') return h('tr', {}, h('td', { colspan: 6 }, transactionWords(tx, currency)))
  const cells = [
    tx.from_user_id,
    tx.to_user_id,
    formatDecimal(tx.kwh),
    formatDecimal(tx.price_per_kwh),
    formatMoney(tx.total_amount, currency),
    formatTime(tx.timestamp, now),
  ]
  return h('tr', { title: tx.id }, ...cells.map((cell) => h('td', {}, cell)))
}
