import { createSigner } from '../engine/signer.ts'
import { createSignerServer } from '../http/signer-server.ts'
import { hashToken } from '../http/tokens.ts'
import type { Logger } from '../ports/logger.ts'
import { codeOf, fileTrouble } from '../ports/file-trouble.ts'
import type { SignerAddress } from '../ports/signer.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { openSignerMemory } from '../storage/level/signer-memory.ts'
import { DATA_FILES, openDataDirectory, type DataDirectory } from './data-directory.ts'
import { roomFor } from './disk.ts'
import { nodeError } from './errors.ts'
import type { Runnable } from './lifecycle.ts'
import { signerName } from './signer-client.ts'
import { createShutdown } from './shutdown.ts'

export interface SignerProcessConfig {
  readonly chainId: Hash
  readonly keys: readonly SigningKey[]
  /** Where it remembers what it has signed. */
  readonly dataDirectory: string
  readonly address: SignerAddress
  /** Of a Unix socket. */
  readonly socketMode: number
  /** Bearer token that requests bring; absent: who can connect may ask. */
  readonly token: string | undefined
  readonly allowRegistry: boolean
  readonly signedUpTo: number | undefined
}

export interface SignerReport {
  /** As a node takes it: unix:/path or http://host:port. */
  readonly url: string
  readonly publicKeys: readonly Hex[]
}

/** A process that has signing keys, and signs one header and one ack a height with each, whoever asks. */
export function createSignerProcess(config: SignerProcessConfig, logger: Logger): Runnable<SignerReport> {
  const { chainId, keys, allowRegistry, signedUpTo, address, socketMode, token } = config
  const shutdown = createShutdown(logger)

  async function open(): Promise<SignerReport> {
    const directory = await openDataDirectory(config.dataDirectory)
    shutdown.opened('data directory', () => directory.close())
    await refuseNode(directory)
    const signed = directory.file('signed')
    const memory = await openSignerMemory(signed, chainId, roomFor(signed))
    shutdown.opened('LevelDB', () => memory.close())
    const signer = createSigner({ chainId, keys, memory, allowRegistry, signedUpTo, logger })
    const tokenHash = token === undefined ? undefined : hashToken(token)
    const server = createSignerServer({ signer, chainId, logger }, { address, socketMode, tokenHash })
    const url = await server.start().catch((error: unknown) => {
      throw addressError(address, error)
    })
    shutdown.opened('HTTP', () => server.stop())
    return { url, publicKeys: keys.map(({ publicKey }) => publicKey) }
  }

  return { start: () => shutdown.orUndo(open), stop: (onPart) => shutdown.run(onPart) }
}

/** What is to be done about an address that cannot be listened on. */
function addressError(address: SignerAddress, error: unknown): Error {
  const code = codeOf(error)
  const fields = { setting: 'listen', address: signerName(address) }
  const advice = 'stop what listens there, or choose another with --listen'
  if (code === 'EADDRINUSE') return nodeError('address_taken', { ...fields, reason: 'is taken', advice }, error)
  const reason = `cannot be listened on (${fileTrouble(error)})`
  const other = address.kind === 'unix' ? 'its folder must be there, and writable for this user' : advice
  return nodeError('address_taken', { ...fields, reason, advice: other }, error)
}

/** Whoever steals the server of a node must not find the memory of its signer there. Throws `data_directory_unusable`. */
async function refuseNode(directory: DataDirectory): Promise<void> {
  for (const name of ['genesis', 'peerKey', 'tokenHashes'] as const) {
    if (!(await directory.has(name))) continue
    const reason = `it belongs to a node (it has ${DATA_FILES[name]}): give the signer a folder of its own`
    throw nodeError('data_directory_unusable', { directory: directory.path, reason })
  }
}
