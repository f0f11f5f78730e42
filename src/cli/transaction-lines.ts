import {
  addCorrection,
  correctionWords,
  localTime,
  netOf,
  netWords,
  tradeWords,
  type CorrectionSum,
} from '../node/trade-words.ts'
import type { Correction, Transaction } from '../protocol/transaction.ts'

/** What a transaction says, for people: who, when, how much; each correction, and what they leave. No raw JSON. */
export function transactionLines(
  transaction: Transaction,
  corrections: readonly Correction[],
  currency: string,
): readonly string[] {
  const when = `date        ${localTime(transaction.timestamp)}`
  switch (transaction.kind) {
    case 'registry':
      return [
        when,
        `change      ${transaction.action} of ${transaction.subject_id} in the registry (${transaction.id})`,
      ]
    case 'correction':
      return [when, `correction  of ${transaction.corrects}: ${correctionWords(transaction, currency)}`]
    case 'trade': {
      const { kwh, price_per_kwh, total_amount, payload } = transaction
      const sum = corrections.reduce<CorrectionSum | undefined>(addCorrection, undefined)
      const net = netWords(netOf(transaction, sum), currency)
      return [
        when,
        `trade       ${tradeWords(transaction, undefined, currency)}`,
        `energy      ${kwh} kWh`,
        `price       ${price_per_kwh} ${currency}/kWh`,
        `amount      ${total_amount} ${currency}`,
        ...(payload === undefined
          ? []
          : ['payload     for the parties and auditors alone: solar-node payload decrypt']),
        ...corrections.map(
          (one) => `corrected   ${localTime(one.timestamp)}: ${correctionWords(one, currency)} by ${one.id}`,
        ),
        ...(corrections.length === 0
          ? []
          : [`left        ${net}, after ${corrections.length} correction${corrections.length === 1 ? '' : 's'}`]),
      ]
    }
  }
}
