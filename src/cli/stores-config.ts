import { loadAuthorityConfig } from '../config/load.ts'
import type { AuthorityConfig } from '../config/types.ts'

/**
 * Where the stores of a stopped authority are, for commands that read them. SOLAR_DATABASE counts as it does for the node: a
 * URL may hold a password, which others on the machine could read off a command line.
 */
export function storesConfig(
  data: string | undefined,
  database: string | undefined,
): Pick<AuthorityConfig, 'dataDirectory' | 'database'> {
  const { SOLAR_DATABASE } = process.env
  return loadAuthorityConfig({ flags: { data, database }, env: { SOLAR_DATABASE } })
}
