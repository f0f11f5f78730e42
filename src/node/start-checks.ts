import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { configError } from '../config/errors.ts'
import type { AuthorityConfig, HttpAddress, NodeConfig } from '../config/types.ts'
import { isThere, TEMPORARY_SUFFIX } from '../keys/durable-file.ts'
import { codeOf, fileTrouble } from '../ports/file-trouble.ts'
import { DATA_FILES, LOCK, openDataDirectory, type DataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { readGenesisFile } from './genesis-file.ts'
import { checkChainToMake } from './node-files.ts'

/**
 * Takes the data directory of a node that starts, after all that would stop it later was looked at: whoever mistypes a port gets no keys
 * and no chain made. Throws `config_conflict`, `address_taken`, `data_directory_unusable`, `data_directory_in_use`.
 */
export async function openDirectoryForStart(config: NodeConfig): Promise<DataDirectory> {
  const path = config.dataDirectory
  await refuseForeignFolder(path, config.passphraseFile)
  if (config.mode === 'authority') {
    await refuseImpossibleChain(config)
    await refuseMissingSqlFolder(config)
  }
  const taken = await takenAddress(config)
  // A node that runs has its addresses: that it does is what to say.
  if (taken !== undefined && !(await isThere(join(path, `${LOCK}.db`)))) throw taken
  const directory = await openDataDirectory(path)
  if (taken === undefined) return directory
  directory.close()
  throw taken
}

/** What an operator may put beside what is in `DATA_FILES`: settings, keys, tokens, databases; and what file systems put there. */
const BESIDE = /^\.|^lost\+found$|\.(ya?ml|key|json|tokens?|db|db-wal|db-shm|pem|env)$|^passphrase/

/** Keys are not spilt into a folder that is full of other things, which was hardly meant. */
async function refuseForeignFolder(path: string, passphraseFile: string | undefined): Promise<void> {
  const names = await readdir(path).catch(() => [])
  const own = new Set<string>([...Object.values(DATA_FILES), `${LOCK}.db`])
  if (names.some((name) => own.has(name) || name.endsWith(TEMPORARY_SUFFIX))) return
  const isKnown = (name: string) =>
    BESIDE.test(name) || (passphraseFile !== undefined && name === basename(passphraseFile))
  const foreign = names.filter((name) => !isKnown(name))
  if (foreign.length === 0) return
  const some = foreign.slice(0, 3).join(', ')
  const reason = `it holds other things (${foreign.length > 3 ? `${some}, ...` : some}) and nothing of a solar-node: name a new or an empty folder`
  throw nodeError('data_directory_unusable', { directory: path, reason })
}

/** A first start looks at it once more, with the directory in its hands. */
async function refuseImpossibleChain(config: AuthorityConfig): Promise<void> {
  const { dataDirectory, genesisFile } = config
  const given = genesisFile === undefined ? undefined : await readGenesisFile(genesisFile)
  if (!(await isThere(join(dataDirectory, DATA_FILES.genesis)))) await checkChainToMake(dataDirectory, config, given)
}

/** Keys and genesis would be there before SQLite says that it cannot make its file. */
async function refuseMissingSqlFolder({ database, dataDirectory }: AuthorityConfig): Promise<void> {
  if (database.kind !== 'sqlite') return
  const folder = dirname(database.path)
  if (folder === dataDirectory) return
  const reason = await stat(folder).then(
    (found) => (found.isDirectory() ? undefined : 'it is no folder'),
    (error: unknown) => fileTrouble(error),
  )
  if (reason === undefined) return
  throw configError('config_conflict', { reason: `database: the folder ${folder} of the SQLite file: ${reason}` })
}

interface Address extends HttpAddress {
  /** As it was typed. */
  readonly text: string
  readonly setting: 'http' | 'listen'
}

/** Binds every address of the node for a moment: the error of the first that cannot be had. */
async function takenAddress(config: NodeConfig): Promise<Error | undefined> {
  const servers: ReturnType<typeof createServer>[] = []
  try {
    for (const address of addressesOf(config)) {
      const server = createServer()
      servers.push(server)
      try {
        server.listen({ host: address.host, port: address.port, exclusive: true })
        await once(server, 'listening')
      } catch (error) {
        return addressError(address, error)
      }
    }
    return undefined
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }
}

function addressesOf(config: NodeConfig): readonly Address[] {
  const { http } = config
  const listen = config.mode === 'light' ? [] : config.listen
  const addresses = listen.map((text): Address => {
    const [, , host = '', , port] = text.split('/')
    return { setting: 'listen', text, host, port: Number(port) }
  })
  if (http === 'off') return addresses
  const host = http.host.includes(':') ? `[${http.host}]` : http.host
  return [{ setting: 'http', text: `${host}:${http.port}`, ...http }, ...addresses]
}

function addressError({ setting, text, host, port }: Address, error: unknown): Error {
  const flag = `--${setting}`
  const free = setting === 'http' ? `${text.slice(0, text.lastIndexOf(':'))}:0` : text.replace(`/tcp/${port}`, '/tcp/0')
  const code = codeOf(error)
  const fields = { setting, address: text }
  if (code === 'EADDRINUSE') {
    const advice = `stop what listens on port ${port}, or choose another with ${flag}, such as ${flag} ${free} for any that is free`
    return nodeError('address_taken', { ...fields, reason: 'is taken', advice }, error)
  }
  if (code === 'EACCES') {
    const advice = `this user may not open port ${port}, those below 1024 take rights: choose another with ${flag}, or grant them`
    return nodeError('address_taken', { ...fields, reason: 'is refused', advice }, error)
  }
  const advice = `give an address of this machine with ${flag}, such as ${free.replace(host, '127.0.0.1')}`
  return nodeError('address_taken', { ...fields, reason: `cannot be listened on (${code})`, advice }, error)
}
