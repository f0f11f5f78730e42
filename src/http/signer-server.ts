import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { timingSafeEqual } from 'node:crypto'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { codeOf } from '../ports/file-trouble.ts'
import type { Logger } from '../ports/logger.ts'
import type { Signer, SignerAddress } from '../ports/signer.ts'
import { bytesToHex, hexToBytes, type Hash } from '../protocol/bytes.ts'
import { object, publicKeyHex, text } from '../protocol/shape.ts'
import { MAX_SIGNED_BYTES } from '../protocol/signed-message.ts'
import { readBodies } from './bodies.ts'
import { httpError, problemOf, PROBLEM_TYPE } from './problem.ts'
import { hashToken } from './tokens.ts'

export interface SignerServerOptions {
  readonly address: SignerAddress
  /** Of the Unix socket: who may connect. */
  readonly socketMode: number
  /** SHA-256 of the bearer token that every request must bring; absent: who can connect may ask. */
  readonly tokenHash: Hash | undefined
}

export interface SignerServer {
  /** Listens; gives the address as people write it, with the real port. Rejects with the system's error. */
  start(): Promise<string>
  /** Answers what is in hand for up to a second. */
  stop(): Promise<void>
}

/** A message in hex, and what stands around it. */
const BODY_LIMIT = 2 * MAX_SIGNED_BYTES + 1024
const REQUEST_TIMEOUT_MS = 5_000
const KEEP_ALIVE_MS = 60_000
/** Of one node there are a few; more would only keep others out. */
const MAX_CONNECTIONS = 64
const GRACE_MS = 1_000

const signShape = object({
  public_key: publicKeyHex,
  message: text(/^(?:[0-9a-f]{2})+$/, 'bytes in lower-case hex'),
})

/** The HTTP side of a signer: `GET /keys` and `POST /sign` (docs/protocol.md 11). */
export function createSignerServer(
  { signer, chainId, logger }: { readonly signer: Signer; readonly chainId: Hash; readonly logger: Logger },
  { address, socketMode, tokenHash }: SignerServerOptions,
): SignerServer {
  const app = createSignerApp(logger, tokenHash)
  app.get('/keys', async () => ({ chain_id: chainId, keys: await signer.keys() }))
  app.post('/sign', async ({ body }) => {
    const { public_key, message } = signShape(body, 'body')
    return { signature: bytesToHex(await signer.sign(public_key, hexToBytes(message))) }
  })

  return {
    async start() {
      if (address.kind === 'tcp') {
        const { host, port } = address
        return await app.listen({ host, port })
      }
      await removeStaleSocket(address.path)
      // The mask of the process keeps others out until it has its mode.
      await app.listen({ path: address.path })
      await chmod(address.path, socketMode)
      return `unix:${address.path}`
    },
    async stop() {
      const force = setTimeout(() => app.server.closeAllConnections(), GRACE_MS)
      try {
        await app.close()
      } finally {
        clearTimeout(force)
      }
    },
  }
}

function createSignerApp(logger: Logger, tokenHash: Hash | undefined): FastifyInstance {
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { status, headers, body } = problemOf(error, BODY_LIMIT)
    const { code, detail } = body
    const level = status >= 500 ? 'error' : 'warn'
    logger[level]({ method: request.method, code, ...(status >= 500 && { error }) }, `refused: ${String(detail)}`)
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    return reply
      .code(status)
      .headers(headers)
      .type(PROBLEM_TYPE)
      .send(Buffer.from(JSON.stringify(body)))
  }
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    return503OnClosing: false,
    exposeHeadRoutes: false,
    frameworkErrors: (error: FastifyError, request, reply) => void refuse(error, request, reply),
  })
  readBodies(app)
  const strangers = limitStrangers(app)
  // Before the body is read.
  app.addHook('onRequest', (request, _reply, done) => {
    const isKnown = tokenHash === undefined || bears(request, tokenHash)
    if (isKnown) strangers.delete(request.raw.socket)
    done(isKnown ? undefined : notBearing())
  })
  app.setErrorHandler(refuse)
  app.setNotFoundHandler(({ method, url }) => {
    throw httpError('not_found', { method, path: url.slice(0, 80) })
  })
  return app
}

/**
 * When there are as many connections as there may be, the oldest that has not yet brought the token gives way: who holds
 * places and says nothing keeps no node out.
 *
 * @returns the connections that have not
 */
function limitStrangers({ server }: FastifyInstance): Set<Socket> {
  const strangers = new Set<Socket>()
  let open = 0
  server.prependListener('connection', (socket) => {
    if (open >= MAX_CONNECTIONS) {
      const [oldest = socket] = strangers
      oldest.destroy()
      if (oldest === socket) return
      strangers.delete(oldest)
    }
    open++
    strangers.add(socket)
    socket.once('close', () => {
      open--
      strangers.delete(socket)
    })
  })
  return strangers
}

const BEARER = /^Bearer +([\x21-\x7e]{1,512}) *$/i

function bears({ headers }: FastifyRequest, tokenHash: Hash): boolean {
  const token = BEARER.exec(headers.authorization ?? '')?.[1]
  return token !== undefined && timingSafeEqual(hexToBytes(hashToken(token)), hexToBytes(tokenHash))
}

const notBearing = () => httpError('missing_credential', { accepted: "the token of the signer's --token-file" })

/** What a kill has left is removed; a socket that somebody listens on, and what is no socket, is left to `listen` to refuse. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSocket() !== true || (await isListenedOn(path))) return
  await unlink(path)
}

const isListenedOn = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'))
  })
