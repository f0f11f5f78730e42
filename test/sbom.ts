import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

/**
 * Writes what is delivered, and under which licences: sbom.cdx.json (CycloneDX, from the lockfile) and licences.txt, of all that
 * `npm install` brings along. Ends with 1 where a component says no licence, or one that is not in ALLOWED.
 */
interface Component {
  readonly name: string
  readonly version: string
  readonly licenses?: readonly {
    readonly license?: { readonly id?: string; readonly name?: string }
    readonly expression?: string
  }[]
}

/** Each lets us deliver what we do, with its notice. */
const ALLOWED = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unlicense',
]

const text = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev'], {
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
})
const { components } = JSON.parse(text) as { readonly components: readonly Component[] }
const licenceOf = ({ licenses = [] }: Component): string =>
  licenses.map(({ license, expression }) => expression ?? license?.id ?? license?.name ?? '').join(' AND ')
/** One of the choices is enough. */
const isAllowed = (licence: string): boolean =>
  licence
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((one) => ALLOWED.includes(one)))

/** Where the package has a licence in a file alone: read by us, for this version. */
const READ: Readonly<Record<string, string>> = { 'suncalc 2.0.2': 'BSD-2-Clause' }

const listed = components.map((component) => ({
  name: `${component.name} ${component.version}`,
  licence: licenceOf(component) || (READ[`${component.name} ${component.version}`] ?? ''),
}))
writeFileSync('sbom.cdx.json', text)
writeFileSync('licences.txt', `${listed.map(({ name, licence }) => `${name}: ${licence}`).join('\n')}\n`)
const refused = listed.filter(({ licence }) => !isAllowed(licence))
for (const { name, licence } of refused)
  console.log(`${name}: ${licence === '' ? 'no licence' : licence} is not on the list`)
console.log(`${listed.length} components in sbom.cdx.json and licences.txt, ${refused.length} to look at`)
process.exitCode = refused.length === 0 && listed.length > 0 ? 0 : 1
