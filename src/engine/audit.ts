import type { ChainStore } from '../ports/chain-store.ts'
import type { BlockRow, MarketStore } from '../ports/market-store.ts'
import type { Block } from '../protocol/block.ts'
import { verifyBlockBody } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifyHeaderLink, verifySeal, type Header } from '../protocol/header.ts'
import { appendToFrontier, foldSubtrees, historyLeaf } from '../protocol/history.ts'
import { Registry } from '../protocol/registry.ts'
import { hashTransaction, type Transaction } from '../protocol/transaction.ts'

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

const PAGE = 100
/** A broken store differs everywhere: the first differences tell where to look. */
const MAX_FINDINGS = 1_000

/**
 * Holds SQL against LevelDB, and both against the chain: each header's hash, link, history, registry and seal, each
 * block's transactions against its Merkle root, each SQL row against its leaf. Names each value that differs.
 */
export async function auditStores(parts: AuditParts): Promise<AuditReport> {
  const findings: Finding[] = []
  const note = (place: string, expected: string, found: string): void => {
    if (findings.length < MAX_FINDINGS) findings.push({ place, expected, found })
  }
  const walker = createWalker(parts.genesis, note)
  let transactions = 0
  let height = 0
  for (;;) {
    const rows = await parts.store.blocks(height, PAGE)
    for (const row of rows) {
      for (; height < row.height; height++) note(`SQL, block ${height}`, 'a row', 'nothing')
      transactions += await auditBlock(parts, row, walker, note)
      height = row.height + 1
    }
    parts.onProgress(height, transactions)
    if (rows.length < PAGE) break
  }
  const size = await parts.chainStore.size()
  if (size !== height) note('LevelDB, number of blocks', String(height), String(size))
  return { blocks: height, transactions, findings }
}

type Note = (place: string, expected: string, found: string) => void

/** Follows the chain of headers and checks each against the one before. */
function createWalker(genesis: Genesis, note: Note) {
  const chainId = chainIdOf(genesis)
  const registry = Registry.fromGenesis(genesis)
  let parent: { readonly header: Header; readonly hash: Hash } | null = null
  let frontier: readonly Hash[] = []
  return {
    genesis,
    check(row: BlockRow): void {
      const { header } = row.sealed
      const place = `SQL, block ${row.height}`
      const hash = hashHeader(header)
      if (hash !== row.block_hash) note(`${place}, block_hash`, hash, row.block_hash)
      const link = verifyHeaderLink(header, parent, genesis, chainId)
      if (!link.ok) note(`${place}, header`, 'a header that follows the one before', `${link.code}: ${link.reason}`)
      const historyRoot = foldSubtrees(frontier)
      if (header.history_root !== historyRoot) note(`${place}, history_root`, historyRoot, header.history_root)
      if (header.registry_root !== registry.root) note(`${place}, registry_root`, registry.root, header.registry_root)
      const sealer = registry.active(header.miner_id, 'authority')
      const seal = sealer === undefined ? undefined : verifySeal(row.sealed, sealer.public_key)
      if (seal?.ok !== true)
        note(`${place}, signature`, `the seal of ${header.miner_id}`, seal?.reason ?? 'no active authority of that id')
      frontier = appendToFrontier(row.height, parent === null ? [] : frontier, historyLeaf(hash))
      parent = { header, hash }
    },
  }
}

async function auditBlock(
  { store, chainStore, genesis }: AuditParts,
  row: BlockRow,
  walker: ReturnType<typeof createWalker>,
  note: Note,
): Promise<number> {
  walker.check(row)
  const { header } = row.sealed
  const inSql = await store.transactionsOfTick(row.tick_id)
  const sqlBody = verifyBlockBody(header, inSql, genesis)
  if (!sqlBody.ok)
    note(
      `SQL, block ${row.height} (tick ${row.tick_id}), transactions`,
      `merkle_root ${header.merkle_root}`,
      sqlBody.reason,
    )

  const block = await readBlock(chainStore, row.height, note)
  if (block === undefined) return inSql.length
  const { header: levelHeader, signature, transactions } = block
  const place = `LevelDB, block ${row.height}`
  compareFields(`${place}, header`, header, levelHeader, note)
  if (signature !== row.sealed.signature) note(`${place}, signature`, row.sealed.signature, signature)
  const levelBody = verifyBlockBody(header, transactions, genesis)
  if (!levelBody.ok) note(`${place}, transactions`, `merkle_root ${header.merkle_root}`, levelBody.reason)
  if (!sqlBody.ok || !levelBody.ok) compareTransactions(row.height, inSql, transactions, sqlBody.ok, note)
  return inSql.length
}

async function readBlock(chainStore: ChainStore, height: number, note: Note): Promise<Block | undefined> {
  try {
    const block = await chainStore.block(height)
    if (block === undefined) note(`LevelDB, block ${height}`, 'a block', 'nothing')
    return block
  } catch (error) {
    if (!isSolarError(error, 'corrupt')) throw error
    const { place, expected, found } = error.fields as Finding
    note(place, expected, found)
    return undefined
  }
}

/** Says which transaction and which field differ; the side that leads to the Merkle root is what is expected. */
function compareTransactions(
  height: number,
  inSql: readonly Transaction[],
  inLevel: readonly Transaction[],
  sqlHolds: boolean,
  note: Note,
): void {
  const [right, wrong, side] = sqlHolds ? [inSql, inLevel, 'LevelDB'] : [inLevel, inSql, 'SQL']
  for (let index = 0; index < Math.max(right.length, wrong.length); index++) {
    const expected = right[index]
    const found = wrong[index]
    const place = `${side}, block ${height}, transaction ${expected?.id ?? found?.id ?? index}`
    if (expected === undefined) note(place, 'nothing', found === undefined ? 'nothing' : hashTransaction(found))
    else if (found === undefined) note(place, hashTransaction(expected), 'nothing')
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
