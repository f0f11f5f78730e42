import { readStart } from '../files/read-start.ts'
import { fileTrouble } from '../ports/file-trouble.ts'
import { UsageError } from './output.ts'

/**
 * The content of a file that a user names: at most `maxBytes` and one more, which tells that there is more. Also a pipe will do. Throws
 * UsageError.
 *
 * @param name the option that names the file, or the file itself where it is an argument
 */
export async function readUserFile(name: string, file: string, maxBytes: number): Promise<Buffer> {
  try {
    return await readStart(file, maxBytes + 1)
  } catch (error) {
    throw unreadableFile(name, file, error)
  }
}

/** A file that a user names and that cannot be read, in words. */
export function unreadableFile(name: string, file: string, error: unknown): UsageError {
  const got = name === file ? '' : `, got ${JSON.stringify(file)}`
  return new UsageError(`${name}: expected a readable file (${fileTrouble(error)})${got}`, { cause: error })
}
