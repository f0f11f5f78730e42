import type { IncomingMessage } from 'node:http'
import { errorCodes, type FastifyInstance, type FastifyRequest } from 'fastify'
import { inTurns } from '../ports/turns.ts'
import { isSolarError, protocolError } from '../protocol/errors.ts'
import { parseJsonInPieces } from '../protocol/json-pieces.ts'
import type { Pieces } from '../protocol/pieces.ts'
import { shown } from '../protocol/shown.ts'
import { decodeText } from '../protocol/text.ts'
import { httpError } from './problem.ts'

/**
 * JSON is all that is read, but for calls that take text of any type. NaN, a half document, an empty one
 * where one is declared, and a field that is there twice are refused here; a byte order mark is ignored (RFC
 * 8259, 8.1).
 */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (takesText(request)) done(null, bytes.toString('utf8'))
    else done(httpError('unsupported_media_type', { expected: 'application/json' }))
  })
  // As a stream: a large body is never one text, nor one buffer.
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    const chunks = await readChunks(request, payload)
    if (takesText(request)) return Buffer.concat(chunks).toString('utf8')
    try {
      return await inTurns(parseBody(chunks))
    } catch (error) {
      if (isSolarError(error, 'malformed')) throw error
      const got = error instanceof Error ? error.message : 'something else'
      throw protocolError('malformed', { path: 'body', expected: 'JSON', got }, error)
    }
  })
}

/** The bytes of a body, as they came. Throws the errors that Fastify has for it. */
async function readChunks(
  { headers, routeOptions }: FastifyRequest,
  payload: IncomingMessage,
): Promise<readonly Buffer[]> {
  const announced = Number(headers['content-length'])
  const limit = routeOptions.bodyLimit
  if (announced > limit) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
  const chunks: Buffer[] = []
  let size = 0
  try {
    // Not destroyed where it is too large: there is an answer to be sent.
    for await (const chunk of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
      chunks.push(chunk)
    }
  } catch (error) {
    // The client is gone.
    if (error instanceof Error && !('statusCode' in error)) Object.assign(error, { statusCode: 400 })
    throw error
  }
  if (!Number.isNaN(announced) && size !== announced) throw new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH()
  return chunks
}

/**
 * A compressed body would have to be unpacked before anything is known of it, for a tick that is a few KiB: it is refused
 * before it is read. Throws `unsupported_encoding`.
 */
export function refuseEncodedBody({ headers }: FastifyRequest): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  if (encoding === undefined || encoding === '' || encoding === 'identity') return
  throw httpError('unsupported_encoding', { encoding: shown(encoding, 40) })
}

/** So much is decoded and parsed as one text. */
const SMALL_BYTES = 64 * 1024

function* parseBody(chunks: readonly Buffer[]): Pieces<unknown> {
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const text = size <= SMALL_BYTES ? decodeText(Buffer.concat(chunks)) : undefined
  if (text?.trim() === '') return undefined
  const { value, repeatsName } = yield* parseJsonInPieces(text ?? decodedParts(chunks))
  if (!repeatsName) return value
  throw protocolError('malformed', { path: 'body', expected: 'each field once', got: 'a field twice' })
}

/** As `decodeText`, chunk by chunk. Throws `malformed`. */
function* decodedParts(chunks: readonly Buffer[]): Generator<string> {
  // Two bytes may come in two chunks.
  const mark = Buffer.concat(chunks.slice(0, 2)).subarray(0, 2).toString('hex')
  const encoding = mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8'
  const decoder = new TextDecoder(encoding, { fatal: true })
  try {
    for (const chunk of chunks) yield decoder.decode(chunk, { stream: true })
    yield decoder.decode()
  } catch (cause) {
    const expected = 'UTF-8, or UTF-16 with a byte order mark'
    throw protocolError('malformed', { path: 'text', expected, got: 'other bytes' }, cause)
  }
}

const takesText = (request: FastifyRequest): boolean => request.routeOptions.config.call?.textBody === true
