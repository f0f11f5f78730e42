import { ledgerError } from '../../ports/errors.ts'
import { ANYONE } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import type { Metrics } from '../metrics.ts'
import { anyText, arrayOf, choiceOf, documented, named, objectOf, type Schema } from '../schema.ts'
import { hash } from '../schemas.ts'

/** What a node says of itself. */
export interface NodeInfo {
  readonly mode: 'authority' | 'validator' | 'light'
  readonly chain_id: string
  readonly peer_id: string
  /** Each ends in `/p2p/<peer id>`. */
  readonly multiaddrs: readonly string[]
  readonly version: string
}

const PEER = '12D3KooWHk7qyzSEaM7E8YAKU5MJxTmU3TiZGTh4uMhPn1oMdcDk'
const nodeInfo: Schema<NodeInfo> = named(
  'Node',
  objectOf({
    mode: choiceOf('authority', 'validator', 'light'),
    chain_id: hash,
    peer_id: anyText(PEER),
    multiaddrs: arrayOf(anyText(`/ip4/127.0.0.1/tcp/4001/p2p/${PEER}`)),
    version: anyText('0.1.0'),
  }),
)

export const nodeCall = (node: () => NodeInfo): Call =>
  defineCall({
    method: 'GET',
    path: '/node',
    access: ANYONE,
    summary: 'This node',
    answer: nodeInfo,
    statuses: { 200: 'What it is and where libp2p reaches it' },
    handle: () => ({ status: 200, body: node() }),
  })

export const healthCall = (): Call =>
  defineCall({
    method: 'GET',
    path: '/health',
    access: ANYONE,
    summary: 'Is the process alive?',
    answer: objectOf({ status: choiceOf('alive') }),
    statuses: { 200: 'It answers' },
    handle: () => ({ status: 200, body: { status: 'alive' } }),
  })

/** What a node does among those of its chain: of several authorities on one database one leads, the others stand by. */
export type NodeRole = 'leader' | 'standby' | 'validator'

export interface Readiness {
  readonly role: NodeRole
  /** Why the node is not ready; empty if it is. */
  readonly reasons: readonly string[]
}

const ready = named(
  'Ready',
  objectOf({ status: choiceOf('ready'), role: choiceOf<NodeRole>('leader', 'standby', 'validator') }),
)

/** Reasons name files, databases and peers. */
const TO_STRANGERS = ['this node is not ready: a token, or a question on its own machine, shows why']

/** Throws `not_ready`. */
function answerOf({ role, reasons: all }: Readiness, { isInsider }: { readonly isInsider: boolean }) {
  const reasons = isInsider || all.length === 0 ? all : TO_STRANGERS
  const fields = { reason: reasons.join('; '), reasons, role }
  if (reasons.length > 0) throw ledgerError('not_ready', fields)
  return { status: 200, body: { status: 'ready', role } } as const
}

const readyCall = (readiness: () => Readiness): Call =>
  defineCall({
    method: 'GET',
    path: '/ready',
    access: ANYONE,
    summary: 'Are the stores open and recovered, and is everything listening?',
    description:
      '503 with `reasons` if not, which a token of any role shows, or a question on its own machine. An authority needs no peer to be ready. One that stands by is ready for reads, orders and votes; `role` says so.',
    answer: ready,
    statuses: { 200: 'It may be sent work' },
    handle: ({ request }) => answerOf(readiness(), request),
  })

/** Only an authority has it. */
export const leaderCall = (readiness: () => Readiness): Call =>
  defineCall({
    method: 'GET',
    path: '/ready/leader',
    access: ANYONE,
    summary: 'Is this the authority that takes ticks and registry changes?',
    description: 'For load balancers: of several authorities on one database one alone answers 200.',
    answer: ready,
    statuses: { 200: 'It leads' },
    handle: ({ request }) => {
      const answer = answerOf(readiness(), request)
      const { role } = answer.body
      const fields = { reason: 'this node does not lead', role }
      if (role !== 'leader') throw ledgerError('not_leading', fields)
      return answer
    },
  })

const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const metricsText = documented<string>(
  (value) => String(value),
  { type: 'string' },
  '# HELP solar_height Height of the tip; -1 on an empty chain\n# TYPE solar_height gauge\nsolar_height 17\n',
)

export const metricsCall = (metrics: Metrics): Call =>
  defineCall({
    method: 'GET',
    path: '/metrics',
    access: { roles: ['operator', 'metrics'], others: 'loopback' },
    summary: 'Prometheus metrics',
    description: 'Without a token from this machine only, and not through a proxy on it.',
    answer: metricsText,
    contentType: PROMETHEUS_TEXT,
    statuses: { 200: 'Text format 0.0.4' },
    handle: async () => ({ status: 200, body: await metrics.text() }),
  })

export const operationCalls = (parts: {
  readonly node: () => NodeInfo
  readonly readiness: () => Readiness
  readonly metrics: Metrics
}): readonly Call[] => [nodeCall(parts.node), healthCall(), readyCall(parts.readiness), metricsCall(parts.metrics)]
