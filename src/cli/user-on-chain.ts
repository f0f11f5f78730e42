import { isJsonObject } from '../protocol/shape.ts'
import type { HttpClient } from './replay/http-client.ts'

/**
 * Says what the chain of an authority calls the users of its platform; each is asked for once, and of a plain ledger the first alone.
 * Whoever may not ask (an auditor) names users as the chain does.
 */
export function usersOnChain(http: Pick<HttpClient, 'get'>): (userId: string) => Promise<string> {
  const names = new Map<string, string>()
  let isPlain = false
  return async (userId) => {
    const known = isPlain ? userId : names.get(userId)
    if (known !== undefined) return known
    const { status, body } = await http.get(`users/${encodeURIComponent(userId)}/pseudonym`)
    const pseudonym = status === 200 && isJsonObject(body) ? body.pseudonym : null
    if (typeof pseudonym !== 'string') {
      isPlain = true
      return userId
    }
    names.set(userId, pseudonym)
    return pseudonym
  }
}
