import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

export interface HttpServer {
  /** Listens. Rejects with the system's error (`EADDRINUSE`, `EACCES`, ...). Port 0 picks a free one. */
  start(): Promise<{ readonly host: string; readonly port: number }>
  /** Ends event streams, answers what is in hand for up to 1.5 s, then closes every connection. */
  stop(): Promise<void>
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
}

/** Requests in hand are finished within this; who stops the node waits at most 2 s for HTTP. */
const GRACE_MS = 1_500

/** Start and stop of an app, the same for every server. */
export function createLifecycle(
  app: FastifyInstance,
  { host, port }: ListenOptions,
  hooks: { readonly opened: () => void; readonly closing: () => void },
): HttpServer {
  return {
    async start() {
      // Fastify would listen twice on "localhost", and only one of the two could be closed by force.
      await app.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port })
      hooks.opened()
      const { address, port: actual } = app.server.address() as AddressInfo
      return { host: address, port: actual }
    },
    async stop() {
      hooks.closing()
      const force = setTimeout(() => app.server.closeAllConnections(), GRACE_MS)
      try {
        await app.close()
      } finally {
        clearTimeout(force)
      }
    },
  }
}
