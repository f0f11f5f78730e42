import type { Hash } from './bytes.ts'
import { invalid, isSolarError, type Failure, type ProtocolErrorCode } from './errors.ts'
import { chainIdOf, decodeGenesis } from './genesis.ts'
import { hashHeader } from './header.ts'
import {
  checkBody,
  checkCheckpoint,
  checkCorrections,
  checkHandovers,
  checkPlace,
  checkSeals,
  checkTrusted,
  checkVotes,
  completed,
  completedVote,
  type Found,
  type NetTrade,
  type Outcome,
  type ReceiptCode,
  type ReceiptOptions,
  type Subject,
} from './receipt-checks.ts'
import { receiptShape, type Receipt } from './receipt.ts'
import { Registry } from './registry.ts'
import type { Target } from './target.ts'

/** The checks of a receipt, in the order in which they are made. */
export type ReceiptCheck =
  | 'format'
  | 'genesis'
  | 'transaction'
  | 'inclusion'
  | 'handovers'
  | 'seal'
  | 'votes'
  | 'corrections'
  | 'checkpoint'
  | 'trusted'

export interface PassedCheck {
  readonly check: ReceiptCheck
  /** What was found, for people. */
  readonly detail: string
}

/**
 * `final`: the policy in force calls the block final. `sealed`: an authority sealed it, the votes that finality takes are not
 * there. A refusal names the check, and what was wrong by code and values.
 */
export type ReceiptVerdict =
  | {
      readonly ok: true
      readonly status: 'final' | 'sealed'
      readonly passed: readonly PassedCheck[]
      readonly receipt: Receipt
      /** null for what is no trade. */
      readonly net: NetTrade | null
      /** Names of the known witnesses that cosigned the checkpoint. */
      readonly witnesses: readonly string[]
    }
  | {
      readonly ok: false
      readonly passed: readonly PassedCheck[]
      readonly failed: ReceiptCheck
      readonly code: ReceiptCode
      readonly reason: string
    }

/** In order: what is cheap, then what costs signatures. Those that do not concern a receipt are left out. */
const CHECKS: readonly (readonly [ReceiptCheck, (subject: Subject, found: Found) => Outcome | undefined])[] = [
  ['transaction', checkBody],
  ['inclusion', checkPlace],
  ['handovers', checkHandovers],
  ['seal', checkSeals],
  ['votes', checkVotes],
  ['corrections', checkCorrections],
  ['checkpoint', checkCheckpoint],
  ['trusted', checkTrusted],
]

/**
 * Checks a receipt with nothing but the chain_id (docs/protocol.md 7). It guarantees
 * a) `format`, b) `genesis`: it hashes to the chain_id, c) `transaction`: valid by itself, d) `inclusion`: it is in its block, and the
 * block is the target or in its history, e) `handovers`: each from the genesis to the target, f) `seal`: of the target and of
 * the block, by authorities that the handovers lead to, g) `votes`: each holds; enough make the receipt `final`,
 * h) `corrections`: each is of this trade, sealed, and in the history of the target, i) `checkpoint`: signed by the sealer,
 * with the block in its tree, j) `trusted`: the block is in the history of the header that the verifier holds.
 *
 * A receipt cannot prove that there are no corrections above its target. Never throws for what a file can hold.
 *
 * @param value the parsed JSON of a receipt
 */
export function verifyReceipt(value: unknown, chainId: Hash, options: ReceiptOptions = {}): ReceiptVerdict {
  const done: PassedCheck[] = []
  const found: Found = { isFinal: false, net: null, witnesses: [] }
  const refused = (failed: ReceiptCheck, { code, reason }: Failure<ReceiptCode>): ReceiptVerdict => ({
    ok: false,
    passed: done,
    failed,
    code,
    reason,
  })
  const decoded = attempt(() => ({ ok: true, value: receiptShape(value, 'receipt') }))
  if (!decoded.ok) return refused('format', decoded)
  const receipt = decoded.value
  done.push({ check: 'format', detail: `a receipt of version ${receipt.version}` })
  const known = attempt(() => subjectOf(receipt, chainId, options))
  if (!known.ok) return refused('genesis', known)
  done.push({ check: 'genesis', detail: `${known.genesis.name} hashes to the chain_id ${chainId}` })
  for (const [check, run] of CHECKS) {
    const outcome = attempt(() => run(known, found) ?? { ok: true, detail: null })
    if (!outcome.ok) return refused(check, outcome)
    if (outcome.detail !== null) done.push({ check, detail: outcome.detail })
  }
  const { isFinal, net, witnesses } = found
  return { ok: true, status: isFinal ? 'final' : 'sealed', passed: done, receipt, net, witnesses }
}

/** A throw for malformed input is a refusal like any other. */
function attempt<T extends { readonly ok: true }>(check: () => T | Failure<ReceiptCode>): T | Failure<ReceiptCode> {
  try {
    return check()
  } catch (error) {
    if (isSolarError(error)) return invalid(error.code as ProtocolErrorCode, error.message)
    throw error
  }
}

function subjectOf(
  receipt: Receipt,
  chainId: Hash,
  options: ReceiptOptions,
): ({ readonly ok: true } & Subject) | Failure<ReceiptCode> {
  const genesis = decodeGenesis(receipt.genesis)
  const found = chainIdOf(genesis)
  if (found !== chainId) return invalid('wrong_chain', `the genesis is that of chain ${found}, expected ${chainId}`)
  const registry = Registry.fromGenesis(genesis)
  const target = targetOf(receipt, registry)
  return { ok: true, receipt, chainId, options, genesis, registry, target, targetHash: hashHeader(target.header) }
}

function targetOf(receipt: Receipt, registry: Registry): Target {
  const { handovers, policy, policy_proof, parent_policy_proof, anchor } = receipt
  const { header, signature, parent_header } = anchor ?? receipt
  return {
    ...completed({ entry: receipt.entry, registry_proof: receipt.registry_proof }, registry),
    header,
    signature,
    parent_header,
    handovers,
    policy,
    policy_proof: policy_proof ?? registry.policyProof(),
    ...(parent_policy_proof !== undefined && { parent_policy_proof }),
    votes: receipt.votes.map((vote) => completedVote(vote, registry)),
  }
}
