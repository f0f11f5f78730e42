import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import { MAX_HEADERS_PER_REQUEST } from '../protocol/limits.ts'
import { headersAnswer } from '../protocol/messages.ts'

/**
 * The headers below `sealed` and above a height, newest first: those that are held, and for the others
 * whatever a peer shows that the links lead to. Throws `not_ready` if nobody shows one.
 */
export async function* ancestorsOf(
  { header }: SealedHeader,
  above: number,
  held: readonly SealedHeader[],
  requests: PeerRequests,
): AsyncGenerator<SealedHeader> {
  let known = byHash(held)
  let expected = header.prev_hash
  for (let height = header.height - 1; height > above; height--) {
    if (!known.has(expected)) known = byHash(await fetchChain(requests, { hash: expected, height }, above))
    const found = known.get(expected)
    if (found === undefined) throw notShown(height, expected)
    yield found
    expected = found.header.prev_hash
  }
}

const byHash = (headers: readonly SealedHeader[]): ReadonlyMap<Hash, SealedHeader> =>
  new Map(headers.map((sealed) => [hashHeader(sealed.header), sealed]))

/** The headers that lead to this one, as many as one answer has. */
async function fetchChain(
  requests: PeerRequests,
  { hash, height }: { readonly hash: Hash; readonly height: number },
  above: number,
): Promise<readonly SealedHeader[]> {
  const from_height = Math.max(above + 1, height - MAX_HEADERS_PER_REQUEST + 1, 0)
  const asked = { from_height, count: height - from_height + 1 }
  for (const peer of requests.peers()) {
    try {
      const { headers } = headersAnswer(await requests.request(peer, 'headers', asked), 'headers')
      if (headers.length === asked.count && areLinked(headers, hash)) return headers
    } catch {
      // The next one may show them.
    }
  }
  throw notShown(height, hash)
}

function areLinked(headers: readonly SealedHeader[], last: Hash): boolean {
  let expected = last
  for (const { header } of headers.toReversed()) {
    if (hashHeader(header) !== expected) return false
    expected = header.prev_hash
  }
  return true
}

const notShown = (height: number, hash: Hash): Error =>
  ledgerError('not_ready', { reason: `no peer shows the header ${hash} of height ${height}` })
