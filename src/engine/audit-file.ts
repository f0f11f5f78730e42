import { registryTransactionsOf, verifyBlockBody } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { changesGuard, newFinalHeight } from '../protocol/finality.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, headerShape, type Header } from '../protocol/header.ts'
import { isJsonObject, type Shape, type TypeOf } from '../protocol/shape.ts'
import { Registry } from '../protocol/registry.ts'
import { verifyVote } from '../protocol/vote.ts'
import type { Finding } from './audit.ts'
import { createHeaderWalker, type HeaderWalker, type Note } from './audit-chain.ts'
import { blockLineShape, endLineShape, firstLineShape } from './chain-file.ts'
import type { ChainProgress, OnProgress } from './progress.ts'

export interface FileAuditParts {
  /** The lines of the file, without their line breaks. */
  readonly lines: AsyncIterable<string>
  /** The pinned chain; without it the genesis of the file is taken at its word. */
  readonly chainId: Hash | undefined
  readonly onProgress: OnProgress
}

export interface FileAuditReport {
  /** null if the file has no genesis that can be read. */
  readonly chain_id: Hash | null
  readonly blocks: number
  readonly transactions: number
  readonly votes: number
  /** Transactions whose bodies were removed, with a record of it. */
  readonly redacted: number
  /** By the votes in the file and the policies in force; -1 if no block is final. */
  readonly final_height: number
  readonly findings: readonly Finding[]
}

const PROGRESS_EVERY = 100
const MAX_FINDINGS = 1_000

interface RegistryChange {
  readonly height: number
  readonly registry: Registry
  readonly guarded: boolean
}

/** What is kept from line to line: as much as there are voters and registry changes, whatever the number of blocks. */
interface State {
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly walker: HeaderWalker
  readonly note: Note
  readonly changes: RegistryChange[]
  readonly ackHeights: Map<string, number>
  blocks: number
  transactions: number
  votes: number
  redacted: number
  /** The highest block that the file calls final; -1 before the first. */
  claimedFinal: number
  ended: boolean
}

/**
 * Checks an exported chain without a node: each header's link, history, registry and seal, each block's transactions against its
 * Merkle root, each vote, and what the file calls final by the votes in it. Names each value that is wrong by its line.
 */
export async function auditChainFile({ lines, chainId, onProgress }: FileAuditParts): Promise<FileAuditReport> {
  const findings: Finding[] = []
  const note: Note = (place, expected, found) => {
    if (findings.length < MAX_FINDINGS) findings.push({ place, expected, found })
  }
  let state: State | undefined
  let number = 0
  for await (const line of lines) {
    number += 1
    if (number === 1) {
      state = begin(line, chainId, note)
      if (state === undefined) break
    } else if (state !== undefined) {
      takeLine(state, line, `line ${number}`)
      if (state.blocks % PROGRESS_EVERY === 0) onProgress(progressOf(state))
    }
  }
  if (number === 0) note('line 1', 'the genesis of a chain', 'nothing')
  if (state === undefined) {
    return { chain_id: null, blocks: 0, transactions: 0, votes: 0, redacted: 0, final_height: -1, findings }
  }
  if (!state.ended) note(`line ${number + 1}`, 'the end of the chain', 'the end of the file')
  const { blocks, transactions, votes, redacted } = state
  onProgress(progressOf(state))
  const final_height = finalHeightOf(state)
  if (state.claimedFinal > final_height) {
    note(
      'blocks called final',
      `at most up to height ${final_height}, by the votes`,
      `up to height ${state.claimedFinal}`,
    )
  }
  return { chain_id: state.chainId, blocks, transactions, votes, redacted, final_height, findings }
}

/** The file does not say before its end how many blocks there are. */
const progressOf = ({ blocks, transactions }: State): ChainProgress => ({ blocks, transactions, total: null })

/** Reads a line; what is wrong with it is noted, and gives `undefined`. */
function read<T>(note: Note, line: string, place: string, shape: Shape<T>): T | undefined {
  try {
    return shape(JSON.parse(line), place)
  } catch (error) {
    if (error instanceof SyntaxError) note(place, 'JSON', error.message)
    else if (isSolarError(error, 'malformed')) {
      const { path, expected, got } = error.fields as { path: string; expected: string; got: string }
      note(path, expected, got)
    } else if (isSolarError(error)) note(place, 'a genesis that a chain can start from', error.message)
    else throw error
    return undefined
  }
}

