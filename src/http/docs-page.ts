import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { Call } from './call.ts'
import { openApiDocument } from './openapi.ts'

const ICON = 'icon.svg'
/** The bar at the top holds the name of the tool that draws the page, and a field to load other documents. */
const CSS = '.swagger-ui .topbar{display:none}.swagger-ui .info{margin:24px 0}'

/**
 * The API document at /docs and /docs/json, with everything it loads served from here; with the icon of the page, where
 * there is one.
 */
export async function addDocs(
  app: FastifyInstance,
  calls: readonly Call[],
  version: string,
  webRoot?: string,
): Promise<void> {
  const icon = { filename: ICON, rel: 'icon', type: 'image/svg+xml', sizes: 'any' }
  await app.register(swagger, { mode: 'static', specification: { document: openApiDocument(calls, version) } })
  serializeOnce(app)
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    // The node speaks plain HTTP, and the page needs nothing from outside. The tool sets styles of elements by itself.
    transformStaticCSP: (policy) =>
      policy
        .replace(' upgrade-insecure-requests;', '')
        .replaceAll(' https:', '')
        .replace(' validator.swagger.io', '')
        .replace(/style-src [^;]*/, "style-src 'self' 'unsafe-inline'"),
    theme: {
      title: 'solar-node API',
      css: [{ filename: 'theme.css', content: CSS }],
      ...(webRoot !== undefined && { favicon: [{ ...icon, content: await readFile(join(webRoot, ICON), 'utf8') }] }),
    },
  })
}

/** The document stays as it is: to make its text for each who asks would be the dearest answer of all. */
function serializeOnce(app: FastifyInstance): void {
  let text: string | undefined
  app.addHook('onRoute', (route) => {
    if (route.url !== '/docs/json') return
    route.handler = (_, reply) => {
      text ??= JSON.stringify(app.swagger())
      return reply.type('application/json; charset=utf-8').send(text)
    }
  })
}
