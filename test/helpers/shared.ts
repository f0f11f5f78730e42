import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../../shared/', import.meta.url))

/**
 * Path of the folder with public known-answer files that lies beside some checkouts, or `undefined`: tests that read it
 * register only where it exists. What everybody needs is committed under test/vectors.
 */
export const sharedFolder: string | undefined = existsSync(`${folder}vectors`) ? folder : undefined

/** Reads a text file below `sharedFolder`. */
export function readShared(path: string): string {
  if (sharedFolder === undefined) throw new Error('there is no shared folder beside this checkout')
  return readFileSync(`${sharedFolder}${path}`, 'utf8')
}
