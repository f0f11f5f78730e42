import type { HttpAddress } from '../config/types.ts'
import type { HttpServer } from '../http/lifecycle.ts'

/** A listening HTTP server. */
export interface StartedHttp {
  /** http://host:port, with the real port. */
  readonly url: string
  stop(): Promise<void>
}

/** Starts the server that `create` makes for the configured address; null if HTTP is off. */
export async function startHttp(
  config: { readonly http: HttpAddress | 'off' },
  create: (address: HttpAddress) => Promise<HttpServer>,
): Promise<StartedHttp | null> {
  if (config.http === 'off') return null
  const server = await create(config.http)
  const { host, port } = await server.start()
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, stop: () => server.stop() }
}
