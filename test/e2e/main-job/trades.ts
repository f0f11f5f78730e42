import assert from 'node:assert/strict'
import type { Community } from '../../helpers/community.ts'

/** Where a tick of this series went. */
export interface Sealed {
  readonly height: number
  readonly block_hash: string
  readonly transactions: readonly { readonly id: string; readonly tx_hash: string }[]
}

const HOUR_MS = 3_600_000
const START = Date.UTC(2016, 0, 1)

/** A row of `POST /ticks/`: `kwh` at 0.2, which must give a total of at most 6 decimals. */
export const tradeRow = (id: string, from: string, to: string, kwh = '1.5', total = '0.3') => ({
  id,
  from_user_id: from,
  to_user_id: to,
  kwh,
  price_per_kwh: '0.2',
  total_amount: total,
  timestamp: START,
})

/** A tick as a platform posts it. */
export const tickOf = (number: number, ...transactions: readonly object[]) => ({
  tick_id: `tick-${number}`,
  timestamp: START + number * HOUR_MS,
  transactions,
})

/**
 * Posts a tick of three trades, so that its Merkle tree has a duplicated node: `tick-<n>.0` from ann to ben, `.1` from cyd to
 * ann, `.2` from ann to cyd.
 */
export async function sealTick(community: Community, number: number): Promise<Sealed> {
  const rows = [
    tradeRow(`tick-${number}.0`, 'ann', 'ben'),
    tradeRow(`tick-${number}.1`, 'cyd', 'ann', '2.5', '0.5'),
    tradeRow(`tick-${number}.2`, 'ann', 'cyd', '0.25', '0.05'),
  ]
  const { status, body } = await community.call('POST', '/ticks/', { role: 'platform', body: tickOf(number, ...rows) })
  assert.equal(status, 200, JSON.stringify(body))
  return body as unknown as Sealed
}

/** Posts ticks from..to - 1, one after another. */
export async function sealTicks(community: Community, from: number, to: number): Promise<Sealed[]> {
  const sealed: Sealed[] = []
  for (let number = from; number < to; number++) sealed.push(await sealTick(community, number))
  return sealed
}
