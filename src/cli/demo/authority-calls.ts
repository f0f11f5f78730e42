import { isJsonObject } from '../../protocol/shape.ts'

/** An answer of the authority that is none of 2xx. */
class RefusedCall extends Error {
  override readonly name = 'RefusedCall'
  readonly status: number
  /** The problem's code, or the status where the answer is no problem+json. */
  readonly code: string

  constructor(status: number, body: unknown) {
    const { detail, code } = isJsonObject(body) ? body : {}
    super(typeof detail === 'string' ? detail : `it answered with status ${status}`)
    this.status = status
    this.code = typeof code === 'string' ? code : String(status)
  }
}

export interface CallOptions {
  readonly signal: AbortSignal
  /** Bearer token. */
  readonly token?: string
}

/** Posts JSON to the authority and gives its answer. Throws what `troubleOf` puts into words. */
export async function post(url: string, body: object, { signal, token }: CallOptions): Promise<unknown> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal })
  const answer: unknown = await response.json().catch(() => undefined)
  if (!response.ok) throw new RefusedCall(response.status, answer)
  return answer
}

/** Why a call of the authority failed. */
export interface Trouble {
  /** Equal for the same trouble, whichever order or tick it met. */
  readonly key: string
  /** For people, in one line. */
  readonly message: string
  /** True if the same call would be refused again. */
  readonly isRefusal: boolean
}

const TOO_MANY_REQUESTS = 429

export function troubleOf(error: unknown): Trouble {
  if (error instanceof RefusedCall) {
    const { code, message, status } = error
    return { key: code, message, isRefusal: status >= 400 && status < 500 && status !== TOO_MANY_REQUESTS }
  }
  // fetch says "fetch failed", and why in its cause.
  const told = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const message = told instanceof Error ? told.message : String(told)
  return { key: message, message, isRefusal: false }
}
