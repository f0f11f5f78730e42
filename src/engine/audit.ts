import type { ChainStore } from '../ports/chain-store.ts'
import type { MarketStore, SealedTick, VoidTick } from '../ports/market-store.ts'
import { inTurns } from '../ports/turns.ts'
import { registryTransactionsOf, verifyBlockBodyInPieces } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import type { Verdict } from '../protocol/errors.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { mapInPieces } from '../protocol/pieces.ts'
import { leafOf, type ShownTransaction } from '../protocol/transaction.ts'
import { createHeaderWalker, type HeaderWalker } from './audit-chain.ts'
import { auditIndexes, auditRegistryHeights, type IndexedBlock } from './audit-indexes.ts'
import { heldPages, readOrNote, unlessCorrupt, type Held } from './audit-pages.ts'
import { createFindings, type Finding, type FindingRange, type Note } from './findings.ts'
import type { OnProgress } from './progress.ts'

/** What an audit has found. */
export interface AuditFindings {
  /** The first 1,000, one by one. */
  readonly findings: readonly Finding[]
  readonly total_findings: number
  /** All of them, summed up: findings of one kind at blocks that follow each other are one. */
  readonly ranges: readonly FindingRange[]
}

export interface AuditParts {
  readonly genesis: Genesis
  readonly store: MarketStore
  readonly chainStore: ChainStore
  readonly onProgress: OnProgress
}

export interface AuditReport extends AuditFindings {
  readonly blocks: number
  readonly transactions: number
  /** Of an authority: ticks that were committed and could never be sealed. */
  readonly void_ticks?: readonly VoidTick[]
}

/** What an audit of one block needs. */
interface Auditor extends AuditParts {
  readonly walker: HeaderWalker
  readonly note: Note
  /** tx_hash of each transaction whose body was removed, as SQL has recorded it. */
  readonly redacted: ReadonlySet<Hash>
}

/**
 * Holds SQL against LevelDB, and both against the chain: each header's hash, link, history, registry and seal, each
 * block's transactions against its Merkle root, each SQL row against its leaf, and what LevelDB finds blocks, transactions
 * and history proofs by. Names each value that differs; what cannot be read is named too, and the rest is still checked.
 */
export async function auditStores(parts: AuditParts): Promise<AuditReport> {
  const found = createFindings()
  const { note, findings } = found
  const { store, chainStore, onProgress } = parts
  const levelSize = await chainStore.size()
  const total = ((await unlessCorrupt(() => store.lastBlock()))?.height ?? -1) + 1
  const recorded = await readOrNote(note, () => store.redactions())
  const redacted = new Set(recorded?.map(({ tx_hash }) => tx_hash))
  const auditor = { ...parts, redacted, walker: createHeaderWalker(parts.genesis, note), note }
  const changes: number[] = []
  let transactions = 0
  let blocks = 0
  for await (const page of heldPages(parts, note)) {
    const indexed: IndexedBlock[] = []
    for (const held of page) indexed.push(...(await auditBlock(auditor, held)))
    await auditIndexes(chainStore, indexed, note)
    for (const block of indexed) if (registryTransactionsOf(block.transactions).length > 0) changes.push(block.height)
    blocks += page.length
    for (const { tick } of page) transactions += tick?.transactions.length ?? 0
    onProgress({ blocks, transactions, total })
  }
  if (levelSize !== blocks) note('LevelDB, number of blocks', String(blocks), String(levelSize))
  await auditRegistryHeights(chainStore, changes, note)
  const void_ticks = await auditVoidTicks(parts, note)
  return { blocks, transactions, findings, total_findings: found.total, ranges: found.ranges(), void_ticks }
}

/** A void tick is in no block, and none of what it says is. */
async function auditVoidTicks({ store, chainStore }: AuditParts, note: Note): Promise<readonly VoidTick[]> {
  const voided = (await readOrNote(note, () => store.voidTicks())) ?? []
  for (const { tick_id, transactions } of voided) {
    const committed = await readOrNote(note, () => store.tick(tick_id))
    if (committed !== undefined) note(`SQL, void tick ${tick_id}`, 'no tick of its id', 'a committed one')
    const places = await chainStore.placesByHash(transactions.map(leafOf))
    for (const [index, place] of places.entries()) {
      const tx = transactions[index]
      if (place === undefined || tx === undefined) continue
      note(`SQL, void tick ${tick_id}, transaction ${nameOf(tx)}`, 'it in no block', `it in block ${place.height}`)
    }
  }
  return voided
}