function begin(line: string, pinned: Hash | undefined, note: Note): State | undefined {
  const first = read(note, line, 'line 1', (value, path) => {
    const shaped = firstLineShape(value, path)
    return { ...shaped, genesis: decodeGenesis(shaped.genesis) }
  })
  if (first === undefined) return undefined
  const { genesis } = first
  const chainId = chainIdOf(genesis)
  for (const expected of new Set([pinned ?? chainId, first.chain_id])) {
    if (expected !== chainId)
      note('line 1, genesis', `the genesis of chain ${expected}`, `the genesis of chain ${chainId}`)
  }
  return {
    genesis,
    chainId,
    walker: createHeaderWalker(genesis, note),
    note,
    changes: [],
    ackHeights: new Map(),
    blocks: 0,
    transactions: 0,
    votes: 0,
    redacted: 0,
    claimedFinal: -1,
    ended: false,
  }
}

function takeLine(state: State, line: string, place: string): void {
  if (state.ended) {
    state.note(place, 'nothing after the end', 'a line')
    return
  }
  if (line.startsWith('{"end":')) {
    takeEnd(state, line, place)
    return
  }
  const block = read(state.note, line, place, blockLineShape)
  if (block === undefined) state.walker.skip(headerIn(line))
  else takeBlock(state, block, `${place}, block ${block.header.height}`)
  state.blocks += 1
}

/** The header of a line that is wrong elsewhere: with it the headers above can still be checked. */
function headerIn(line: string): Header | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isJsonObject(value) ? headerShape(value.header, 'header') : undefined
  } catch {
    return undefined
  }
}
function takeBlock(state: State, block: TypeOf<typeof blockLineShape>, place: string): void {
  const { walker, note, genesis } = state
  const { header, signature, transactions, votes, finalized_at, redactions = [] } = block
  const before = walker.registry
  walker.check({ header, signature }, place, transactions)
  const body = verifyBlockBody(header, transactions, genesis)
  if (!body.ok) note(`${place}, transactions`, `merkle_root ${header.merkle_root}`, body.reason)
  if (walker.registry !== before) {
    const guarded = changesGuard(registryTransactionsOf(transactions), before)
    state.changes.push({ height: header.height, registry: walker.registry, guarded })
  }
  const target = { hash: hashHeader(header), height: header.height }
  for (const vote of votes) {
    const verdict = verifyVote(vote, state.chainId, target, before.active(vote.voter_id))
    if (!verdict.ok)
      note(`${place}, vote of ${vote.voter_id}`, 'a vote that holds', `${verdict.code}: ${verdict.reason}`)
    else if (vote.decision === 'ack') state.ackHeights.set(vote.voter_id, header.height)
  }
  if (finalized_at !== null) {
    if (state.claimedFinal !== header.height - 1)
      note(`${place}, finalized_at`, 'null, as the block before is not final', String(finalized_at))
    state.claimedFinal = header.height
  }
  for (const tx of transactions) {
    if (tx.kind !== 'redacted' || redactions.some(({ tx_hash }) => tx_hash === tx.tx_hash)) continue
    note(`${place}, transaction ${tx.tx_hash}`, 'its body, or a record that it was redacted', 'a hash alone')
  }
  state.redacted += redactions.length
  state.transactions += transactions.length
  state.votes += votes.length
}

function takeEnd(state: State, line: string, place: string): void {
  state.ended = true
  const last = read(state.note, line, place, endLineShape)
  if (last === undefined) return
  const { blocks, final_height } = last.end
  if (blocks !== state.blocks) state.note(`${place}, blocks`, String(blocks), String(state.blocks))
  const claimed = state.claimedFinal < 0 ? null : state.claimedFinal
  if (final_height !== claimed) state.note(`${place}, final_height`, String(claimed), String(final_height))
}

/** What is final by the votes in the file and the policy in force at each block. */
function finalHeightOf({ genesis, changes, ackHeights, blocks }: State): number {
  const first = Registry.fromGenesis(genesis)
  return newFinalHeight({
    finalHeight: -1,
    tipHeight: blocks - 1,
    registryBefore: (height) => changes.findLast((change) => change.height < height)?.registry ?? first,
    isGuarded: (height) => changes.some((change) => change.height === height && change.guarded),
    ackHeights,
  })
}
