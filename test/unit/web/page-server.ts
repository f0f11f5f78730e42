import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { merkleProof } from '../../../src/protocol/merkle.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import type { ListedHeader, ToldVote } from '../../../src/web/answers.ts'
import type { SmallChain } from './small-chain.ts'

export interface PageServer {
  readonly url: string
  /** Votes as the server tells them, by block hash. */
  readonly votes: Map<string, ToldVote[]>
  stop(): Promise<void>
}

/** The public calls of an authority over a small chain. */
export async function servePage(chain: SmallChain): Promise<PageServer> {
  const votes = new Map<string, ToldVote[]>()
  const server = createServer((request, response) => {
    const found = answer(chain, votes, new URL(request.url ?? '/', 'http://localhost'))
    const problem = { code: 'unknown_block', detail: 'there is no such block here' }
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(found ?? problem))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    votes,
    stop: () => stop(server),
  }
}

async function stop(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}

function answer(chain: SmallChain, votes: ReadonlyMap<string, ToldVote[]>, url: URL): object | undefined {
  const { pathname, searchParams } = url
  if (pathname === '/blocks/latest-headers/') {
    const headers = chain.headers.slice(-Number(searchParams.get('n') ?? 5))
    return { chain_id: chain.chainId, tip_height: headers.at(-1)?.header.height ?? null, headers }
  }
  const [, hash, call] = /^\/blocks\/([0-9a-f]{64})\/([a-z-]+)\/$/.exec(pathname) ?? []
  const listed = chain.headers.find(({ header_hash }) => header_hash === hash)
  if (listed === undefined) return undefined
  if (call === 'votes') return { votes: votes.get(listed.header_hash) ?? [] }
  return call === 'merkle-proof' ? proofAnswer(chain, listed, searchParams.get('tx_hash') ?? '') : undefined
}

function proofAnswer(chain: SmallChain, { header, header_hash }: ListedHeader, txHash: string): object {
  const leaves = (chain.trades[header.height] ?? []).map(hashTransaction)
  const proof = merkleProof(leaves, leaves.indexOf(txHash))
  return { block_hash: header_hash, tx_hash: txHash, merkle_root: header.merkle_root, ...proof }
}