/** Checks what the stores hold of one height. Gives back what LevelDB must find it by, if it is there. */
async function auditBlock(auditor: Auditor, held: Held): Promise<readonly IndexedBlock[]> {
  const { height, row, tick, block, damaged } = held
  const { genesis, walker, note } = auditor
  if (row === undefined) {
    // LevelDB's block takes the place of SQL's, so that those above it can still be checked.
    await walker.skip(block?.header, block?.transactions)
    return []
  }
  const { header } = row.sealed
  const hash = hashHeader(header)
  if (hash !== row.block_hash) note(`SQL, block ${height}, block_hash`, hash, row.block_hash)
  const inSql = tick && (await bodyOf(header, tick.transactions, genesis))
  // LevelDB's copy need not be hashed again where it is the same.
  const isSame = inSql !== undefined && block !== undefined && sameTransactions(inSql.transactions, block.transactions)
  const inLevel = isSame ? inSql : block && (await bodyOf(header, block.transactions, genesis))
  const whole = [inSql, inLevel].find((body) => body?.verdict.ok === true)
  walker.check(row.sealed, `SQL, block ${height}`, whole?.transactions)

  const sqlPlace = `SQL, block ${height} (tick ${row.tick_id})`
  const sqlHolds = noteBody(sqlPlace, header, inSql, note)
  if (sqlHolds && tick !== undefined) compareHashes(height, inSql, tick, note)
  if (tick === undefined && !damaged.includes('SQL')) note(sqlPlace, 'a tick', 'nothing')
  compareRedactions(auditor, `SQL, block ${height}`, inSql)
  compareRedactions(auditor, `LevelDB, block ${height}`, inLevel)
  if (block === undefined) {
    if (!damaged.includes('LevelDB')) note(`LevelDB, block ${height}`, 'a block', 'nothing')
    return []
  }
  const place = `LevelDB, block ${height}`
  compareFields(`${place}, header`, header, block.header, note)
  if (block.signature !== row.sealed.signature) note(`${place}, signature`, row.sealed.signature, block.signature)
  const levelHolds = noteBody(place, header, inLevel, note)
  if (inSql !== undefined && !(sqlHolds && levelHolds)) {
    compareTransactions(height, inSql.transactions, block.transactions, sqlHolds, note)
  }
  const { transactions, txHashes } = whole ?? { transactions: [], txHashes: [] }
  return [{ height, hash, transactions, txHashes, nodes: walker.newNodes() }]
}

/** Transactions that a store has for a block, and whether they are those of its header. */
interface Body {
  readonly transactions: readonly ShownTransaction[]
  readonly txHashes: readonly Hash[]
  readonly verdict: Verdict
}

async function bodyOf(header: Header, transactions: readonly ShownTransaction[], genesis: Genesis): Promise<Body> {
  const txHashes = await inTurns(mapInPieces(transactions, leafOf))
  const verdict = await inTurns(verifyBlockBodyInPieces(header, transactions, genesis, txHashes))
  return { transactions, txHashes, verdict }
}

/** True if a store has the transactions of the header. */
function noteBody(place: string, header: Header, body: Body | undefined, note: Note): body is Body {
  if (body?.verdict.ok === false)
    note(`${place}, transactions`, `merkle_root ${header.merkle_root}`, body.verdict.reason)
  return body?.verdict.ok === true
}

/** True if both are the same, field by field; the fields are those of their shapes. */
const sameTransactions = (a: readonly ShownTransaction[], b: readonly ShownTransaction[]): boolean =>
  a.length === b.length && a.every((tx, index) => sameTransaction(tx, b[index]))

function sameTransaction(a: ShownTransaction, b: ShownTransaction | undefined): boolean {
  if (a.kind !== 'trade' || b?.kind !== 'trade') return b !== undefined && canonicalText(a) === canonicalText(b)
  return (
    a.id === b.id &&
    a.from_user_id === b.from_user_id &&
    a.to_user_id === b.to_user_id &&
    a.kwh === b.kwh &&
    a.price_per_kwh === b.price_per_kwh &&
    a.total_amount === b.total_amount &&
    a.timestamp === b.timestamp &&
    a.tick_id === b.tick_id &&
    a.nonce === b.nonce &&
    a.payload === b.payload
  )
}

/** SQL finds a transaction by its hash as well, and answers with it. */
function compareHashes(height: number, { transactions, txHashes }: Body, { tx_hashes }: SealedTick, note: Note): void {
  for (const [index, transaction] of transactions.entries()) {
    const [expected, found] = [txHashes[index] ?? 'nothing', tx_hashes[index] ?? 'nothing']
    if (found !== expected) note(`SQL, block ${height}, transaction ${nameOf(transaction)}, tx_hash`, expected, found)
  }
}

/** A redacted transaction is known by its hash. */
const nameOf = (tx: ShownTransaction): string => (tx.kind === 'redacted' ? tx.tx_hash : tx.id)

/** Every hole has a record, and what has a record is a hole. */
function compareRedactions({ redacted, note }: Auditor, place: string, body: Body | undefined): void {
  for (const [index, tx] of (body?.transactions ?? []).entries()) {
    const isRecorded = redacted.size > 0 && redacted.has(body?.txHashes[index] ?? '')
    if (isRecorded === (tx.kind === 'redacted')) continue
    const at = `${place}, transaction ${nameOf(tx)}`
    if (isRecorded) note(at, 'its hash alone: it was redacted', 'its body (redact it again)')
    else note(at, 'its body, or a record that it was redacted', 'a hash alone')
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
