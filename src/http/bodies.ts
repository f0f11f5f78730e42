import type { FastifyInstance, FastifyRequest } from 'fastify'
import { inTurns } from '../ports/turns.ts'
import { isSolarError, protocolError } from '../protocol/errors.ts'
import { parseJsonInPieces } from '../protocol/json.ts'
import type { Pieces } from '../protocol/pieces.ts'
import { shown } from '../protocol/shown.ts'
import { decodeTextInPieces } from '../protocol/text.ts'
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
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, bytes: Buffer) => {
    if (takesText(request)) return bytes.toString('utf8')
    try {
      return await inTurns(parseBody(bytes))
    } catch (error) {
      if (isSolarError(error, 'malformed')) throw error
      const got = error instanceof Error ? error.message : 'something else'
      throw protocolError('malformed', { path: 'body', expected: 'JSON', got }, error)
    }
  })
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

function* parseBody(bytes: Buffer): Pieces<unknown> {
  const text = yield* decodeTextInPieces(bytes)
  if (!/\S/.test(text)) return undefined
  const { value, repeatsName } = yield* parseJsonInPieces(text)
  if (!repeatsName) return value
  throw protocolError('malformed', { path: 'body', expected: 'each field once', got: 'a field twice' })
}

const takesText = (request: FastifyRequest): boolean => request.routeOptions.config.call?.textBody === true
