import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isSolarError, protocolError } from '../protocol/errors.ts'
import { parseJson, repeatsName } from '../protocol/json.ts'
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
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (takesText(request)) {
      done(null, bytes.toString('utf8'))
      return
    }
    try {
      done(null, parseBody(decodeText(bytes)))
    } catch (error) {
      if (isSolarError(error, 'malformed')) {
        done(error)
        return
      }
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
  throw httpError('unsupported_encoding', { encoding: shown(encoding, 40) })
}

function parseBody(text: string): unknown {
  if (text.trim() === '') return undefined
  const value = parseJson(text)
  if (!repeatsName(text, value)) return value
  throw protocolError('malformed', { path: 'body', expected: 'each field once', got: 'a field twice' })
}

const takesText = (request: FastifyRequest): boolean => request.routeOptions.config.call?.textBody === true
