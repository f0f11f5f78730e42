import type { FastifyInstance, FastifyRequest } from 'fastify'
import { protocolError } from '../protocol/errors.ts'
import { decodeText } from '../protocol/text.ts'
import { httpError } from './problem.ts'

/**
 * JSON is all that is read, but for calls that take text of any type. NaN, a half document and an empty one where one is
 * declared are refused here; a byte order mark is ignored (RFC 8259, 8.1).
 */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (takesText(request)) done(null, bytes.toString('utf8'))
    else done(httpError('unsupported_media_type', { expected: 'application/json' }))
  })
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (takesText(request)) {
      done(null, bytes.toString('utf8'))
      return
    }
    try {
      const text = decodeText(bytes)
      done(null, text.trim() === '' ? undefined : JSON.parse(text))
    } catch (error) {
      const got = error instanceof Error ? error.message : 'something else'
      done(protocolError('malformed', { path: 'body', expected: 'JSON', got }, error))
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
  throw httpError('unsupported_encoding', { encoding: encoding.slice(0, 40) })
}

const takesText = (request: FastifyRequest): boolean => request.routeOptions.config.call?.textBody === true
