import { inTurns } from '../ports/turns.ts'
import { registryTransactionsOf, verifyBlockBodyInPieces } from '../protocol/block.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import { changesGuard, newFinalHeight, noteAck } from '../protocol/finality.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, type Header, type SealedHeader } from '../protocol/header.ts'
import type { Redaction } from '../protocol/redaction.ts'
import { Registry } from '../protocol/registry.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import { verifyVote, type Vote } from '../protocol/vote.ts'
import type { SharedAck } from './branch-acks.ts'
import { createHeaderWalker, type HeaderWalker } from './audit-chain.ts'
import type { Note } from './findings.ts'

/** A block with all that is said of it. */
export interface TestifiedBlock extends SealedHeader {
  readonly transactions: readonly ShownTransaction[]
  readonly votes: readonly Vote[]
  /** null while only proposed. */
  readonly finalized_at: number | null
  /** The records of the transactions whose bodies were removed. */
  readonly redactions?: readonly Redaction[]
}

/** Sums of the blocks so far. */
export interface BlockSums {
  readonly blocks: number
  readonly transactions: number
  readonly votes: number
  /** Transactions whose bodies were removed, with a record of it. */
  readonly redacted: number
}

/** Checks the blocks of one chain from height 0 on, each with its votes, whoever has kept them. */
export interface BlockAuditor {
  readonly chainId: Hash
  readonly walker: HeaderWalker
  readonly note: Note
  check(block: TestifiedBlock, place: string): Promise<void>
  /** Goes on behind a block that cannot be read; with its header those above can still be checked. */
  skip(header: Header | undefined): Promise<void>
  readonly sums: BlockSums
  /** The highest block that was called final; -1 before the first. */
  readonly claimedFinal: number
  /** What is final by the votes that were seen and the policy in force at each block. */
  finalHeight(): number
  /** Acks on branches that the chain has left count for what both share. */
  countShared(acks: readonly SharedAck[]): void
  /** `finalHeight`; notes more than that. */
  finish(): number
}

interface RegistryChange {
  readonly height: number
  readonly registry: Registry
  readonly guarded: boolean
}

/** With so many changes it is time to find out which of them are final. */
const MAX_CHANGES = 1_000

/**
 * What is kept from block to block: as much as there are voters, keys that were ever registered and registry changes that
 * are not final, whatever the number of blocks.
 */
export function createBlockAuditor(genesis: Genesis, note: Note): BlockAuditor {
  const chainId = chainIdOf(genesis)
  const walker = createHeaderWalker(genesis, note)
  /** Changes above what is final by the votes so far. */
  let changes: RegistryChange[] = [{ height: -1, registry: Registry.fromGenesis(genesis), guarded: false }]
  let final = -1
  const ackHeights = new Map<Hex, number>()
  const sums = { blocks: 0, transactions: 0, votes: 0, redacted: 0 }
  let claimedFinal = -1

  function checkVotes({ votes, header }: TestifiedBlock, place: string, before: Registry): void {
    const target = { hash: hashHeader(header), height: header.height }
    for (const vote of votes) {
      const verdict = verifyVote(vote, chainId, target, before.active(vote.voter_id))
      if (!verdict.ok)
        note(`${place}, vote of ${vote.voter_id}`, 'a vote that holds', `${verdict.code}: ${verdict.reason}`)
      else if (vote.decision === 'ack') noteAck(ackHeights, vote.voter_id, header.height, before)
    }
  }

  function checkRedactions({ transactions, redactions = [] }: TestifiedBlock, place: string): void {
    const recorded = new Set(redactions.map(({ tx_hash }) => tx_hash))
    for (const tx of transactions) {
      if (tx.kind !== 'redacted' || recorded.has(tx.tx_hash)) continue
      note(`${place}, transaction ${tx.tx_hash}`, 'its body, or a record that it was redacted', 'a hash alone')
    }
  }

  /** At a height that is not final yet. */
  const registryBefore = (height: number): Registry =>
    changes.findLast((change) => change.height < height)?.registry ?? walker.registry

  /** By the votes and the policy in force at each block. What is final stays so: no registry before it is asked for again. */
  function finalHeight(): number {
    const guarded = new Set(changes.filter((change) => change.guarded).map(({ height }) => height))
    final = newFinalHeight({
      finalHeight: final,
      tipHeight: sums.blocks - 1,
      registryBefore,
      isGuarded: (height) => guarded.has(height),
      ackHeights,
    })
    changes = changes.filter((change, at) => change.height > final || (changes[at + 1]?.height ?? Infinity) > final)
    return final
  }

  return {
    chainId,
    walker,
    note,
    sums,
    get claimedFinal() {
      return claimedFinal
    },
    async check(block, place) {
      const { header, signature, transactions, votes, finalized_at, redactions = [] } = block
      const before = walker.registry
      walker.check({ header, signature }, place, transactions)
      const body = await inTurns(verifyBlockBodyInPieces(header, transactions, genesis))
      if (!body.ok) note(`${place}, transactions`, `merkle_root ${header.merkle_root}`, body.reason)
      if (walker.registry !== before) {
        const guarded = changesGuard(registryTransactionsOf(transactions), before)
        changes.push({ height: header.height, registry: walker.registry, guarded })
      }
      checkVotes(block, place, before)
      if (finalized_at !== null) {
        if (claimedFinal !== header.height - 1)
          note(`${place}, finalized_at`, 'null, as the block before is not final', String(finalized_at))
        claimedFinal = header.height
      }
      checkRedactions(block, place)
      sums.blocks += 1
      if (changes.length >= MAX_CHANGES && sums.blocks % MAX_CHANGES === 0) finalHeight()
      sums.redacted += redactions.length
      sums.transactions += transactions.length
      sums.votes += votes.length
    },
    async skip(header) {
      await walker.skip(header)
      sums.blocks += 1
    },
    finalHeight,
    countShared(acks) {
      for (const { vote, height } of acks) {
        const before = registryBefore(height)
        const acked = { hash: vote.header_hash, height: vote.height }
        if (!verifyVote(vote, chainId, acked, before.active(vote.voter_id)).ok) continue
        noteAck(ackHeights, vote.voter_id, height, before)
      }
    },
    finish() {
      const height = finalHeight()
      if (claimedFinal > height) {
        note('blocks called final', `at most up to height ${height}, by the votes`, `up to height ${claimedFinal}`)
      }
      return height
    },
  }
}
