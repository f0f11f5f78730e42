import { closeSync, openSync, readSync } from 'node:fs'
import { LineCounter, parseDocument } from 'yaml'
import { fileTrouble } from '../ports/file-trouble.ts'
import { isJsonObject } from '../protocol/shape.ts'
import { shown } from '../protocol/shown.ts'
import { decodeText } from '../protocol/text.ts'
import { configError } from './errors.ts'
import { MODES, schemas, YAML_ONLY, type Mode } from './schema.ts'

/** Where settings come from; flags win over the environment, that over the file, that over the defaults. */
export interface ConfigSources {
  /** Flags that were given, by name in camelCase (as commander has them) or snake_case. */
  readonly flags: Readonly<Record<string, unknown>>
  /** The environment; only SOLAR_* is read, and an empty variable counts as not set. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The --config file, YAML. */
  readonly file?: string | undefined
}

export interface Setting {
  readonly value: unknown
  /** A flag, a variable or FILE:KEY, for error lines. */
  readonly origin: string
}
export type Settings = ReadonlyMap<string, Setting>

/** Above a file with all the voters and validators that may be named, each with the longest names. */
const MAX_FILE_BYTES = 1024 * 1024
/** Far longer than the name of any setting. */
const MAX_KEY_SHOWN = 80
const PREFIX = 'SOLAR_'
const flagOf = (key: string): string => `--${key === 'vote' ? 'no-vote' : key.replaceAll('_', '-')}`
const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
const keysOf = (mode: Mode): readonly string[] => Object.keys(schemas[mode].shape)
const allKeys: readonly string[] = [...new Set(['mode', ...MODES.flatMap(keysOf)])]

/**
 * Merges the sources. Throws `config_unknown_key` for a name that no mode knows, `config_unreadable` for a file that
 * cannot be read.
 */
export function gatherSettings(sources: ConfigSources): Settings {
  const file = sources.file ?? (sources.env.SOLAR_CONFIG === '' ? undefined : sources.env.SOLAR_CONFIG)
  const settings = new Map<string, Setting>()
  if (file !== undefined) {
    for (const [key, value] of Object.entries(readYaml(file)))
      settings.set(key, { value, origin: `${file}:${shown(key, MAX_KEY_SHOWN)}` })
  }
  for (const [name, value] of Object.entries(sources.env)) {
    if (!name.startsWith(PREFIX) || name === 'SOLAR_CONFIG' || value === undefined || value === '') continue
    const key = name.slice(PREFIX.length).toLowerCase()
    // Only the upper-case spelling is a setting, as everywhere in the environment.
    if (name !== name.toUpperCase()) throw unknownKey(name, name)
    if (YAML_ONLY.includes(key)) {
      throw configError('config_unknown_key', { key: name, expected: `${key} in the --config file`, origin: name })
    }
    if (!allKeys.includes(key)) throw unknownKey(name, name)
    settings.set(key, { value, origin: name })
  }
  for (const [name, value] of Object.entries(sources.flags)) {
    const key = snakeCase(name)
    if (value !== undefined) settings.set(key, { value, origin: flagOf(key) })
  }
  for (const [key, { origin }] of settings) if (!allKeys.includes(key)) throw unknownKey(key, origin)
  return settings
}

/** Throws `config_unknown_key` for a setting of another mode. */
export function refuseForeignKeys(settings: Settings, mode: Mode): void {
  const keys = keysOf(mode)
  for (const [key, { origin }] of settings) {
    if (key === 'mode' || keys.includes(key)) continue
    throw configError('config_unknown_key', { key, origin, expected: `a setting of --mode=${mode}` })
  }
}

function unknownKey(key: string, origin: string) {
  return configError('config_unknown_key', {
    key: shown(key, MAX_KEY_SHOWN),
    origin,
    expected: `one of ${allKeys.join(', ')}`,
  })
}

function readYaml(file: string): Record<string, unknown> {
  let document: unknown
  try {
    document = parseYaml(decodeText(readSettings(file)))
  } catch (cause) {
    throw configError('config_unreadable', { file, reason: fileTrouble(cause) }, cause)
  }
  if (document === null || document === undefined) return {}
  if (!isJsonObject(document)) {
    throw configError('config_unreadable', { file, reason: 'expected a YAML mapping of settings' })
  }
  // `key:` with nothing behind it sets nothing.
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null))
}

/**
 * What the library would only warn of, on standard error and with an excerpt of the file, is refused too. Aliases are: settings are
 * short enough to be written out, and an alias can be of what it stands in, without an end.
 */
function parseYaml(text: string): unknown {
  const lines = new LineCounter()
  // Not pretty: that is an excerpt of the file for each fault, and takes long where there are many.
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines, logLevel: 'error' })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    const what = YAML_FAULTS[problem.code] ?? problem.code.toLowerCase().replaceAll('_', ' ')
    throw new Error(`not YAML, line ${lines.linePos(problem.pos[0]).line}: ${what}`, { cause: problem })
  }
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch (cause) {
    throw cause instanceof ReferenceError ? new Error('it has aliases (*NAME): write each value out', { cause }) : cause
  }
}

function readSettings(file: string): Buffer {
  const bytes = Buffer.alloc(MAX_FILE_BYTES + 1)
  const opened = openSync(file, 'r')
  try {
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(opened, bytes, length, bytes.length - length, null)
    }
    if (length > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes, expected some settings`)
    return bytes.subarray(0, length)
  } finally {
    closeSync(opened)
  }
}

/** What each code of the library usually comes from, in a file of settings. */
const YAML_FAULTS: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY:
    'a setting has a value and something below or behind it as well: is the next line indented by mistake, or a value with ": " not quoted?',
  MULTILINE_IMPLICIT_KEY: 'expected KEY: VALUE, is the colon missing?',
  MISSING_CHAR: 'a colon, a quotation mark or a bracket is missing',
  BAD_INDENT: 'the indentation does not fit, or a bracket is not closed',
  TAB_AS_INDENT: 'it is indented by a tab, YAML takes spaces',
  DUPLICATE_KEY: 'the same setting is there twice',
  TAG_RESOLVE_FAILED: 'a value begins with !, which is no tag of YAML: quote it',
  BAD_SCALAR_START: 'a value that begins with @ or ` has to be quoted',
}
