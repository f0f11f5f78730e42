import type { Socket } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../ports/clock.ts'
import type { Clients } from './client-address.ts'
import { httpError } from './problem.ts'

/** A reader that takes nothing of its answer for so long is gone. */
export const ANSWER_IDLE_MS = 20_000
/** The whole of an answer: a block of 100,000 trades over a slow line. */
export const ANSWER_LIMIT_MS = 120_000
/** What may wait for the readers of one address: one such block, or very many small answers. */
export const MAX_UNREAD_BYTES = 64 * 1024 * 1024
/** Connections of one address; a browser has six. A proxy on this machine has them for everybody. */
export const MAX_CONNECTIONS_PER_ADDRESS = 128
/** Of all addresses, but of proxies: few enough that file descriptors are left for the stores (1,024 is a common limit). */
export const MAX_CONNECTIONS = 640

/** Requests of one connection that wait for their answers. Browsers send one after the other. */
export const MAX_PIPELINED = 16

const UNREAD_AGAIN_S = 5

/** Ends the connections of who does not read what it asked for, and bounds how many there are and what waits in them. */
export function limitReaders(app: FastifyInstance, clients: Clients, clock: Clock): void {
  limitConnections(app, clients)
  limitPipelines(app)
  const unread = new Map<string, number>()
  const add = (address: string, bytes: number): void => {
    const left = (unread.get(address) ?? 0) + bytes
    if (left > 0) unread.set(address, left)
    else unread.delete(address)
  }

  // What a handler has taken over (an event stream) does not come here.
  app.addHook('onSend', (request, reply, payload, done) => {
    const { raw } = reply
    const address = normalizeIP(clients.of(request).address)
    // Of a text its characters: to count its bytes would take as long as to send them.
    const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0
    const isSmall = reply.statusCode >= 400
    if (!isSmall && (unread.get(address) ?? 0) + bytes > MAX_UNREAD_BYTES && unread.has(address)) {
      done(httpError('too_many_requests', { retry_after_s: UNREAD_AGAIN_S }))
      return
    }
    add(address, bytes)
    raw.setTimeout(ANSWER_IDLE_MS)
    const cancel = clock.after(ANSWER_LIMIT_MS, () => raw.destroy())
    raw.once('close', () => {
      cancel()
      add(address, -bytes)
    })
    done(null, payload)
  })
}

/** Node hands over all requests of a packet at once, however many are unanswered. */
function limitPipelines(app: FastifyInstance): void {
  const inHand = new WeakMap<Socket, number>()
  const add = (socket: Socket, one: 1 | -1): number => {
    const count = (inHand.get(socket) ?? 0) + one
    inHand.set(socket, count)
    return count
  }
  app.addHook('onRequest', (request, reply, done) => {
    const { socket } = request.raw
    reply.raw.once('close', () => add(socket, -1))
    const isOver = add(socket, 1) > MAX_PIPELINED
    done(isOver ? httpError('too_many_requests', { retry_after_s: 1 }) : undefined)
  })
}

/** When there are as many as there may be, the oldest of the address with the most gives way to one with fewer. */
function limitConnections(app: FastifyInstance, clients: Clients): void {
  const open = new Map<string, Set<Socket>>()
  let count = 0

  function makeRoom(own: number): boolean {
    if (own >= MAX_CONNECTIONS_PER_ADDRESS) return false
    if (count < MAX_CONNECTIONS) return true
    const [crowd] = [...open.values()].sort((one, other) => other.size - one.size)
    if (crowd === undefined || crowd.size <= own + 1) return false
    const [oldest] = crowd
    oldest?.destroy()
    return true
  }

  app.server.prependListener('connection', (socket) => {
    const remote = socket.remoteAddress ?? ''
    if (clients.mayBeProxy(remote)) return
    const address = normalizeIP(remote)
    const own = open.get(address) ?? new Set<Socket>()
    if (!makeRoom(own.size)) {
      socket.destroy()
      return
    }
    open.set(address, own.add(socket))
    count++
    socket.once('close', () => {
      count--
      own.delete(socket)
      if (own.size === 0 && open.get(address) === own) open.delete(address)
    })
  })
}
