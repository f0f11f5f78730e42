import type { FastifyReply, FastifyRequest } from 'fastify'
import { inTurns } from '../ports/turns.ts'
import type { Access, Caller } from './access.ts'
import type { Schema } from './schema.ts'

/** What a handler answers. */
export interface Reply<A> {
  readonly status: number
  readonly body?: A
  readonly headers?: Readonly<Record<string, string>>
}

/** The handler has taken the connection over and answers by itself. */
export const TAKEN = Symbol('taken')

interface Context {
  readonly caller: Caller
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** A call of docs/protocol.md 9: one row of its table. Handlers get what passed the schemas, nothing else. */
export interface CallDefinition<P, Q, B, A> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** As in the protocol: `/blocks/{block_hash}/status/`. It answers with and without the trailing slash. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  readonly description?: string
  readonly params?: Schema<P>
  readonly query?: Schema<Q>
  readonly body?: Schema<B>
  /** The body is text of any content type, not JSON. */
  readonly textBody?: true
  /** Bytes; 64 KiB if absent. */
  readonly bodyLimit?: number
  readonly answer: Schema<A>
  readonly contentType?: string
  /** Success statuses and what they mean. */
  readonly statuses: Readonly<Record<number, string>>
  readonly handle: (
    input: { readonly params: P; readonly query: Q; readonly body: B } & Context,
  ) => Reply<A> | typeof TAKEN | Promise<Reply<A> | typeof TAKEN>
}

/** A call with its types closed in: `run` checks the raw input and handles it. Throws `malformed`. */
export interface Call extends Omit<CallDefinition<unknown, unknown, unknown, unknown>, 'handle'> {
  readonly bodyLimit: number
  readonly run: (
    raw: { params: unknown; query: unknown; body: unknown } & Context,
  ) => Promise<Reply<unknown> | typeof TAKEN>
}

/** The content type of a call that streams events. */
export const EVENT_STREAM = 'text/event-stream'

export const DEFAULT_BODY_LIMIT = 64 * 1024

// A call without a schema for a part never looks at it.
const check = <T>(schema: Schema<T> | undefined, value: unknown, path: string): T =>
  schema === undefined ? (undefined as T) : schema.shape(value, path)

/** Closes a definition's types in. */
export function defineCall<P, Q, B, A>(definition: CallDefinition<P, Q, B, A>): Call {
  const { handle, params, query, body, ...rest } = definition
  return {
    bodyLimit: DEFAULT_BODY_LIMIT,
    ...rest,
    ...(params !== undefined && { params }),
    ...(query !== undefined && { query }),
    ...(body !== undefined && { body }),
    run: async (raw) =>
      handle({
        ...raw,
        params: check(params, raw.params, 'path'),
        query: check(query, raw.query, 'query'),
        body: body?.inPieces ? await inTurns(body.inPieces(raw.body, 'body')) : check(body, raw.body, 'body'),
      }),
  }
}
