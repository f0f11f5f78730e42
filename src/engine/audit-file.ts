import { inTurns } from '../ports/turns.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { chainIdOf, decodeGenesis } from '../protocol/genesis.ts'
import { parseJson } from '../protocol/json.ts'
import { parseJsonInPieces } from '../protocol/json-pieces.ts'
import { headerShape, type Header } from '../protocol/header.ts'
import { isJsonObject } from '../protocol/shape.ts'
import type { AuditFindings } from './audit.ts'
import { createBlockAuditor, type BlockAuditor, type BlockSums } from './audit-block.ts'
import { blockLineShape, endLineShape, firstLineShape } from './chain-file.ts'
import { createFindings, type Note } from './findings.ts'
import type { ChainProgress, OnProgress } from './progress.ts'

export interface FileAuditParts {
  /** The lines of the file, without their line breaks. */
  readonly lines: AsyncIterable<string>
  /** The pinned chain; without it the genesis of the file is taken at its word. */
  readonly chainId: Hash | undefined
  readonly onProgress: OnProgress
}

export interface FileAuditReport extends AuditFindings, BlockSums {
  /** null if the file has no genesis that can be read. */
  readonly chain_id: Hash | null
  /** By the votes in the file and the policies in force; -1 if no block is final. */
  readonly final_height: number
}

const PROGRESS_EVERY = 100

interface State {
  readonly auditor: BlockAuditor
  ended: boolean
}

/**
 * Checks an exported chain without a node: each header's link, history, registry and seal, each block's transactions against its
 * Merkle root, each vote, and what the file calls final by the votes in it. Names each value that is wrong by its line.
 */
export async function auditChainFile({ lines, chainId, onProgress }: FileAuditParts): Promise<FileAuditReport> {
  const found = createFindings()
  const { note, findings } = found
  let state: State | undefined
  let number = 0
  for await (const line of lines) {
    number += 1
    if (number === 1) {
      state = await begin(line, chainId, note)
      if (state === undefined) break
    } else if (state !== undefined) {
      await takeLine(state, line, `line ${number}`)
      if (state.auditor.sums.blocks % PROGRESS_EVERY === 0) onProgress(progressOf(state))
    }
  }
  if (number === 0) note('line 1', 'the genesis of a chain', 'nothing')
  const report = (rest: Pick<FileAuditReport, 'chain_id' | 'final_height'> & BlockSums): FileAuditReport => ({
    ...rest,
    findings,
    total_findings: found.total,
    ranges: found.ranges(),
  })
  if (state === undefined) {
    return report({ chain_id: null, blocks: 0, transactions: 0, votes: 0, redacted: 0, final_height: -1 })
  }
  if (!state.ended) note(`line ${number + 1}`, 'the end of the chain', 'the end of the file')
  onProgress(progressOf(state))
  const final_height = state.auditor.finish()
  return report({ chain_id: state.auditor.chainId, ...state.auditor.sums, final_height })
}

/** The file does not say before its end how many blocks there are. */
function progressOf({ auditor }: State): ChainProgress {
  const { blocks, transactions } = auditor.sums
  return { blocks, transactions, total: null }
}

/** Reads a line; what is wrong with it is noted, and gives `undefined`. */
async function read<T>(
  note: Note,
  line: string,
  place: string,
  shape: (value: unknown, path: string) => T | Promise<T>,
): Promise<T | undefined> {
  try {
    const { value, repeatsName } = await inTurns(parseJsonInPieces(line))
    if (repeatsName) {
      note(place, 'each field once', 'a field twice')
      return undefined
    }
    return await shape(value, place)
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

async function begin(line: string, pinned: Hash | undefined, note: Note): Promise<State | undefined> {
  const first = await read(note, line, 'line 1', (value, path) => {
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
  return { auditor: createBlockAuditor(genesis, note), ended: false }
}

async function takeLine(state: State, line: string, place: string): Promise<void> {
  const { auditor } = state
  if (state.ended) {
    auditor.note(place, 'nothing after the end', 'a line')
    return
  }
  if (line.startsWith('{"end":')) {
    await takeEnd(state, line, place)
    return
  }
  const block = await read(auditor.note, line, place, (value, path) => inTurns(blockLineShape(value, path)))
  if (block === undefined) await auditor.skip(headerIn(line))
  else await auditor.check(block, `${place}, block ${block.header.height}`)
}

/** The header of a line that is wrong elsewhere: with it the headers above can still be checked. */
function headerIn(line: string): Header | undefined {
  try {
    const value = parseJson(line)
    return isJsonObject(value) ? headerShape(value.header, 'header') : undefined
  } catch {
    return undefined
  }
}

async function takeEnd(state: State, line: string, place: string): Promise<void> {
  const { note, sums, claimedFinal } = state.auditor
  state.ended = true
  const last = await read(note, line, place, endLineShape)
  if (last === undefined) return
  const { blocks, final_height } = last.end
  if (blocks !== sums.blocks) note(`${place}, blocks`, String(blocks), String(sums.blocks))
  const claimed = claimedFinal < 0 ? null : claimedFinal
  if (final_height !== claimed) note(`${place}, final_height`, String(claimed), String(final_height))
}
