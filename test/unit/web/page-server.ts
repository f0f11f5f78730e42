import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { merkleProof } from '../../../src/protocol/merkle.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import type { ToldVote } from '../../../src/web/answers.ts'
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
    const code = request.url?.startsWith('/transactions') === true ? 'unknown_transaction' : 'unknown_block'
    const problem = { code, detail: 'there is nothing of that name here' }
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
  if (pathname === '/transactions/proof') return placeAnswer(chain, searchParams)
  const [, hash, call] = /^\/blocks\/([0-9a-f]{64})\/([a-z-]+)\/$/.exec(pathname) ?? []
  const listed = chain.headers.find(({ header_hash }) => header_hash === hash)
  if (listed === undefined) return undefined
  if (call === 'votes') return { votes: votes.get(listed.header_hash) ?? [] }
  return { block_hash: hash, height: listed.header.height, status: listed.status }
}

function placeAnswer(chain: SmallChain, query: URLSearchParams): object | undefined {
  const wanted = query.get('tx_hash') ?? query.get('tx_id')
  const height = chain.trades.findIndex((rows) =>
    rows.some((tx) => [tx.id, hashTransaction(tx)].includes(wanted ?? '')),
  )
  const listed = chain.headers[height]
  if (listed === undefined) return undefined
  const rows = chain.trades[height] ?? []
  const leaves = rows.map(hashTransaction)
  const index = rows.findIndex((tx, at) => tx.id === wanted || leaves[at] === wanted)
  const atHeight = Number(query.get('at_height') ?? height)
  return {
    tx_hash: leaves[index],
    merkle_proof: merkleProof(leaves, index),
    header: listed.header,
    signature: listed.signature,
    history_proof: atHeight > height ? chain.history.inclusion(height, atHeight) : null,
    status: listed.status,
    redacted: false,
  }
}
