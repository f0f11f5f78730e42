import { Agent, request as httpRequest } from 'node:http'
import { canonicalText } from '../../../src/protocol/canonical-json.ts'
import { membershipShape } from '../../../src/protocol/membership.ts'
import { bearer, sealOne, startServer, type Role, type TestServer } from '../../unit/http/harness.ts'
import { jsonDecoder, textDecoder, type Decoder } from '../decoder.ts'
import { acceptedBy } from '../seeds.ts'

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly example?: unknown
}
interface Operation {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: unknown }>> }
}
interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** A request of some hundred microseconds. */
const REQUEST = { cost: 20 }
const ROLES: readonly Role[] = ['operator', 'platform']
const MAX_HEADER = 8_000

/** The path of a call with its examples. */
const exampleUrl = (path: string, { parameters = [] }: Operation): string => {
  const of = (place: string) => parameters.filter((parameter) => parameter.in === place)
  const filled = of('path').reduce(
    (url, { name, example }) => url.replace(`{${name}}`, encodeURIComponent(String(example))),
    path,
  )
  const query = new URLSearchParams(of('query').map(({ name, example }) => [name, String(example)])).toString()
  return query === '' ? filled : `${filled}?${query}`
}

/** Every call that the running server says it has: its path and query, its body, and the headers that a server reads. */
export async function httpDecoders(): Promise<{ readonly decoders: readonly Decoder[]; close(): Promise<void> }> {
  const server = await startServer()
  await sealOne(server)
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const send = sender(server, agent)
  const { json } = await server.request('GET', '/docs/json')
  const calls = Object.entries((json as unknown as ApiDocument).paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
  // It never ends its answer.
  const asked = calls.filter(({ path }) => path !== '/events')
  const urls = asked.map(({ path, operation }) => exampleUrl(path, operation))
  const decoders: Decoder[] = [
    textDecoder(
      'paths and queries',
      [...new Set(urls)],
      (url) => send('GET', `/${url.slice(1)}`, bearer('auditor')),
      REQUEST,
    ),
    ...asked
      .filter(({ operation }) => operation.requestBody !== undefined)
      .flatMap(({ method, path, operation }): Decoder[] => {
        const [[type, { example }] = ['', {}]] = Object.entries(operation.requestBody?.content ?? {})
        const url = exampleUrl(path, operation)
        const post = async (body: string) => {
          const words = []
          for (const role of ROLES) words.push(await send(method, url, { ...bearer(role), 'content-type': type }, body))
          return words.join(' ')
        }
        return type === 'application/json'
          ? [
              jsonDecoder(
                `body of ${method} ${path}`,
                [example],
                (value) => post(JSON.stringify(value ?? null)),
                REQUEST,
              ),
            ]
          : [textDecoder(`body of ${method} ${path}`, [String(example)], post, REQUEST)]
      }),
    textDecoder(
      'body that should be JSON',
      ['{"order_id":"a"}', '{}'],
      (body) => send('POST', '/orders/', { ...bearer('platform'), 'content-type': 'application/json' }, body),
      REQUEST,
    ),
    ...headerDecoders(server, send),
  ]
  return {
    decoders,
    close: async () => {
      agent.destroy()
      await server.stop()
    },
  }
}

type Send = (method: string, path: string, headers: Record<string, string>, body?: string) => Promise<string>

function headerDecoders(server: TestServer, send: Send): readonly Decoder[] {
  const signed = server.sign('household-7.phone', '/transactions')
  const certificates = acceptedBy((value) => membershipShape(value, 'it')).map((value) => canonicalText(value))
  const examples: Readonly<Record<string, readonly string[]>> = {
    authorization: [signed, 'Bearer abcdefgh', 'Basic YTpi'],
    'solar-membership': certificates,
    'x-forwarded-for': ['203.0.113.7, 10.0.0.1', '[2001:db8::1]:443', 'unknown'],
    host: ['localhost:8080', '127.0.0.1', '[::1]:80'],
    'content-type': ['application/json; charset=utf-8', 'text/plain'],
    'content-encoding': ['gzip', 'identity'],
    origin: ['https://app.example.org', 'null'],
    'access-control-request-method': ['GET'],
  }
  return Object.entries(examples).map(([name, values]) =>
    textDecoder(
      `header ${name}`,
      values,
      async (value) => {
        // What HTTP itself does not carry never comes in.
        const headers = { [name]: value.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_HEADER) }
        const others: Record<string, string> = name === 'solar-membership' ? { authorization: signed } : {}
        const asked = await send('GET', '/transactions', { ...others, ...headers })
        if (name.startsWith('access') || name === 'origin')
          return `${asked} ${await send('OPTIONS', '/transactions', headers)}`
        return `${asked} ${await send('GET', '/metrics', headers)} ${await send('POST', '/orders/', headers, '{}')}`
      },
      REQUEST,
    ),
  )
}

/** Sends as it is, without what `fetch` would put right. Resolves to status and code; throws for an answer that no client expects. */
function sender({ port }: TestServer, agent: Agent): Send {
  return async (method, path, headers, body) => {
    // A path with a space or a control character is no request line.
    const asked = path.replace(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character.toWellFormed()))
    const { status, type, text } = await new Promise<{ status: number; type: string; text: string }>(
      (resolve, reject) => {
        const call = httpRequest({ host: '127.0.0.1', port, agent, method, path: asked, headers }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              type: response.headers['content-type'] ?? '',
              text: Buffer.concat(chunks).toString(),
            }),
          )
        })
        call.on('error', reject)
        call.end(body)
      },
    )
    if (status < 400) return String(status)
    const problem =
      type === 'application/problem+json' ? (JSON.parse(text) as { code: string; path?: string }) : undefined
    if (status >= 500 && status !== 503) throw new TypeError(`${method} ${asked.slice(0, 300)}: ${status} ${text}`)
    if (problem === undefined) throw new TypeError(`${method} ${asked.slice(0, 300)}: ${status} ${type}`)
    return `${status} ${problem.code} ${(problem.path ?? '').replace(/[0-9]+/g, '0').slice(0, 60)}`
  }
}
