import type { Listener, Transport } from '@libp2p/interface'
import { WebSocketServer } from 'ws'
import { WEBSOCKET_MESSAGE_BYTES } from './limits.ts'

/**
 * The transport with listeners that outlive what strangers send: libp2p's takes messages of 100 MiB, and hears of no error of a
 * WebSocket, so that a frame which is none would end the process.
 */
export const withGuardedFrames =
  <Components>(transport: (components: Components) => Transport) =>
  (components: Components): Transport => {
    const guarded = transport(components)
    const createListener = guarded.createListener.bind(guarded)
    guarded.createListener = (options) => {
      const listener = createListener(options)
      guardFrames(serverOf(listener))
      return listener
    }
    return guarded
  }

function guardFrames(server: WebSocketServer): void {
  server.options.maxPayload = WEBSOCKET_MESSAGE_BYTES
  const handleUpgrade = server.handleUpgrade.bind(server)
  server.handleUpgrade = (request, socket, head, done) =>
    handleUpgrade(request, socket, head, (webSocket, ...rest) => {
      webSocket.on('error', () => webSocket.terminate())
      done(webSocket, ...rest)
    })
}

/** libp2p has no setting for it, but its listeners carry their servers. Throws if a version of it does not. */
function serverOf(listener: Listener): WebSocketServer {
  const { wsServer } = listener as { readonly wsServer?: unknown }
  if (wsServer instanceof WebSocketServer) return wsServer
  throw new Error('this version of libp2p has WebSocket listeners of another kind')
}
