import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createLab, runCommand } from './command.ts'
import { MISHAPS, POSTGRES, SECRET, TAKEN } from './mishaps.ts'
import { silentPostgres } from './silent-postgres.ts'

describe('a mishap ends with one line that says what to do', () => {
  const lab = createLab()
  const taken = createServer()
  let started: string
  let postgres: Awaited<ReturnType<typeof silentPostgres>>
  const withPorts = (text: string): string =>
    text.replace(TAKEN, String((taken.address() as AddressInfo).port)).replace(POSTGRES, String(postgres.port))

  before(async () => {
    taken.listen(0, '127.0.0.1')
    await once(taken, 'listening')
    postgres = await silentPostgres()
    started = await lab.started()
  })
  after(async () => {
    taken.close()
    postgres.close()
    await lab.remove()
  })

  for (const { name, args, env, code, says, prepare, makesKeys } of MISHAPS) {
    it(name, async () => {
      const folder = lab.folder()
      prepare?.(folder, started)
      const before = listing(folder)
      const variables = Object.entries(env ?? {}).map(([key, value]): [string, string] => [key, withPorts(value)])
      const ended = await runCommand(folder, args.map(withPorts), { env: Object.fromEntries(variables) })
      assert.equal(ended.code, code, `${ended.err}${ended.out}`)
      assert.match(ended.err, /^solar-node: [^\n]+\n$/)
      for (const pattern of says) assert.match(ended.err, pattern)
      assert.doesNotMatch(ended.err, new RegExp(`\\bat .*\\.[jt]s:\\d+|${SECRET}`))
      const made = listing(folder).filter((line) => makesKeys !== true || !line.includes('.key '))
      assert.deepEqual(made, before, 'nothing is made')
    })
  }

  it('a file that is exported has mode 0600, and is replaced with --force alone', async () => {
    const folder = lab.folder()
    cpSync(started, join(folder, 'd'), { recursive: true })
    writeFileSync(join(folder, 'o'), 'mine')
    chmodSync(join(folder, 'o'), 0o644)
    assert.equal((await runCommand(folder, ['export', '--data', 'd', '--out', 'o', '--force'])).code, 0)
    assert.equal(statSync(join(folder, 'o')).mode & 0o777, 0o600)
    assert.match(readFileSync(join(folder, 'o'), 'utf8'), /^\{"chain_id".*\n\{"end":.*\n$/)
    assert.deepEqual(readdirSync(folder).sort(), ['d', 'o'])
    assert.equal((await runCommand(folder, ['audit', '--file', 'o'])).code, 0)
  })
})

/** Everything below a folder but what holding its lock leaves, with sizes. */
function listing(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/^node-lock|^LOG|^LOCK$|^ledger\.db-/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/level/'))
    .map((path) => `${path} ${statSync(path).size}`)
    .sort()
}
