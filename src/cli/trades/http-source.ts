import type { OwnTradesSource, SourcedTransaction } from '../../node/own-trades-source.ts'
import { decodeGenesis } from '../../protocol/genesis.ts'
import { array, blockHeight, hash32, isJsonObject, nullable, refuse, text, type Shape } from '../../protocol/shape.ts'
import { shownTransactionShape } from '../../protocol/transaction.ts'
import { usersOnChain } from '../user-on-chain.ts'
import { problemOf, type HttpAnswer, type HttpClient } from '../replay/http-client.ts'

const PAGE = 1_000
const cursor = nullable(text(/^[\x21-\x7e]{1,256}$/, 'the cursor of the next page'))

const placed: Shape<SourcedTransaction> = (value, path) => {
  if (!isJsonObject(value)) return refuse(path, 'an object', value)
  const { tx_hash, block_hash, height, ...rest } = value
  nullable(hash32)(block_hash, `${path}.block_hash`)
  const hash = hash32(tx_hash, `${path}.tx_hash`)
  const transaction = shownTransactionShape(rest.kind === 'redacted' ? { ...rest, tx_hash } : rest, path)
  return { transaction, tx_hash: hash, height: nullable(blockHeight)(height, `${path}.height`) }
}
const rows = array(placed, PAGE)

/** The trades of a user at a running authority, by the token of its platform or of an auditor. */
export async function httpTrades(http: HttpClient, userId: string): Promise<OwnTradesSource> {
  const { genesis } = okBody('the genesis', await http.get('genesis'))
  return {
    user: await usersOnChain(http)(userId),
    currency: decodeGenesis(genesis).currency,
    caveat: null,
    async *pages({ from, to }) {
      let after: string | null = null
      do {
        const query = new URLSearchParams({
          user_id: userId,
          ...{ from: String(from), to: String(to), limit: String(PAGE) },
          ...(after !== null && { after }),
        })
        const answer = okBody('the trades', await http.get(`transactions?${query}`))
        const next: string | null = cursor(answer.next, 'next')
        if (next !== null && next === after) throw new Error(`the trades: the node gives the page after ${next} again`)
        yield rows(answer.transactions, 'transactions')
        after = next
      } while (after !== null)
    },
  }
}

function okBody(what: string, { status, body }: HttpAnswer): Record<string, unknown> {
  if (status >= 200 && status <= 299 && isJsonObject(body)) return body
  const { code, detail } = problemOf(body)
  const hint =
    status === 401 || status === 403
      ? '; this takes a platform or auditor token: --token-file FILE, with one value of tokens.json as plain text'
      : ''
  throw new Error(`${what}: HTTP ${status} ${code} ${detail}${hint}`.replace(/\s+/g, ' '))
}
