import type { GossipVerdict } from '../ports/gossip.ts'
import { isSolarError } from '../protocol/errors.ts'

/**
 * What a failed check says about the sender. Reject: no honest node sends it, and the sender is scored down. Ignore:
 * honest nodes may, because they are behind, ahead, or not enrolled yet. A code that is not here is this node's own
 * trouble (a store that failed) and no peer's fault.
 */
const verdictOf: Readonly<Record<string, GossipVerdict>> = {
  malformed: 'reject',
  not_canonical: 'reject',
  bad_public_key: 'reject',
  wrong_chain: 'reject',
  wrong_header: 'reject',
  bad_signature: 'reject',
  bad_seal: 'reject',
  wrong_difficulty: 'reject',
  missing_work: 'reject',
  wrong_history: 'reject',
  wrong_registry: 'reject',
  unknown_sealer: 'reject',
  wrong_timestamp: 'reject',
  not_ordered: 'reject',
  same_statement: 'reject',
  different_heights: 'reject',
  wrong_signer: 'reject',
  not_an_ack: 'reject',
  // The registry that says so may not be the one that is in force here.
  not_active: 'ignore',
  bad_registry_proof: 'ignore',
  unproven_signer: 'ignore',
  wrong_height: 'ignore',
  wrong_parent: 'ignore',
  from_the_future: 'ignore',
  unknown_block: 'ignore',
  unknown_voter: 'ignore',
  vote_conflict: 'ignore',
}

/** The gossip verdict of a failed check's code. */
export const gossipVerdict = (code: string): GossipVerdict => verdictOf[code] ?? 'ignore'

/** Runs a handler's checks; what they throw becomes the verdict. */
export async function judge(
  check: () => Promise<GossipVerdict>,
  onFault: (error: unknown) => void,
): Promise<GossipVerdict> {
  try {
    return await check()
  } catch (error) {
    if (isSolarError(error) && Object.hasOwn(verdictOf, error.code)) return gossipVerdict(error.code)
    onFault(error)
    return 'ignore'
  }
}
