import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadKeyFile } from '../keys/key-file.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { SigningKey } from '../protocol/signature.ts'

/** The authority's key files: `authority.key`, and any `authority-*.key` that was put beside it for a change of keys. */
export interface AuthorityKeys {
  /** The key with this public key, if there is a file of it; files that came since are read. Throws errors of keys. */
  readonly keyOf: (publicKey: Hex) => Promise<SigningKey | undefined>
}

const KEY_FILE = /^authority(-[A-Za-z0-9._-]+)?\.key$/

/** The names of its key files in a folder. */
export const authorityKeyFiles = async (directory: string): Promise<readonly string[]> =>
  (await readdir(directory)).filter((file) => KEY_FILE.test(file))

export function createAuthorityKeys(directory: string, passphrase: string | undefined): AuthorityKeys {
  const loaded = new Map<string, SigningKey>()

  async function loadNew(): Promise<void> {
    for (const name of (await authorityKeyFiles(directory)).filter((file) => !loaded.has(file))) {
      loaded.set(name, await loadKeyFile(join(directory, name), passphrase))
    }
  }

  const find = (publicKey: Hex) => [...loaded.values()].find((key) => key.publicKey === publicKey)
  return {
    async keyOf(publicKey) {
      const known = find(publicKey)
      if (known !== undefined) return known
      await loadNew()
      return find(publicKey)
    },
  }
}
