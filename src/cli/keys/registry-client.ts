import type { Hash } from '../../protocol/bytes.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { chainIdOf, decodeGenesis, finalityShape } from '../../protocol/genesis.ts'
import { headerShape } from '../../protocol/header.ts'
import { registryEntryShape } from '../../protocol/registry.ts'
import type { PostedRegistryTransaction } from '../../protocol/registry-transaction.ts'
import {
  array,
  blockHeight,
  hash32,
  identifier,
  integer,
  nullable,
  object,
  signatureHex,
  type Shape,
  type TypeOf,
} from '../../protocol/shape.ts'
import { voteShape } from '../../protocol/vote.ts'
import { problemOf, type HttpAnswer, type HttpClient } from '../replay/http-client.ts'
import { registryError } from './errors.ts'

/** More entries than a registry will have; a bound on what an answer may make us remember. */
const MAX_ENTRIES = 1_000_000

const genesisAnswer = object({ chain_id: hash32, genesis: decodeGenesis })
const registryAnswer = object(
  {
    chain_id: hash32,
    height: nullable(blockHeight),
    registry_root: hash32,
    finality: finalityShape,
    since_height: blockHeight,
    entries: array(registryEntryShape, MAX_ENTRIES),
  },
  { next: integer() },
)
const changeAnswer = object({ id: identifier, tick_id: identifier })

const latestAnswer = object({
  chain_id: hash32,
  tip_height: nullable(blockHeight),
  headers: array(
    object({ header: headerShape, header_hash: hash32, signature: signatureHex, status: identifier }),
    1_000,
  ),
})
const votesAnswer = object({ votes: array(object({ vote: voteShape, entry: registryEntryShape }), MAX_ENTRIES) })

/** Somebody whose votes were seen. */
export interface SeenVoter {
  readonly id: string
  /** Unix milliseconds of the block. */
  readonly since: number
}

/** What an authority says its registry is. */
export type RegistryAnswer = TypeOf<typeof registryAnswer>
export type ChangeAnswer = TypeOf<typeof changeAnswer>

/** The calls of docs/protocol.md 9 that a registry change makes. Errors are those of ./errors. */
export interface RegistryClient {
  /** The chain that the authority's genesis hashes to. */
  chainId(): Promise<Hash>
  registry(): Promise<RegistryAnswer>
  /** Who acked one of the last blocks, and the time of the first of these; and how many of the blocks asked for there are. */
  seenVoters(blocks: number): Promise<{ readonly blocks: number; readonly voters: readonly SeenVoter[] }>
  /** Durable once it returns; the same transaction again answers the same. */
  change(transaction: PostedRegistryTransaction, userId: string | undefined): Promise<ChangeAnswer>
}

export function createRegistryClient(http: HttpClient): RegistryClient {
  return {
    chainId: async () => {
      const what = 'GET genesis'
      const { chain_id, genesis } = read(what, await http.get('genesis'), genesisAnswer)
      const hashed = chainIdOf(genesis)
      if (hashed === chain_id) return hashed
      throw registryError('bad_answer', { what, reason: `its genesis hashes to ${hashed}, not to ${chain_id}` })
    },
    registry: async () => {
      const page = async (query: string) => read('GET registry', await http.get(`registry${query}`), registryAnswer)
      const first = await page('')
      const { height, entries } = first
      const all = [...entries]
      for (let next = first.next; next !== undefined && all.length < MAX_ENTRIES;) {
        // Of the same height: a registry that changes meanwhile is not to be taken for one.
        const at = height === null ? '' : `&at_height=${height}`
        const more = await page(`?from_slot=${next}${at}`)
        all.push(...more.entries)
        next = more.next
      }
      return { ...first, entries: all }
    },
    seenVoters: async (blocks) => {
      const { headers } = read('GET blocks', await http.get(`blocks/latest-headers/?n=${blocks}`), latestAnswer)
      const seen = new Map<string, number>()
      for (const { header, header_hash } of headers) {
        const path = `blocks/${header_hash}/votes/`
        for (const { vote } of read(`GET ${path}`, await http.get(path), votesAnswer).votes) {
          if (vote.decision === 'ack' && !seen.has(vote.voter_id)) seen.set(vote.voter_id, header.timestamp)
        }
      }
      return { blocks: headers.length, voters: [...seen].map(([id, since]) => ({ id, since })) }
    },
    change: async (transaction, userId) => {
      const body = { transaction, ...(userId !== undefined && { user_id: userId }) }
      const what = `${transaction.action} of ${transaction.subject_id}`
      return read(what, await http.post('registry/', body), changeAnswer)
    },
  }
}

/** The checked body of a 2xx answer. Throws `no_access`, `refused`, `bad_answer`. */
function read<T>(what: string, { status, body }: HttpAnswer, shape: Shape<T>): T {
  const { code, detail } = problemOf(body)
  if (status === 401 || status === 403) throw registryError('no_access', { what, status, detail })
  if (status < 200 || status > 299) throw registryError('refused', { what, status, code, detail })
  try {
    return shape(body, 'it')
  } catch (error) {
    if (!isSolarError(error)) throw error
    throw registryError('bad_answer', { what, reason: error.message }, error)
  }
}
