import { readFileSync } from 'node:fs'
import { parseJson } from '../protocol/json.ts'

const packageFile = new URL('../../package.json', import.meta.url)

/** The version of this package. */
export const VERSION = (parseJson(readFileSync(packageFile, 'utf8')) as { readonly version: string }).version
