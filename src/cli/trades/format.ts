import { localTime, netWords } from '../../node/trade-words.ts'
import type { Listed, ListedTrade, TradeSums } from './listing.ts'

/** What a listing begins with. */
export interface ListingHead {
  readonly user: string
  readonly from: string | null
  readonly to: string | null
  readonly currency: string
  readonly zone: string | undefined
  readonly caveat: string | null
}

/** Writes a listing piece by piece, so that a long one is never held as a whole. */
export interface ListingFormat {
  begin(head: ListingHead): string
  item(listed: Listed, head: ListingHead): string
  end(sums: TradeSums, head: ListingHead): string
}

const counterpartyOf = ({ trade, side }: ListedTrade): string =>
  side === 'sold' ? trade.to_user_id : trade.from_user_id

export const textFormat: ListingFormat = {
  begin: () => '',
  item(listed, { currency, zone }) {
    if ('redacted' in listed) return `redacted    ${listed.redacted}: its body was removed, its hash is left\n`
    const { trade, side, net, corrections } = listed
    const { kwh, price_per_kwh, total_amount, timestamp, id } = trade
    const what = `${(side ?? '').padEnd(6)} ${kwh.padStart(10)} kWh at ${price_per_kwh} ${currency}/kWh = ${total_amount} ${currency}`
    const whom = `${side === 'sold' ? 'to' : 'from'} ${counterpartyOf(listed)}`
    const left = corrections === 0 ? '' : `; corrected, left: ${netWords(net, currency)}`
    return `${localTime(timestamp, zone)}  ${what} ${whom} (${id})${left}\n`
  },
  end(sums, { user, from, to, currency, caveat }) {
    const range = from === null && to === null ? '' : `, ${from ?? 'the beginning'} to ${to ?? 'now'}`
    const lines = [
      `trades      ${sums.trades} of ${user}${range}; ${sums.corrected} corrected, ${sums.redacted} redacted`,
      `sold        ${sums.kwh_sold} kWh for ${sums.earned} ${currency}, after corrections`,
      `bought      ${sums.kwh_bought} kWh for ${sums.paid} ${currency}, after corrections`,
      `balance     ${sums.balance} ${currency}`,
      ...(caveat === null ? [] : [`note        ${caveat}`]),
    ]
    return `${lines.join('\n')}\n`
  },
}

/** One JSON object in one line: `{user, from, to, currency, trades: [...], redacted: [...], sums, note}`. */
export function jsonFormat(): ListingFormat {
  let first = true
  const redacted: string[] = []
  return {
    begin: ({ user, from, to, currency }) => `${JSON.stringify({ user, from, to, currency }).slice(0, -1)},"trades":[`,
    item(listed) {
      if ('redacted' in listed) {
        redacted.push(listed.redacted)
        return ''
      }
      const { trade, side, net, corrections, tx_hash, height } = listed
      const comma = first ? '' : ','
      first = false
      return (
        comma +
        JSON.stringify({
          ...trade,
          side: side ?? null,
          counterparty: counterpartyOf(listed),
          net,
          corrections,
          tx_hash,
          height,
        })
      )
    },
    end: (sums, { caveat }) => `],${JSON.stringify({ redacted, sums, note: caveat }).slice(1)}\n`,
  }
}

const CSV_COLUMNS =
  'time,id,side,counterparty,kwh,price_per_kwh,total_amount,kwh_left,amount_left,corrections,currency,height,tx_hash'

/** RFC 4180 with a header; numbers as they are hashed, times in UTC. Rows only: the sums are those of the columns. */
export const csvFormat: ListingFormat = {
  begin: () => `${CSV_COLUMNS}\r\n`,
  item(listed, { currency }) {
    if ('redacted' in listed) {
      return csvLine(['', '', 'redacted', '', '', '', '', '', '', '', '', listed.height ?? '', listed.redacted])
    }
    const { trade, side, net, corrections, tx_hash, height } = listed
    return csvLine([
      new Date(trade.timestamp).toISOString(),
      csvText(trade.id),
      side ?? '',
      csvText(counterpartyOf(listed)),
      trade.kwh,
      trade.price_per_kwh,
      trade.total_amount,
      net.kwh,
      net.total_amount,
      corrections,
      csvText(currency),
      height ?? '',
      tx_hash,
    ])
  },
  end: () => '',
}

/** A spreadsheet would take text that begins so for a formula. */
const csvText = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text)

const csvLine = (fields: readonly (string | number)[]): string =>
  `${fields.map((field) => (/[",\r\n]/.test(String(field)) ? `"${String(field).replaceAll('"', '""')}"` : field)).join(',')}\r\n`
