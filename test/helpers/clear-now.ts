import * as clearing from '../../src/market/clearing.ts'
import * as market from '../../src/market/trades.ts'
import { atOnce } from '../../src/protocol/pieces.ts'

/** What the functions of these names in src/market give, without a pause: books of tests are small. */
export const clear = (...args: Parameters<typeof clearing.clear>): clearing.Clearing => atOnce(clearing.clear(...args))

export const tradesOf = (...args: Parameters<typeof market.tradesOf>) => atOnce(market.tradesOf(...args))
