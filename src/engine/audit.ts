import type { ChainStore } from '../ports/chain-store.ts'
import type { BlockRow, MarketStore, StoredTick } from '../ports/market-store.ts'
import { verifyBlockBody, type ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader } from '../protocol/header.ts'
import { leafOf, type ShownTransaction } from '../protocol/transaction.ts'
import { createHeaderWalker, type HeaderWalker, type Note } from './audit-chain.ts'

/** One value that is not what it should be. */
export interface Finding {
  /** Store, block and field, for people. */
  readonly place: string
  readonly expected: string
  readonly found: string
}

export interface AuditParts {
  readonly genesis: Genesis
  readonly store: MarketStore
  readonly chainStore: ChainStore
  readonly onProgress: (blocks: number, transactions: number) => void
}

export interface AuditReport {
  readonly blocks: number
  readonly transactions: number
  readonly findings: readonly Finding[]
}

const PROGRESS_EVERY = 100
/** A broken store differs everywhere: the first differences tell where to look. */
const MAX_FINDINGS = 1_000

/** What an audit of one block needs. */
interface Auditor extends AuditParts {
  readonly walker: HeaderWalker
  readonly note: Note
  /** Blocks in LevelDB. */
  readonly levelSize: number
  /** tx_hash of each transaction whose body was removed, as SQL has recorded it. */
  readonly redacted: ReadonlySet<Hash>
}

/**
 * Holds SQL against LevelDB, and both against the chain: each header's hash, link, history, registry and seal, each
 * block's transactions against its Merkle root, each SQL row against its leaf, and what LevelDB finds blocks, transactions
 * and history proofs by. Names each value that differs; what cannot be read is named too, and the rest is still checked.
 */
export async function auditStores(parts: AuditParts): Promise<AuditReport> {
  const findings: Finding[] = []
  // A file of many blocks that cannot be read is one finding.
  const noted = new Set<string>()
  const note: Note = (place, expected, found) => {
    const key = [place, expected, found].join('\n')
    if (findings.length < MAX_FINDINGS && !noted.has(key)) findings.push({ place, expected, found })
    noted.add(key)
  }
  const levelSize = await parts.chainStore.size()
  const recorded = await readOrNote(note, () => parts.store.redactions())
  const redacted = new Set(recorded?.map(({ tx_hash }) => tx_hash))
  const auditor = { ...parts, redacted, walker: createHeaderWalker(parts.genesis, note), note, levelSize }
  let transactions = 0
  let height = 0
  for (; ; height++) {
    const rows = await readOrNote(note, () => parts.store.blocks(height, 1))
    const row = rows?.[0]
    if (rows !== undefined && row === undefined) break
    if (row?.height === height) {
      transactions += await auditBlock(auditor, row)
    } else {
      if (row !== undefined) note(`SQL, block ${height}`, 'a row', 'nothing')
      // LevelDB's block takes the place of SQL's, so that those above it can still be checked.
      const block = await readLevel(auditor, height)
      auditor.walker.skip(block?.header, block?.transactions)
    }
    if (height % PROGRESS_EVERY === 0) parts.onProgress(height, transactions)
  }
  parts.onProgress(height, transactions)
  if (levelSize !== height) note('LevelDB, number of blocks', String(height), String(levelSize))
  return { blocks: height, transactions, findings }
}

/** What a store says is damaged becomes a finding; any other failure ends the audit. */
async function readOrNote<T>(note: Note, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!isSolarError(error, 'corrupt')) throw error
    const { place, expected, found } = error.fields as Finding
    note(place, expected, found)
    return undefined
  }
}

const readLevel = ({ chainStore, note }: Auditor, height: number): Promise<ShownBlock | undefined> =>
  readOrNote(note, () => chainStore.block(height))

/** Gives back how many transactions SQL has for the block. */
async function auditBlock(auditor: Auditor, row: BlockRow): Promise<number> {
  const { store, genesis, walker, note } = auditor
  const { header } = row.sealed
  const hash = hashHeader(header)
  if (hash !== row.block_hash) note(`SQL, block ${row.height}, block_hash`, hash, row.block_hash)
  const bodyOf = (transactions: readonly ShownTransaction[] | undefined) =>
    transactions && { transactions, verdict: verifyBlockBody(header, transactions, genesis) }
  const tick = await readOrNote(note, () => store.tick(row.tick_id))
  const block = await readLevel(auditor, row.height)
  const [sqlBody, levelBody] = [bodyOf(tick?.transactions), bodyOf(block?.transactions)]
  const held = [sqlBody, levelBody].find((body) => body?.verdict.ok === true)
  walker.check(row.sealed, `SQL, block ${row.height}`, held?.transactions)

  const holds = (place: string, body: typeof sqlBody): boolean => {
    if (body?.verdict.ok === false) {
      note(`${place}, transactions`, `merkle_root ${header.merkle_root}`, body.verdict.reason)
    }
    return body?.verdict.ok === true
  }
  const inSql = tick?.transactions
  const sqlHolds = holds(`SQL, block ${row.height} (tick ${row.tick_id})`, sqlBody)
  if (sqlHolds && tick !== undefined) compareHashes(row.height, tick, note)
  compareRedactions(auditor, `SQL, block ${row.height}`, inSql ?? [])
  compareRedactions(auditor, `LevelDB, block ${row.height}`, block?.transactions ?? [])
  if (block === undefined) {
    if (row.height >= auditor.levelSize) note(`LevelDB, block ${row.height}`, 'a block', 'nothing')
    return inSql?.length ?? 0
  }
  const place = `LevelDB, block ${row.height}`
  compareFields(`${place}, header`, header, block.header, note)
  if (block.signature !== row.sealed.signature) note(`${place}, signature`, row.sealed.signature, block.signature)
  const levelHolds = holds(place, levelBody)
  if (inSql !== undefined && !(sqlHolds && levelHolds)) {
    compareTransactions(row.height, inSql, block.transactions, sqlHolds, note)
  }
  await auditIndexes(auditor, row, sqlHolds ? (inSql ?? []) : levelHolds ? block.transactions : [])
  return inSql?.length ?? 0
}

