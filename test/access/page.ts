import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import type { Table } from './table.ts'

/** Where the tables are for people. */
export const PAGE = join(import.meta.dirname, '../../docs/access.md')

const BEGINNING = `# Who may call what

Words of the project are in the [glossary](glossary.md).

Made by \`npm run access\` from the running servers: every route that they have, asked as each caller. A test asks again
and fails where an answer is another, so this page is what the node does.

- **in**: let in. What the handler then says of the request itself (200, 400, 404, 409) is another matter.
- **signer**: everybody may send it, and the signature in the body decides: the example in the API document has none
  that holds.
- **401**: no credential, or none that this node knows. **403**: known, and not for this call. **421**: asked for by a
  name that is not this node's.

Callers: **nobody** comes through a proxy without a credential, **loopback** is a program on this machine that asks for
itself, **other name** one that asks for a name of somebody else, as a page does that gives its name the address of
this machine, **its device** is of a party of the trade or order that is asked for, **other device** of another user,
**validator key** and **authority key** sign as devices do, **revoked device** has a key that was taken away, and
**user token** is the JWT of a platform user who is a party, **expired token** one that is over. A device
signs GET and DELETE; with a POST it sends what everybody sends. A light node has no tokens and no devices.
`

function tableOf({ title, callers, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const sorted = [...rows].sort((a, b) => `${a.path} ${a.method}`.localeCompare(`${b.path} ${b.method}`, 'en'))
  return [
    `## ${title === 'light' ? 'Light node' : title === 'authority' ? 'Authority' : 'Validator'}`,
    '',
    line(['call', ...callers]),
    line(['---', ...callers.map(() => '---')]),
    ...sorted.map(({ method, path, cells }) =>
      line([`\`${method} ${path}\``, ...callers.map((name) => cells[name] ?? '')]),
    ),
  ].join('\n')
}

/** The page that these tables make. */
export async function pageOf(tables: readonly Table[]): Promise<string> {
  const text = [BEGINNING, ...tables.map(tableOf)].join('\n\n')
  return await format(text, { ...(await resolveConfig(PAGE)), parser: 'markdown' })
}
