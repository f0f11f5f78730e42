import fastifyStatic from '@fastify/static'
import type { Clock } from '../ports/clock.ts'
import type { ChainLedger, Ledger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { Redactor } from '../ports/retention.ts'
import type { Witness } from '../ports/witness.ts'
import { createEnrolQuotas } from './enrol-quotas.ts'
import type { TokenBook } from '../ports/tokens.ts'
import type { PlatformUserTokens } from './access.ts'
import { createApp, type AppOptions } from './app.ts'
import type { Call } from './call.ts'
import { createClients } from './client-address.ts'
import { addDocs } from './docs-page.ts'
import { createEventStream } from './event-stream.ts'
import { createLifecycle, type HttpServer, type ListenOptions } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'
import { createOrigins, createOwnNames } from './origins.ts'
import { blockCalls } from './routes/blocks.ts'
import { checkpointCalls } from './routes/checkpoint.ts'
import { evidenceCalls } from './routes/evidence.ts'
import { eventCalls } from './routes/events.ts'
import { membershipCall } from './routes/membership.ts'
import { leaderCall, operationCalls, type NodeInfo, type Readiness } from './routes/operations.ts'
import { orderCalls } from './routes/orders.ts'
import { redactionCalls } from './routes/redactions.ts'
import { registryCall, registryCalls, registryChangesCall } from './routes/registry.ts'
import type { RateLimits } from './rate-limits.ts'
import { tickCalls } from './routes/ticks.ts'
import { proofCall, receiptCall, transactionCalls } from './routes/transactions.ts'
import { userCalls } from './routes/users.ts'
import { witnessCalls } from './routes/witness.ts'

interface ServerParts {
  readonly redactor: Redactor
  /** The answer of `GET /node`. */
  readonly node: () => NodeInfo
  readonly readiness: () => Readiness
  readonly tokens: TokenBook
  readonly metrics: Metrics
  readonly clock: Clock
  readonly logger: Logger
}

export interface HttpParts extends ServerParts {
  readonly ledger: Ledger
  readonly users?: PlatformUserTokens | undefined
  /** Of auditors, for payloads. */
  readonly payloadRecipients?: readonly string[]
}

export interface ValidatorHttpParts extends ServerParts {
  readonly ledger: ChainLedger
  readonly witness: Witness
}

export interface HttpOptions extends ListenOptions, AppOptions {
  /** Addresses and CIDR networks of the proxies before this node, whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[] | undefined
  /** Origins under which proxies lead to this node: what signed requests may be for, beside its own address. */
  readonly publicUrls?: readonly string[] | undefined
  /** A folder of static files to serve at `/`. */
  readonly webRoot?: string | undefined
}

/** The HTTP side of an authority (docs/protocol.md 9). It owns no part: it closes only what it opened. */
export function createHttpServer(parts: HttpParts, options: HttpOptions): Promise<HttpServer> {
  const { ledger } = parts
  const isDiscreet = ledger.privacy === 'pseudonymous'
  return serve({ ...parts, isDiscreet }, options, (limits) => [
    ...blockCalls(ledger, parts.metrics, limits, ledger),
    ...evidenceCalls(ledger),
    ...tickCalls(ledger),
    ...orderCalls(ledger, limits),
    proofCall(ledger, parts.redactor),
    ...transactionCalls(ledger),
    ...userCalls(ledger, parts.payloadRecipients),
    membershipCall(ledger),
    ...checkpointCalls(ledger),
    ...registryCalls(ledger, limits, createEnrolQuotas(parts.clock)),
    leaderCall(parts.readiness),
  ])
}

/** The HTTP side of a validator: what can be read of the chain, votes, and a witness of its checkpoints. */
export function createValidatorHttpServer(parts: ValidatorHttpParts, options: HttpOptions): Promise<HttpServer> {
  const { ledger } = parts
  return serve(parts, options, (limits) => [
    ...blockCalls(ledger, parts.metrics, limits),
    ...evidenceCalls(ledger),
    proofCall(ledger, parts.redactor),
    receiptCall(ledger),
    registryCall(ledger),
    registryChangesCall(ledger),
    ...witnessCalls(parts.witness),
  ])
}

async function serve(
  parts: ServerParts & { readonly ledger: ChainLedger; readonly isDiscreet?: boolean },
  options: HttpOptions,
  callsOf: (limits: RateLimits) => readonly Call[],
): Promise<HttpServer> {
  const { ledger, clock } = parts
  const clients = createClients(options.trustedProxies)
  const devices = { ...ledger, originsOf: createOrigins(options, clients) }
  const isOwnName = createOwnNames(options, clients)
  const { app, limits, addCalls } = await createApp({ ...parts, devices, clients, isOwnName }, options)
  const events = createEventStream(ledger, clock, clients)
  const calls = [...callsOf(limits), ...redactionCalls(parts.redactor), ...eventCalls(events), ...operationCalls(parts)]
  addCalls(calls)
  await addDocs(app, calls, parts.node().version, options.webRoot)
  if (options.webRoot !== undefined) await app.register(fastifyStatic, { root: options.webRoot, dotfiles: 'ignore' })
  await app.ready()
  return createLifecycle(app, options, { opened: () => events.open(), closing: () => events.close() })
}