/** SQL finds a transaction by its hash as well, and answers with it. */
function compareHashes(height: number, { transactions, tx_hashes }: StoredTick, note: Note): void {
  for (const [index, transaction] of transactions.entries()) {
    const expected = leafOf(transaction)
    const found = tx_hashes[index] ?? 'nothing'
    if (found !== expected) note(`SQL, block ${height}, transaction ${nameOf(transaction)}, tx_hash`, expected, found)
  }
}

/** A redacted transaction is known by its hash. */
const nameOf = (tx: ShownTransaction): string => (tx.kind === 'redacted' ? tx.tx_hash : tx.id)

/** Every hole has a record, and what has a record is a hole. */
function compareRedactions(
  { redacted, note }: Auditor,
  place: string,
  transactions: readonly ShownTransaction[],
): void {
  for (const tx of transactions) {
    const isRecorded = redacted.size > 0 && redacted.has(leafOf(tx))
    const at = `${place}, transaction ${nameOf(tx)}`
    if (tx.kind === 'redacted' && !isRecorded) note(at, 'its body, or a record that it was redacted', 'a hash alone')
    if (tx.kind !== 'redacted' && isRecorded) note(at, 'its hash alone: it was redacted', 'its body (redact it again)')
  }
}

/** What LevelDB finds a block, its transactions and its part of history proofs by. */
async function auditIndexes(auditor: Auditor, row: BlockRow, transactions: readonly ShownTransaction[]): Promise<void> {
  const { chainStore, walker, note } = auditor
  const height = String((await readOrNote(note, () => chainStore.heightOf(hashHeader(row.sealed.header)))) ?? 'nothing')
  if (height !== String(row.height)) note(`LevelDB, block ${row.height}, height by hash`, String(row.height), height)
  for (const [index, transaction] of transactions.entries()) {
    const place = `LevelDB, block ${row.height}, transaction ${nameOf(transaction)}`
    const expected = `block ${row.height}, position ${index}`
    const keys = {
      ...(transaction.kind !== 'redacted' && { id: { tx_id: transaction.id } }),
      hash: { tx_hash: leafOf(transaction) },
    }
    for (const [name, by] of Object.entries(keys)) {
      const at = await readOrNote(note, () => chainStore.locate(by))
      const found = at === undefined ? 'nothing' : `block ${at.height}, position ${at.index}`
      if (found !== expected) note(`${place}, place by ${name}`, expected, found)
    }
  }
  await auditCorrections(auditor, row.height, transactions)
  for (const node of walker.newNodes()) {
    const [found] = (await readOrNote(note, () => chainStore.historyNodes([node]))) ?? []
    if (found !== undefined && found !== node.hash) {
      note(`LevelDB, history node ${node.level}/${node.index}`, node.hash, found)
    }
  }
}

/** What LevelDB finds the corrections of a trade by. */
async function auditCorrections(
  { chainStore, note }: Auditor,
  height: number,
  transactions: readonly ShownTransaction[],
): Promise<void> {
  for (const [index, tx] of transactions.entries()) {
    if (tx.kind !== 'correction') continue
    const places = await readOrNote(note, () => chainStore.correctionsOf(tx.corrects))
    if (places === undefined || places.some((at) => at.height === height && at.index === index)) continue
    const place = `LevelDB, block ${height}, transaction ${tx.id}, among the corrections of ${tx.corrects}`
    note(place, `block ${height}, position ${index}`, 'nothing')
  }
}

/** Says which transaction and which field differ; the side that leads to the Merkle root is what is expected. */
function compareTransactions(
  height: number,
  inSql: readonly ShownTransaction[],
  inLevel: readonly ShownTransaction[],
  sqlHolds: boolean,
  note: Note,
): void {
  const [right, wrong, side] = sqlHolds ? [inSql, inLevel, 'LevelDB'] : [inLevel, inSql, 'SQL']
  for (let index = 0; index < Math.max(right.length, wrong.length); index++) {
    const expected = right[index]
    const found = wrong[index]
    const either = expected ?? found
    const place = `${side}, block ${height}, transaction ${either === undefined ? index : nameOf(either)}`
    if (expected === undefined) note(place, 'nothing', found === undefined ? 'nothing' : leafOf(found))
    else if (found === undefined) note(place, leafOf(expected), 'nothing')
    else compareFields(place, expected, found, note)
  }
}

function compareFields(place: string, expected: object, found: object, note: Note): void {
  const right = new Map(Object.entries(expected))
  const wrong = new Map(Object.entries(found))
  for (const field of new Set([...right.keys(), ...wrong.keys()])) {
    const [a, b] = [right.get(field), wrong.get(field)].map((value) =>
      value === undefined ? 'nothing' : canonicalText(value),
    )
    if (a !== b) note(`${place}, ${field}`, a ?? '', b ?? '')
  }
}
