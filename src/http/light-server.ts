import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import { createApp } from './app.ts'
import { createClients } from './client-address.ts'
import { createLifecycle, type HttpServer, type ListenOptions } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'
import { createOwnNames } from './origins.ts'
import { lightCalls, type LightState } from './routes/light.ts'
import type { HttpOptions } from './server.ts'
import { healthCall, metricsCall, nodeCall, type NodeInfo } from './routes/operations.ts'

export interface LightHttpParts {
  readonly node: () => NodeInfo
  /** The answer of `GET /light`. */
  readonly light: () => LightState
  readonly metrics: Metrics
  readonly clock: Clock
  readonly logger: Logger
}

export type LightHttpOptions = ListenOptions & Pick<HttpOptions, 'trustedProxies' | 'corsOrigins'>

/** The HTTP side of a light node: `/health`, `/metrics` (from this machine), `/node` and `/light`. */
export async function createLightHttpServer(parts: LightHttpParts, options: LightHttpOptions): Promise<HttpServer> {
  const clients = createClients(options.trustedProxies)
  const isOwnName = createOwnNames(options, clients)
  const { app, addCalls } = await createApp({ ...parts, clients, isOwnName }, options)
  addCalls([healthCall(), metricsCall(parts.metrics), nodeCall(parts.node), ...lightCalls(parts.light)])
  await app.ready()
  const nothing = (): void => undefined
  return createLifecycle(app, options, { opened: nothing, closing: nothing })
}
