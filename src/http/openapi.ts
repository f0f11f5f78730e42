import type { Access } from './access.ts'
import type { Call } from './call.ts'
import { problems, PROBLEM_TYPE } from './problem.ts'
import type { JsonSchema, Schema } from './schema.ts'

/** The OpenAPI 3.1 document of a list of calls: what /docs shows, made from what the calls check. */

type Components = Record<string, JsonSchema>

/** What the calls are for, in the order in which somebody meets them, by how their paths begin: the first that fits. */
const GROUPS = [
  {
    name: 'Trading',
    description: 'What a platform or a household brings in: ticks of an own engine, or orders for the built-in market.',
    paths: ['/ticks/', '/orders/', '/blocks/propose/'],
  },
  {
    name: 'Trades',
    description: 'What was traded, with receipts that prove it offline, and what was removed since.',
    paths: ['/transactions', '/redactions'],
  },
  {
    name: 'Blocks and proofs',
    description: 'The chain itself: headers, blocks, Merkle proofs, votes, and the genesis that all of it starts from.',
    paths: ['/blocks/', '/history/', '/genesis', '/checkpoint', '/add-checkpoint', '/events'],
  },
  {
    name: 'Members',
    description:
      'Who may seal, co-sign and vote, how that changes, and proof of who broke the rules; what users are called on the chain.',
    paths: ['/registry', '/membership', '/evidence', '/users/'],
  },
  {
    name: 'Operation',
    description: 'For whoever runs the node: what it is, whether it is well, and its numbers.',
    paths: ['/node', '/health', '/ready', '/metrics', '/light'],
  },
] as const

/** The group of a call, as its tags. */
const groupsOf = (path: string): readonly string[] =>
  GROUPS.filter(({ paths }) => paths.some((start) => path.startsWith(start)))
    .map(({ name }) => name)
    .slice(0, 1)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Moves every schema with a title among the components and leaves a reference. */
function hoist(value: unknown, components: Components): unknown {
  if (Array.isArray(value)) return value.map((item) => hoist(item, components))
  if (!isObject(value)) return value
  const result = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, hoist(inner, components)]))
  const { title } = value
  if (typeof title !== 'string') return result
  components[title] = result
  return { $ref: `#/components/schemas/${title}` }
}

function parametersOf(schema: Schema<unknown> | undefined, place: 'path' | 'query') {
  if (schema === undefined) return []
  const { properties, required } = schema.json
  const examples = isObject(schema.example) ? schema.example : {}
  const names = Array.isArray(required) ? required : []
  return Object.entries(isObject(properties) ? properties : {}).map(([name, json]) => ({
    name,
    in: place,
    required: names.includes(name),
    schema: json,
    ...(name in examples && { example: examples[name] }),
  }))
}

/** Who may call, in words and as security requirements: one of them is enough. */
function accessOf({ roles, others, users }: Access): { who: string; security: object[] } {
  const words = {
    anyone: ['everybody'],
    nobody: [],
    'signed-body': ['a registered device, by the signature in the body'],
    'signed-request': ['a registered device, by its signed request'],
    signer: ['the holder of the key that signs the body'],
    loopback: ['this machine itself'],
  }[others]
  const bearers = roles.map((role) => `a token of the role ${role}`)
  const open = others === 'nobody' || others === 'signed-request' ? [] : [{}]
  const device = others === 'signed-request' ? [{ device: [] }] : []
  const user = users === true ? [{ user: [] }] : []
  const userWords = users === true ? ['a platform user, by a token of the platform'] : []
  return {
    who: [...words, ...userWords, ...bearers].join('; '),
    security: [...open, ...device, ...user, ...(roles.length > 0 ? [{ token: [] }] : [])],
  }
}

function responsesOf(call: Call, components: Components) {
  const content = {
    [call.contentType ?? 'application/json']: {
      schema: hoist(call.answer.json, components),
      example: call.answer.example,
    },
  }
  const successes = Object.entries(call.statuses).map(([status, description]) => [
    status,
    status === '204' ? { description } : { description, content },
  ])
  return {
    ...Object.fromEntries(successes),
    default: { $ref: '#/components/responses/Problem' },
  } as object
}

function operationOf(call: Call, components: Components): object {
  const { who, security } = accessOf(call.access)
  const parameters = [...parametersOf(call.params, 'path'), ...parametersOf(call.query, 'query')]
  return {
    tags: groupsOf(call.path),
    summary: call.summary,
    description: `Who: ${who}.${call.description === undefined ? '' : `\n\n${call.description}`}`,
    operationId: `${call.method.toLowerCase()}${call.path.replace(/[^a-z0-9]+/gi, '_').replace(/_$/, '')}`,
    security,
    ...(parameters.length > 0 && { parameters }),
    ...(call.body !== undefined && {
      requestBody: {
        content: {
          [call.textBody === true ? 'text/plain' : 'application/json']: {
            schema: hoist(call.body.json, components),
            example: call.body.example,
          },
        },
      },
    }),
    responses: responsesOf(call, components),
  }
}

const problemSchema = {
  type: 'object',
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(problems) },
  },
  required: ['type', 'title', 'status', 'code'],
  additionalProperties: true,
}
const problemResponse = {
  description: 'RFC 9457 problem details; `code` is stable, the other members are the values the detail was made from',
  content: {
    [PROBLEM_TYPE]: {
      schema: { $ref: '#/components/schemas/Problem' },
      example: {
        path: 'body.kwh',
        expected: 'a decimal string',
        got: '"-1"',
        type: 'urn:solar-node:problem:malformed',
        title: 'Malformed input',
        status: 400,
        detail: 'body.kwh: expected a decimal string, got "-1"',
        code: 'malformed',
      },
    },
  },
}

const securitySchemes = {
  token: { type: 'http', scheme: 'bearer', description: 'A role token from tokens.json' },
  user: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A JSON Web Token of a platform user, where the operator has named who makes them (`jwt_issuer`)',
  },
  device: {
    type: 'apiKey',
    in: 'header',
    name: 'Authorization',
    description:
      '`Solar voter_id="...", to="...", timestamp="...", id="...", signature="..."`: type `request` over {id, method, path, timestamp, to}, the path with its query as sent, `to` the origin of this node; once, within 60 s',
  },
}

export interface OpenApiDocument {
  readonly openapi: string
  readonly tags: { readonly name: string; readonly description: string }[]
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  /** By path, then by method in lower case. */
  readonly paths: Record<string, Record<string, object>>
  readonly components: object
}

export function openApiDocument(calls: readonly Call[], version: string): OpenApiDocument {
  const schemas: Components = { Problem: problemSchema }
  const paths: Record<string, Record<string, object>> = {}
  for (const call of calls) {
    const path = (paths[call.path] ??= {})
    path[call.method.toLowerCase()] = operationOf(call, schemas)
  }
  return {
    openapi: '3.1.0',
    tags: GROUPS.map(({ name, description }) => ({ name, description })),
    info: {
      title: 'solar-node',
      version,
      description:
        'The ledger of an energy-sharing community. Every call answers with and without the trailing slash; quantities are decimal strings, times Unix milliseconds. What goes wrong is answered as problem details with a stable `code`.',
    },
    paths,
    components: { schemas, responses: { Problem: problemResponse }, securitySchemes },
  }
}
