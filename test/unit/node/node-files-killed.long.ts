import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { systemRandomBytes as randomBytes } from '../../../src/node/clock.ts'
import { openDataDirectory, type DataDirectory } from '../../../src/node/data-directory.ts'
import { ensureAuthorityFiles, type AuthorityFiles } from '../../../src/node/node-files.ts'
import { startChild } from './child.ts'

const clock = { now: () => 1_750_000_000_000, after: () => () => undefined }

describe('node/node-files, killed', () => {
  let folder: string
  let data: string
  let directory: DataDirectory
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'solar-files-'))
    data = join(folder, 'data')
  })
  afterEach(() => {
    directory.close()
    rmSync(folder, { recursive: true })
  })

  const path = (name: string): string => join(data, name)
  const start = (): Promise<AuthorityFiles> =>
    ensureAuthorityFiles(directory, loadAuthorityConfig({ flags: { data }, env: {} }), { randomBytes, clock })

  // authority.key, peer.key, four tokens, the genesis' time: seven moments, each with what came before it on disk.
  for (let moment = 1; moment <= 7; moment++) {
    it(`completes a first start that was killed at moment ${moment} with the keys that were there`, async () => {
      const child = startChild('first-start-child.ts', data, String(moment))
      const { signal } = await child.ended
      assert.equal(signal, 'SIGKILL', child.output())
      const before = readdirSync(data).filter((name) => name.endsWith('.key') || name.endsWith('.json'))
      assert.ok(!before.includes('genesis.json'))
      const kept = before.map((name) => [name, readFileSync(path(name), 'utf8')] as const)

      directory = await openDataDirectory(data)
      const files = await start()
      const { operator } = JSON.parse(readFileSync(path('tokens.json'), 'utf8')) as { readonly operator?: string }
      assert.ok(files.firstStart)
      for (const [name, content] of kept) assert.equal(readFileSync(path(name), 'utf8'), content, name)
      assert.equal((await files.tokens.find(operator ?? ''))?.role, 'operator')
      assert.deepEqual(
        readdirSync(data).filter((name) => name.endsWith('.tmp')),
        [],
      )
      assert.equal((await start()).chainId, files.chainId)
    })
  }
})
