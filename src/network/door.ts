import { Server, type Socket } from 'node:net'
import type { Listener, Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { WebSocketServer } from 'ws'
import type { Clock } from '../ports/clock.ts'
import { hostKey } from './address.ts'
import { HANDSHAKE_LIMIT_MS, PENDING_CONNECTIONS, WEBSOCKET_MESSAGE_BYTES } from './limits.ts'

/** Stands before the listeners of libp2p, which wait for the first byte of a WebSocket for ever. */
export interface Door {
  /** The transport, with this door before each of its listeners. */
  before<Components>(transport: (components: Components) => Transport): (components: Components) => Transport
  /** The connection from this address has proven whose it is. */
  passed(from: Multiaddr): void
}

interface Waiting {
  readonly socket: Socket
  readonly address: string
  readonly leave: () => void
}

/**
 * Sockets whose peer has not shown its key yet have `PENDING_CONNECTIONS` places and `HANDSHAKE_LIMIT_MS`. When all places
 * are taken, the oldest of the address with the most gives way, so sockets that stay silent keep nobody out.
 */
export function createDoor(clock: Clock): Door {
  const waiting = new Map<string, Waiting>()

  function makeRoom(): void {
    if (waiting.size < PENDING_CONNECTIONS) return
    const byAddress = new Map<string, Waiting[]>()
    for (const one of waiting.values()) {
      const others = byAddress.get(one.address)
      if (others === undefined) byAddress.set(one.address, [one])
      else others.push(one)
    }
    const [crowd] = [...byAddress.values()].sort((one, other) => other.length - one.length)
    crowd?.[0]?.socket.destroy()
    crowd?.[0]?.leave()
  }

  function admit(socket: Socket): void {
    makeRoom()
    const { remoteAddress = '', remotePort = 0 } = socket
    const key = keyOf(remoteAddress, remotePort)
    const cancel = clock.after(HANDSHAKE_LIMIT_MS, () => socket.destroy())
    const entry: Waiting = {
      socket,
      address: hostKey(remoteAddress),
      leave: () => {
        cancel()
        if (waiting.get(key) === entry) waiting.delete(key)
      },
    }
    waiting.set(key, entry)
    socket.once('close', entry.leave)
    socket.on('error', () => socket.destroy())
  }

  return {
    before: (transport) => (components) => {
      const guarded = transport(components)
      const createListener = guarded.createListener.bind(guarded)
      guarded.createListener = (options) => {
        const listener = createListener(options)
        const { server, wsServer } = innerOf(listener)
        server.prependListener('connection', admit)
        if (wsServer !== undefined) guardFrames(wsServer)
        return listener
      }
      return guarded
    },
    passed(from) {
      const [host, port] = from.getComponents()
      waiting.get(keyOf(host?.value ?? '', Number(port?.value)))?.leave()
    },
  }
}

function guardFrames(server: WebSocketServer): void {
  server.options.maxPayload = WEBSOCKET_MESSAGE_BYTES
  const handleUpgrade = server.handleUpgrade.bind(server)
  server.handleUpgrade = (request, socket, head, done) =>
    handleUpgrade(request, socket, head, (webSocket, ...rest) => {
      // Nobody else listens for it: a frame that is none would end the process.
      webSocket.on('error', () => webSocket.terminate())
      done(webSocket, ...rest)
    })
}

const keyOf = (host: string, port: number): string => `${hostKey(host)} ${port}`

/** libp2p has no setting for what is set here, but its listeners carry their servers. Throws if a version of it does not. */
function innerOf(listener: Listener): { readonly server: Server; readonly wsServer: WebSocketServer | undefined } {
  const { server, wsServer } = listener as { readonly server?: unknown; readonly wsServer?: unknown }
  if (!(server instanceof Server)) throw new Error('this version of libp2p has listeners without a server')
  if (wsServer !== undefined && !(wsServer instanceof WebSocketServer)) {
    throw new Error('this version of libp2p has WebSocket listeners of another kind')
  }
  return { server, wsServer }
}
