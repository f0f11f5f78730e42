import { localTime, netWords } from '../../node/trade-words.ts'
import type { ListedTrade, TradeSums } from './listing.ts'

/** What a listing begins with. */
export interface ListingHead {
  /** null where there is no trade that would tell. */
  readonly user: string | null
  /** The ends of the range, as they were typed. */
  readonly from: string | null
  readonly to: string | null
  readonly currency: string
  /** Of the times that are shown to people. */
  readonly zone: string
  readonly note: string | null
}

/** Writes a listing piece by piece, so that a long one is never held as a whole. */
export interface ListingFormat {
  begin(head: ListingHead): string
  item(listed: ListedTrade, head: ListingHead): string
  end(sums: TradeSums, head: ListingHead): string
}

const counterpartyOf = ({ trade, side }: ListedTrade): string =>
  side === 'sold' ? trade.to_user_id : trade.from_user_id

export const textFormat: ListingFormat = {
  begin: () => '',
  item(listed, { currency, zone }) {
    const { trade, side, net, corrections } = listed
    const { kwh, price_per_kwh, total_amount, timestamp, id } = trade
    const what = `${side.padEnd(6)} ${kwh.padStart(10)} kWh at ${price_per_kwh} ${currency}/kWh = ${total_amount} ${currency}`
    const whom = `${side === 'sold' ? 'to' : 'from'} ${counterpartyOf(listed)}`
    const left = corrections === 0 ? '' : `; corrected, left: ${netWords(net, currency)}`
    return `${localTime(timestamp, zone)}  ${what} ${whom} (${id})${left}\n`
  },
  end(sums, { user, from, to, currency, zone, note }) {
    const range = from === null && to === null ? '' : `, ${from ?? 'the beginning'} to ${to ?? 'now'} (${zone})`
    const lines = [
      `trades      ${sums.trades}${user === null ? '' : ` of ${user}`}${range}; ${sums.corrected} corrected`,
      `sold        ${sums.kwh_sold} kWh for ${sums.earned} ${currency}, after corrections`,
      `bought      ${sums.kwh_bought} kWh for ${sums.paid} ${currency}, after corrections`,
      `balance     ${sums.balance} ${currency}`,
      ...(note === null ? [] : [`note        ${note}`]),
    ]
    return `${lines.join('\n')}\n`
  },
}

/** One JSON object in one line: `{user, from, to, currency, trades: [...], sums, note}`. */
export function jsonFormat(): ListingFormat {
  let comma = ''
  return {
    begin: ({ user, from, to, currency }) => `${JSON.stringify({ user, from, to, currency }).slice(0, -1)},"trades":[`,
    item(listed) {
      const { trade, side, net, corrections, tx_hash, height } = listed
      const counterparty = counterpartyOf(listed)
      const text = JSON.stringify({ ...trade, side, counterparty, net, corrections, tx_hash, height })
      const item = `${comma}${text}`
      comma = ','
      return item
    },
    end: (sums, { note }) => `],${JSON.stringify({ sums, note }).slice(1)}\n`,
  }
}

const CSV_COLUMNS =
  'time,id,side,counterparty,kwh,price_per_kwh,total_amount,kwh_left,amount_left,corrections,currency,height,tx_hash'

/** RFC 4180 with a header; numbers as they are hashed, times in UTC. Rows only: the sums are those of the columns. */
export const csvFormat: ListingFormat = {
  begin: () => `${CSV_COLUMNS}\r\n`,
  item(listed, { currency }) {
    const { trade, side, net, corrections, tx_hash, height } = listed
    return csvLine([
      new Date(trade.timestamp).toISOString(),
      csvText(trade.id),
      side,
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

/** A spreadsheet would take text that begins so for a formula: with an apostrophe before it, it is text. */
const csvText = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text)

const csvLine = (fields: readonly (string | number)[]): string =>
  `${fields.map((field) => (/[",\r\n]/.test(String(field)) ? `"${String(field).replaceAll('"', '""')}"` : field)).join(',')}\r\n`
