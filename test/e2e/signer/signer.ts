import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { createSignerKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import { logged, type ProcessNetwork } from '../../helpers/process-network.ts'
import type { NodeProcess } from '../../helpers/processes.ts'

/** A `solar-node signer` process that has the key of one node of a network. */
export interface SignerOfNode {
  /** What the node takes as --signer; on a port known once the signer has been started. */
  url(): string
  readonly folder: string
  start(...flags: readonly string[]): Promise<NodeProcess>
}

/** Takes the key of a node out of its data directory, as an operator does before the first start with a signer. */
export async function signerOf(
  network: Pick<ProcessNetwork, 'folder' | 'chainId' | 'spawn'>,
  id: string,
  file: 'authorityKey' | 'validatorKey',
  listen = `unix:${join(network.folder, `${id}.sock`)}`,
): Promise<SignerOfNode> {
  const folder = join(network.folder, `${id}-signer`)
  await mkdir(folder, { mode: 0o700 })
  const kept = join(folder, DATA_FILES[file])
  const place = join(network.folder, id, DATA_FILES[file])
  await rename(place, kept)
  // The node makes this by itself; the network looks for it before.
  await createSignerKeyFile(place, (await readKeyFile(kept)).publicKey)
  let url = ''
  return {
    url: () => url,
    folder,
    async start(...flags) {
      const common = ['--chain-id', network.chainId, '--key-file', kept, '--data-dir', folder, '--listen', listen]
      const process = network.spawn('signer', ...common, ...flags)
      const line = await process.awaitLine(logged(({ msg }) => String(msg).startsWith('signer is running')))
      url = String(line.url)
      return process
    },
  }
}
