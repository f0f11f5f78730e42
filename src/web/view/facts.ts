import type { Transaction } from '../../protocol/transaction.ts'
import { h } from '../dom.ts'
import { formatDecimal, formatExactTime, formatMoney } from '../format.ts'
import { changeWords } from '../registry-book.ts'
import type { TradeFacts } from '../trade-report.ts'

/** "casa-aurora sold 1.25 kWh to casa-cedro": what a transaction says. */
export function transactionWords(tx: Transaction, currency: string): string {
  switch (tx.kind) {
    case 'trade':
      return `${tx.from_user_id} sold ${formatDecimal(tx.kwh)} kWh to ${tx.to_user_id} for ${formatMoney(tx.total_amount, currency)}`
    case 'correction':
      return `Correction of ${tx.corrects}: ${signed(tx.kwh_delta)} kWh, ${signed(tx.amount_delta)} ${currency} (${tx.reason})`
    case 'registry':
      return `This change of the registry ${changeWords(tx)}`
  }
}

const signed = (delta: string): string => (delta.startsWith('-') ? formatDecimal(delta) : `+${formatDecimal(delta)}`)

/** What a trade says, and what its corrections leave of it. */
export function factsList({ transaction: tx, corrections, net }: TradeFacts, currency: string): HTMLElement {
  const rows: (readonly [string, string])[] = []
  if (tx.kind === 'trade') rows.push(['Price', `${formatMoney(tx.price_per_kwh, currency)} per kWh`])
  rows.push(['Time', formatExactTime(tx.timestamp)], ['Id', tx.id])
  for (const correction of corrections) rows.push(['Corrected', transactionWords(correction, currency)])
  if (net !== null && corrections.length > 0) {
    rows.push(['What is left', `${formatDecimal(net.kwh)} kWh for ${formatMoney(net.total_amount, currency)}`])
  }
  return h(
    'div',
    { class: 'facts' },
    h('p', {}, h('strong', {}, transactionWords(tx, currency))),
    h('dl', {}, ...rows.map(([label, value]) => h('div', {}, h('dt', {}, label), h('dd', {}, value)))),
  )
}
