import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { BodyRedaction } from '../ports/retention.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import { hashHeader } from '../protocol/header.ts'
import type { RegistryTransaction } from '../protocol/registry-transaction.ts'
import { leafOf } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import type { Replica } from './replica.ts'
import type { AckView } from './voter.ts'

export interface ReplicaViewParts {
  readonly chain: Chain
  readonly replica: Replica
  readonly finalizer: Finalizer
  readonly logger: Logger
  /**
   * Registry transactions whose change of the policy, an authority or a validator the operator has allowed,
   * by their hashes: an id is whatever the authority calls it, and says nothing of what is changed.
   */
  readonly allowedChanges: readonly string[] | 'all'
  readonly store: Pick<BodyRedaction, 'redactions'>
}

/**
 * What a validator knows of the chains that an ack of `header` is about, all of one moment. Throws `not_ready` if `header` has
 * left the chain, and if the ack would count for a block that is not final and of which a body is missing here: nobody can have
 * checked it.
 */
export function replicaAckView(
  parts: ReplicaViewParts,
  header: BlockPoint,
  lastAck: BlockPoint | null,
): Promise<AckView> {
  return parts.replica.look(() => ackView(parts, header, lastAck))
}

async function ackView(parts: ReplicaViewParts, header: BlockPoint, lastAck: BlockPoint | null): Promise<AckView> {
  const { chain, replica, finalizer } = parts
  // The changes below are those of the chain: they are below this header only if it is still on it.
  if ((await chain.hashAt(header.height)) !== header.hash) {
    throw ledgerError('not_ready', { reason: `another branch has become the chain, without block ${header.height}` })
  }
  const height = finalizer.finalHeight
  const [unchecked] = await parts.store.redactions(height + 1)
  if (unchecked !== undefined && unchecked.height <= header.height) {
    const reason = `block ${unchecked.height} is not final, and nobody shows its transaction ${unchecked.tx_hash}`
    throw ledgerError('not_ready', { reason })
  }
  const finalHash = await chain.hashAt(height)
  const lastFinal = finalHash === undefined ? null : { hash: finalHash, height }
  const points = [header, lastAck, lastFinal].filter((point) => point !== null)
  const known = new Map<string, Hash>()
  for (const point of points) {
    for (const other of points) {
      const hash = await replica.hashAt(point, other.height)
      if (hash !== undefined) known.set(`${point.hash} ${other.height}`, hash)
    }
  }
  const unallowedChange = await firstUnallowedChange(parts, header, height)
  return { lastFinal, unallowedChange, hashAt: (point, at) => known.get(`${point.hash} ${at}`) }
}

/** A change that is final was acked by a quorum in force before it: those who were trusted have allowed it. */
async function firstUnallowedChange(
  { chain, logger, allowedChanges }: ReplicaViewParts,
  header: BlockPoint,
  finalHeight: number,
): Promise<BlockPoint | null> {
  if (allowedChanges === 'all') return null
  for (const height of await chain.guardedHeights(finalHeight, header.height)) {
    const { header: changed, transactions } = await chain.blockAt(height)
    const hashes = transactions.map(leafOf)
    if (hashes.every((hash) => allowedChanges.includes(hash))) continue
    const changes = transactions.flatMap((tx) => (tx.kind === 'registry' ? [changeWords(tx)] : []))
    logger.warn(
      { height, changes, hashes },
      `block ${height} changes who decides: ${changes.join('; ')}. Allow it with --allow-changes ${hashes.join(' ')}`,
    )
    return { hash: hashHeader(changed), height }
  }
  return null
}

/** All that a change says, on one line: what its hash stands for. */
function changeWords(tx: RegistryTransaction): string {
  const { action, subject_id } = tx
  if (action === 'policy') return `${subject_id} sets the policy ${canonicalText(tx.finality)}`
  if (action === 'revoke') return `${subject_id} is revoked`
  const role = action === 'enrol' ? `${tx.role} ` : ''
  const recovery = tx.recovery_key === undefined ? '' : `, recovery key ${tx.recovery_key ?? 'none'}`
  return `${action} ${role}${subject_id} with the key ${tx.public_key}${recovery}`
}
