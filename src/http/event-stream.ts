import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../ports/clock.ts'
import type { ChainLedger, LedgerEvent } from '../ports/ledger.ts'
import { EVENT_STREAM } from './call.ts'
import { createClients, type Clients } from './client-address.ts'
import { httpError } from './problem.ts'

/** Server-sent events (WHATWG HTML, 9.2): everybody may listen, nobody may make this node remember without bound. */
export const MAX_STREAMS = 512
export const MAX_STREAMS_PER_ADDRESS = 64
/** A client that lets this much wait is dropped; it comes back and asks for the newest headers. */
export const MAX_WAITING_BYTES = 256 * 1024
/** Below the idle limits of common proxies (60 s), and how a dead connection is noticed. */
export const HEARTBEAT_MS = 15_000

export interface EventStream {
  /** Begins to listen to the ledger. */
  open(): void
  /** Takes the connection over and streams to it. Throws `too_many_streams`. */
  add(request: FastifyRequest, reply: FastifyReply): void
  /** Number of connected clients. */
  size(): number
  /** Ends every stream. */
  close(): void
}

/** The data of an event; a header has the shape it has in `latest-headers`. */
function dataOf(event: LedgerEvent): object {
  switch (event.type) {
    case 'header': {
      const { header_hash, sealed, status } = event
      return { header: sealed.header, header_hash, signature: sealed.signature, status }
    }
    case 'final':
      return { header_hash: event.header_hash, height: event.height, finalized_at: event.finalized_at }
    case 'vote':
      return { vote: event.vote, votes: event.votes }
    case 'evidence':
      return { evidence: event.evidence }
  }
}

export function createEventStream(
  ledger: Pick<ChainLedger, 'subscribe'>,
  clock: Clock,
  clients: Clients = createClients(),
): EventStream {
  const streams = new Map<FastifyReply['raw'], string>()
  let lastId = 0
  let stopListening: (() => void) | undefined
  let stopHeartbeat: (() => void) | undefined

  const send = (text: string): void => {
    for (const stream of streams.keys()) {
      if (stream.writableLength > MAX_WAITING_BYTES) stream.destroy()
      else stream.write(text)
    }
  }
  const beat = (): void => {
    stopHeartbeat = clock.after(HEARTBEAT_MS, () => {
      send(': still here\n\n')
      beat()
    })
  }

  /** When there are as many as there may be, the oldest of the address with the most gives way to one with fewer. */
  const makeRoom = (address: string): void => {
    const byAddress = new Map<string, FastifyReply['raw'][]>()
    for (const [stream, other] of streams) {
      const others = byAddress.get(other)
      if (others === undefined) byAddress.set(other, [stream])
      else others.push(stream)
    }
    const own = byAddress.get(address)?.length ?? 0
    if (own >= MAX_STREAMS_PER_ADDRESS) throw httpError('too_many_streams', { limit: MAX_STREAMS_PER_ADDRESS })
    if (streams.size < MAX_STREAMS) return
    const [crowd = []] = [...byAddress.values()].sort((one, other) => other.length - one.length)
    const [oldest] = crowd
    if (oldest === undefined || crowd.length <= own + 1) throw httpError('too_many_streams', { limit: MAX_STREAMS })
    streams.delete(oldest)
    oldest.destroy()
  }

  return {
    open() {
      if (stopListening !== undefined) return
      stopListening = ledger.subscribe((event) => {
        lastId += 1
        send(`id: ${lastId}\nevent: ${event.type}\ndata: ${JSON.stringify(dataOf(event))}\n\n`)
      })
      beat()
    },
    add(request, reply) {
      const address = normalizeIP(clients.of(request).address)
      makeRoom(address)
      reply.hijack()
      const stream = reply.raw
      streams.set(stream, address)
      stream.on('close', () => streams.delete(stream))
      stream.on('error', () => stream.destroy())
      for (const [name, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) stream.setHeader(name, value)
      }
      stream.writeHead(200, {
        'content-type': `${EVENT_STREAM}; charset=utf-8`,
        'x-accel-buffering': 'no',
        connection: 'close',
      })
      stream.write('retry: 2000\n\n')
    },
    size: () => streams.size,
    close() {
      stopListening?.()
      stopHeartbeat?.()
      stopListening = undefined
      for (const stream of streams.keys()) stream.end()
    },
  }
}
