import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalBytes, parseCanonicalBytes } from '../protocol/canonical-json.ts'
import { isSolarError, protocolError } from '../protocol/errors.ts'
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from '../protocol/limits.ts'
import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests, RequestHandler, RequestName } from '../ports/peer-requests.ts'
import { STREAM_COST } from './costs.ts'
import { deadline, reasonOf } from './deadline.ts'
import { frameStream, type FrameStream } from './frames.ts'
import type { PeerGuard } from './guard.ts'
import { INBOUND_STREAMS, OUTBOUND_STREAMS, REQUEST_LIMIT_MS } from './limits.ts'
import { protocolName } from './names.ts'
import { readRefusal } from './refusal.ts'
import { serveStream } from './request-server.ts'
import { createStreamPool, type StreamPool } from './stream-pool.ts'

export interface RequestsOptions {
  readonly node: Libp2p
  /** Undefined: only `genesis` can be asked and served. */
  readonly chainId: Hash | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly guard: PeerGuard
  /** Aborted when the node stops. */
  readonly stopping: AbortSignal
}

/** Requests and answers over libp2p. */
export interface RequestsOverLibp2p extends PeerRequests {
  /** Resolves when all that was served so far is announced to libp2p. */
  served(): Promise<void>
  stop(): void
}

export function createRequests(options: RequestsOptions): RequestsOverLibp2p {
  const { node, chainId, clock, logger, guard, stopping } = options
  const pools = new Map<string, StreamPool>()
  const announced: Promise<void>[] = []

  function serve(name: RequestName, handler: RequestHandler): void {
    const protocol = protocolName(chainId, name)
    const announcement = node.handle(
      protocol,
      (stream, connection) => {
        const from = connection.remotePeer.toString()
        guard.charge(from, STREAM_COST)
        void serveStream({ stream, protocol, from, handler, clock, logger, guard, stopping })
      },
      { maxInboundStreams: INBOUND_STREAMS, maxOutboundStreams: OUTBOUND_STREAMS * 2 },
    )
    announced.push(announcement)
    announcement.catch((error: unknown) => logger.error({ protocol, err: error }, 'a request cannot be served'))
  }

  function poolOf(peer: string, protocol: string): StreamPool {
    const key = `${peer} ${protocol}`
    const known = pools.get(key)
    if (known !== undefined) return known
    const pool = createStreamPool({
      open: (signal) => openStream(node, peer, protocol, signal),
      clock,
      stopping,
      onIdle: () => {
        if (pool.isEmpty()) pools.delete(key)
      },
    })
    pools.set(key, pool)
    return pool
  }

  async function request(peer: string, name: RequestName, params: object): Promise<unknown> {
    const protocol = protocolName(chainId, name)
    const bytes = encodeRequest(name, params)
    const limit = deadline(clock, REQUEST_LIMIT_MS, `asking for ${name}`, stopping)
    const pool = poolOf(peer, protocol)
    const isAnswered = guard.expectAnswer(peer)
    try {
      const answer = await pool.use((stream) => exchange(stream, bytes, limit.signal), limit.signal)
      const refusal = readRefusal(answer)
      if (refusal === undefined) return answer
      throw ledgerError('peer_refused', { peer, request: name, code: refusal.code, reason: refusal.message })
    } catch (error) {
      if (isSolarError(error, 'peer_refused') || isSolarError(error, 'peer_unreachable')) throw error
      const reason = reasonOf(limit.signal.aborted ? limit.signal.reason : error)
      throw ledgerError('peer_unreachable', { peer, reason }, error)
    } finally {
      limit.clear()
      isAnswered()
      if (pool.isEmpty()) pools.delete(`${peer} ${protocol}`)
    }
  }

  return {
    id: node.peerId.toString(),
    serve,
    request,
    vouch: (peer, key, standing) => guard.vouch(peer, key, standing),
    peers: () => node.getPeers().map((peer) => peer.toString()),
    onConnect: (listener) => {
      const onConnect = (event: CustomEvent<{ toString(): string }>) => listener(event.detail.toString())
      node.addEventListener('peer:connect', onConnect)
      return () => node.removeEventListener('peer:connect', onConnect)
    },
    served: async () => {
      await Promise.all(announced.splice(0))
    },
    stop: () => {
      for (const pool of pools.values()) pool.clear()
      pools.clear()
    },
  }
}

function encodeRequest(name: RequestName, params: object): Uint8Array {
  const bytes = canonicalBytes(params)
  if (bytes.byteLength <= MAX_REQUEST_BYTES) return bytes
  const expected = `at most ${MAX_REQUEST_BYTES} bytes`
  throw protocolError('malformed', { path: `${name} parameters`, expected, got: `${bytes.byteLength}` })
}

async function exchange(stream: FrameStream, request: Uint8Array, signal: AbortSignal): Promise<unknown> {
  await stream.write(request, signal)
  return parseCanonicalBytes(await stream.read(signal))
}

/** Over the newest connection: an older one may be half-open without either side knowing. */
async function openStream(node: Libp2p, peer: string, protocol: string, signal: AbortSignal): Promise<FrameStream> {
  const connection = node
    .getConnections(peerIdFromString(peer))
    .filter(({ status }) => status === 'open')
    .sort((a, b) => b.timeline.open - a.timeline.open)[0]
  if (connection === undefined) throw ledgerError('peer_unreachable', { peer, reason: 'not connected' })
  const stream = await connection.newStream(protocol, { signal, maxOutboundStreams: OUTBOUND_STREAMS * 2 })
  return frameStream(stream, MAX_RESPONSE_BYTES, MAX_REQUEST_BYTES)
}
