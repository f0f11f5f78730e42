import { isJsonObject } from '../protocol/shape.ts'
import { replayError } from './replay/errors.ts'
import { problemOf, type HttpClient } from './replay/http-client.ts'

/** An auditor; an authority of a version without pseudonyms. */
const MAY_NOT_ASK: readonly number[] = [401, 403, 404]

/**
 * Says what the chain of an authority calls the users of its platform; each is asked for once, and of a
 * plain ledger the first alone. Whoever may not ask names users as the chain does. The returned function
 * throws `refused`.
 */
export function usersOnChain(http: Pick<HttpClient, 'get'>): (userId: string) => Promise<string> {
  const names = new Map<string, string>()
  let isPlain = false
  return async (userId) => {
    const known = isPlain ? userId : names.get(userId)
    if (known !== undefined) return known
    const { status, body } = await http.get(`users/${encodeURIComponent(userId)}/pseudonym`)
    const pseudonym = status === 200 && isJsonObject(body) ? body.pseudonym : undefined
    if (pseudonym === null || MAY_NOT_ASK.includes(status)) {
      isPlain = true
      return userId
    }
    // What would be written of the user by another name stays for ever.
    if (typeof pseudonym !== 'string') {
      throw replayError('refused', { what: `the pseudonym of ${userId}`, status, ...problemOf(body) })
    }
    names.set(userId, pseudonym)
    return pseudonym
  }
}
