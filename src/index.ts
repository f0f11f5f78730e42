/** `solar-node`: what Node programs import. The command line is made of the same parts. */
export { loadAuthorityConfig, loadLightConfig } from './config/load.ts'
export type { AuthorityConfig, LightConfig } from './config/types.ts'
export { createAuthority, type AuthorityNode, type AuthorityParts, type AuthorityReport } from './node/authority.ts'
export { createLight, type LightNode, type LightParts, type LightReport } from './node/light.ts'
export * from './payload.ts'
export type * from './ports/ledger.ts'
export * from './protocol/index.ts'
