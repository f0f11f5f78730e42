import { Chain } from '../../src/engine/chain.ts'
import { readGenesisFile } from '../../src/node/genesis-file.ts'
import { ledgerError } from '../../src/ports/errors.ts'
import type { ShownBlock } from '../../src/protocol/block.ts'
import {
  blockParams,
  blockPath,
  headersParams,
  MIN_TRANSACTIONS_OF_PAGE,
  registryParams,
} from '../../src/protocol/messages.ts'
import { verifyCredential } from '../../src/protocol/request.ts'
import { openChainStore } from '../../src/storage/level/chain-store.ts'
import { createNodeNetwork } from '../../src/network/node-network.ts'
import { networkOptions, TCP } from './network.ts'

export interface FullPeerOptions {
  /** Whom it dials. */
  readonly peers?: readonly string[]
  /** What it shows in place of a block; undefined: it refuses to show it. */
  readonly show?: (block: ShownBlock) => ShownBlock | undefined
}

export interface FullPeer {
  readonly address: string
  readonly peerId: string
  /** Heights of the blocks that it was asked for, a page at a time. */
  readonly asked: readonly number[]
  stop(): Promise<void>
}

/**
 * A peer with whole blocks, as a validator is one: serves the chain in a copy of an authority's data directory over
 * libp2p, whole blocks to who shows a credential of an active authority or validator.
 */
export async function startFullPeer(name: string, data: string, options: FullPeerOptions = {}): Promise<FullPeer> {
  const { peers = [] } = options
  const show = options.show ?? ((block: ShownBlock): ShownBlock | undefined => block)
  const { genesis, chainId } = await readGenesisFile(`${data}/genesis.json`)
  const store = await openChainStore(`${data}/level`)
  const chain = await Chain.open(genesis, store)
  const network = await createNodeNetwork(networkOptions(name, { chainId, peers, hub: true, listen: [TCP] }))
  const { requests } = network
  const asked: number[] = []

  function checkCredential({ credential, block_hash, from_index }: ReturnType<typeof blockParams>, from: string): void {
    const entry = credential && chain.registry.entry(credential.voter_id)
    const received = { method: 'P2P', path: blockPath(block_hash, from_index), from, to: [requests.id] } as const
    const verdict = entry && verifyCredential(credential, received, chainId, entry.public_key, Date.now())
    const isFull = entry?.status === 'active' && entry.role !== 'voter'
    if (isFull && verdict?.ok === true) return
    throw ledgerError('forbidden', { reason: 'no credential of an authority or validator' })
  }

  requests.serve('genesis', () => Promise.resolve({ genesis }))
  requests.serve('status', () => {
    const tip = chain.tip && { height: chain.tip.header.height, header_hash: chain.tip.hash }
    return Promise.resolve({ mode: 'validator', chain_id: chainId, tip, final_height: tip?.height ?? null })
  })
  requests.serve('headers', async (params) => {
    const { from_height, count } = headersParams(params, 'headers')
    const headers = await chain.headers(from_height, count)
    return { headers: headers.map(({ header, signature }) => ({ header, signature })) }
  })
  requests.serve('registry', (params) => {
    const by = registryParams(params, 'registry')
    const entry = 'id' in by ? chain.registry.entry(by.id) : undefined
    const proven = entry && { entry, registry_proof: chain.registry.proof(entry) }
    return Promise.resolve({ height: chain.size - 1, entry: proven ?? null })
  })
  requests.serve('block', async (params, from) => {
    const asking = blockParams(params, 'block')
    checkCredential(asking, from)
    const block = await chain.block(asking.block_hash)
    asked.push(block.header.height)
    const shown = show(block)
    if (shown === undefined) throw ledgerError('unknown_block', { block_hash: asking.block_hash })
    const { header, signature, transactions } = shown
    const end = Math.min(asking.from_index + MIN_TRANSACTIONS_OF_PAGE, transactions.length)
    const next_index = end < transactions.length ? end : null
    return { header, signature, transactions: transactions.slice(asking.from_index, end), next_index }
  })
  await network.start()
  return {
    address: network.multiaddrs()[0] ?? '',
    peerId: network.peerId,
    asked,
    async stop() {
      await network.stop()
      await store.close()
    },
  }
}
