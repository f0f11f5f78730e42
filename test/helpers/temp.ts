import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new, empty folder under the system's folder for temporary files; `remove` deletes it with all that is in it. */
export async function tempDir(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'solar-node-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
