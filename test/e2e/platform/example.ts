import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const DOCS = new URL('../../../docs/', import.meta.url)
export const EXAMPLE = fileURLToPath(new URL('examples/outbox_platform.py', DOCS))

/** A statement with `$1`, `$2`, ... and the names of its parameters in that order. */
export interface Statement {
  readonly text: string
  readonly names: readonly string[]
}

/** A statement of the example, by the name of its constant. */
export function statementOf(constant: string): Statement {
  const sql = new RegExp(`^${constant} = """\\n(.*?)"""$`, 'ms').exec(readFileSync(EXAMPLE, 'utf8'))?.[1]
  if (sql === undefined) throw new Error(`${EXAMPLE} has no ${constant}`)
  const names: string[] = []
  const text = sql.replace(/:(\w+)/g, (_, name: string) => `$${names.push(name)}`)
  return { text, names }
}

/** The SQL of docs/integration.md below the comment `<!-- sql: name -->`. */
export function documentedSql(name: string): string {
  const document = readFileSync(new URL('integration.md', DOCS), 'utf8')
  const sql = new RegExp(`<!-- sql: ${name} -->\\n+\`\`\`sql\\n(.*?)\`\`\``, 's').exec(document)?.[1]
  if (sql === undefined) throw new Error(`docs/integration.md has no SQL named ${name}`)
  return sql
}
