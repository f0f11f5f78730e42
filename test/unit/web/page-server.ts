import { readFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { merkleProof } from '../../../src/protocol/merkle.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import type { ListedHeader, ToldVote } from '../../../src/web/answers.ts'
import type { SmallChain } from './small-chain.ts'

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html',
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
}

export interface PageServer {
  readonly url: string
  /** Votes as the server tells them, by block hash. */
  readonly votes: Map<string, ToldVote[]>
  tell(name: 'header' | 'final' | 'vote', data: object): void
  stop(): Promise<void>
}

/** The public calls of an authority over a small chain, and the built page if there is one. */
export async function servePage(chain: SmallChain, port = 0): Promise<PageServer> {
  const votes = new Map<string, ToldVote[]>()
  const streams = new Set<ServerResponse>()
  const json = (response: ServerResponse, value: object, status = 200) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (url.pathname === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 2000\n\n')
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    const found = answer(chain, votes, url)
    if (found !== undefined) json(response, found)
    else void serveFile(url.pathname, response)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    votes,
    tell(name, data) {
      for (const stream of streams) stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
    },
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
  if (pathname === '/genesis') return { chain_id: chain.chainId, genesis: chain.genesis }
  if (pathname === '/node') {
    const peer_id = '12D3KooWEXAMPLEpeerEXAMPLEpeerEXAMPLEpeerEXAMPLEpee'
    const multiaddrs = [`/ip4/127.0.0.1/tcp/4002/ws/p2p/${peer_id}`, `/ip4/127.0.0.1/tcp/4001/p2p/${peer_id}`]
    return { mode: 'authority', chain_id: chain.chainId, peer_id, multiaddrs, version: '0.1.0' }
  }
  if (pathname === '/blocks/latest-headers/') {
    const headers = chain.headers.slice(-Number(searchParams.get('n') ?? 5))
    return { chain_id: chain.chainId, tip_height: headers.at(-1)?.header.height ?? null, headers }
  }
  if (pathname === '/history/inclusion') {
    return chain.history.inclusion(Number(searchParams.get('height')), Number(searchParams.get('size')))
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

async function serveFile(pathname: string, response: ServerResponse): Promise<void> {
  const name = pathname === '/' ? 'index.html' : pathname.slice(1)
  try {
    const content = await readFile(fileURLToPath(new URL(`../../../dist/web/${name}`, import.meta.url)))
    response.writeHead(200, { 'content-type': TYPES[name.split('.').at(-1) ?? ''] ?? 'text/plain' }).end(content)
  } catch {
    response
      .writeHead(404, { 'content-type': 'application/problem+json' })
      .end('{"code":"not_found","detail":"not here"}')
  }
}
