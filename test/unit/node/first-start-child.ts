import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { systemClock, systemRandomBytes } from '../../../src/node/clock.ts'
import { openDataDirectory } from '../../../src/node/data-directory.ts'
import { ensureAuthorityFiles } from '../../../src/node/node-files.ts'

/**
 * A first start in a process of its own, which kills itself (SIGKILL) at the n-th time that it asks for randomness or for
 * the time: `node --import=tsx first-start-child.ts DIR N`. Without a kill it prints the chain_id.
 */
const [, , data = '', killAt = '0'] = process.argv
let calls = 0
function count(): void {
  calls += 1
  if (calls === Number(killAt)) process.kill(process.pid, 'SIGKILL')
}

const directory = await openDataDirectory(data)
const files = await ensureAuthorityFiles(directory, loadAuthorityConfig({ flags: { data }, env: {} }), {
  randomBytes: (length) => (count(), systemRandomBytes(length)),
  clock: { ...systemClock, now: () => (count(), systemClock.now()) },
})
directory.close()
process.stdout.write(`${files.chainId}\n`)
