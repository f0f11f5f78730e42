import { WebSocket as NodeWebSocket } from 'ws'

/**
 * What libp2p expects of its host and Node 20 does not have. Imported first by the Node entry of this room, for its
 * effect alone, and never by what runs in browsers: both are there.
 */
function withResolvers(): PromiseWithResolvers<unknown> {
  let resolve: (value: unknown) => void = () => undefined
  let reject: (reason?: unknown) => void = () => undefined
  const promise = new Promise<unknown>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

const promises = Promise as { withResolvers?: unknown }
promises.withResolvers ??= withResolvers

// Global in Node 22.
const host = globalThis as { WebSocket?: unknown }
host.WebSocket ??= NodeWebSocket
