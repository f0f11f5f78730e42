import { inTurns } from '../ports/turns.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { registryTransactionsOf, type ShownBlock } from '../protocol/block.ts'
import { hashHeader } from '../protocol/header.ts'
import { mapInPieces } from '../protocol/pieces.ts'
import { leafOf } from '../protocol/transaction.ts'
import type { AuditReport } from './audit.ts'
import { acksOfBranches } from './branch-acks.ts'
import { createBlockAuditor, type BlockAuditor } from './audit-block.ts'
import { auditIndexes, auditRegistryHeights } from './audit-indexes.ts'
import { readOrNote } from './audit-pages.ts'
import { byHeight, type ReplicaParts } from './chain-source.ts'
import { createFindings } from './findings.ts'
import type { OnProgress } from './progress.ts'

const PROGRESS_EVERY = 100

export interface ReplicaAuditParts extends ReplicaParts {
  readonly genesis: Genesis
  readonly onProgress: OnProgress
}

/**
 * Holds the LevelDB of a validator against the chain: each header's link, history, registry and seal, each block's transactions, each
 * vote, what is called final, and what LevelDB finds all of it by. What cannot be read is named, and the rest is still checked.
 */
export async function auditReplica(parts: ReplicaAuditParts): Promise<AuditReport> {
  const { genesis, chain, finality, onProgress } = parts
  const found = createFindings()
  const { note, findings } = found
  const auditor = createBlockAuditor(genesis, note)
  const recorded = byHeight((await readOrNote(note, () => chain.redactions(0))) ?? [])
  const total = await chain.size()
  const changes: number[] = []
  for (let height = 0; height < total; height++) {
    const place = `LevelDB, block ${height}`
    const block = await readOrNote(note, () => chain.block(height))
    if (block === undefined) {
      note(place, 'a block', 'nothing that can be read')
      const [stored] = (await readOrNote(note, () => chain.headers(height, 1))) ?? []
      await auditor.skip(stored?.header)
    } else {
      const votes = (await readOrNote(note, () => finality.votesOf(hashHeader(block.header)))) ?? []
      const finalized_at = (await readOrNote(note, () => parts.finalizedAt(height))) ?? null
      const redactions = recorded.get(height) ?? []
      await auditor.check({ ...block, votes, finalized_at, redactions }, place)
      await checkIndexes(parts, auditor, block, height)
      if (registryTransactionsOf(block.transactions).length > 0) changes.push(height)
    }
    const { blocks, transactions } = auditor.sums
    if (blocks % PROGRESS_EVERY === 0 || blocks === total) onProgress({ blocks, transactions, total })
  }
  await auditRegistryHeights(chain, changes, note)
  const provenFinal = auditor.finalHeight()
  if (auditor.claimedFinal > provenFinal) {
    auditor.countShared((await readOrNote(note, () => acksOfBranches(chain, finality, provenFinal + 1))) ?? [])
  }
  auditor.finish()
  const { blocks, transactions } = auditor.sums
  return { blocks, transactions, findings, total_findings: found.total, ranges: found.ranges() }
}

async function checkIndexes(
  { chain }: ReplicaParts,
  { walker, note }: BlockAuditor,
  { header, transactions }: ShownBlock,
  height: number,
): Promise<void> {
  const txHashes = await inTurns(mapInPieces(transactions, leafOf))
  const indexed = { height, hash: hashHeader(header), transactions, txHashes, nodes: walker.newNodes() }
  await auditIndexes(chain, [indexed], note)
}
