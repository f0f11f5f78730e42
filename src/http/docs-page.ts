import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { Call } from './call.ts'
import { openApiDocument } from './openapi.ts'

const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="#d98a00" stroke="#d98a00" stroke-width="3" stroke-linecap="round">' +
  '<circle cx="16" cy="16" r="6.5"/><path d="M16 2.5v4M16 25.5v4M2.5 16h4M25.5 16h4M6.5 6.5l2.8 2.8M22.7 22.7l2.8 2.8M25.5 6.5l-2.8 2.8M9.3 22.7l-2.8 2.8"/></g></svg>'
/** The bar at the top holds the name of the tool that draws the page, and a field to load other documents. */
const CSS = '.swagger-ui .topbar{display:none}.swagger-ui .info{margin:24px 0}'

/** The API document at /docs and /docs/json, with everything it loads served from here. */
export async function addDocs(app: FastifyInstance, calls: readonly Call[], version: string): Promise<void> {
  await app.register(swagger, { mode: 'static', specification: { document: openApiDocument(calls, version) } })
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
      favicon: [{ filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: ICON }],
    },
  })
}
