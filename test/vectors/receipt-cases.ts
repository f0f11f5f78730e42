import { decodeGenesis } from '../../src/protocol/genesis.ts'
import { trustGenesis, verifyAdvance } from '../../src/protocol/light-verify.ts'
import { anchorAnswer } from '../../src/protocol/messages.ts'
import { verifyReceipt } from '../../src/protocol/receipt-verify.ts'
import { namedKey } from '../helpers/test-chain.ts'
import { copyOf, outcomeOf, type VectorFile } from './case.ts'
import { all, append, drop, editList, editText, flip, put, set, valueAt, type Edit } from './edit.ts'
import { ANCHORS, receiptNamed, RECEIPTS, WITNESSES, type MadeReceipt } from './receipt-chains.ts'

type Change = readonly [name: string, base: string, edit: Edit]

/** Cosigners that whoever checks the vectors knows. */
export const KNOWN_WITNESSES = WITNESSES.map((name) => ({
  name,
  public_key: namedKey(name).publicKey,
  type: 'cosignature' as const,
}))

const other = (name: string): object => receiptNamed(name).receipt

const STRANGER = namedKey('stranger').publicKey
const ANCHORED = 'authority, with an anchor'
const VOTED = 'votes:2 with a quorum and an anchor'
const VALIDATED = 'validators:3 with a quorum and two handovers'
const RECOVERED = 'a recovered authority'
const CORRECTED = 'a trade with two corrections'
const CHANGED_VOTERS = 'votes:2, voters under a registry that has changed'
const HANDED_OVER = 'votes:2, a change of the policy that users acked'
const ROTATED = 'validators:3, a key rotated and a key recovered'
const RAISED = 'authority, then votes:2, then votes:1'
const SHRUNK = 'validators:2, one of them gone, under a registry that has changed'
const RECOVERED_TWICE = 'a recovered authority, twice in one block'
const RECOVERED_LAST = 'validators:2, up to a recovery'
const DEPUTY = 'authority, a block of a deputy whose coming is left out'
const PASSED_OVER = 'validators:2, two changes left out'
const CHECKPOINTED = 'authority, with a checkpoint'

/** As if the second handover were the first: by the policy and the sealer of the genesis. */
const FIRST_LEFT_OUT = all(
  ...['policy', 'policy_proof', 'entry', 'registry_proof'].map((name) =>
    put(`handovers.1.${name}`, `handovers.0.${name}`),
  ),
  set('handovers.1.votes', []),
  drop('handovers.0'),
)

/** What must be refused, or is only `sealed`. */
const CHANGES: readonly Change[] = [
  ['version 2', ANCHORED, set('version', 2)],
  ['no version', ANCHORED, drop('version')],
  ['an unknown field', ANCHORED, set('note', 'x')],
  ['another genesis', ANCHORED, set('genesis', valueAt(other(VOTED), 'genesis'))],
  ['more energy', ANCHORED, all(set('transaction.kwh', '4.5'), set('transaction.total_amount', '0.9'))],
  ['a wrong total', ANCHORED, set('transaction.total_amount', '9')],
  ['another buyer', ANCHORED, set('transaction.to_user_id', 'carol')],
  ['a body that was removed', ANCHORED, set('transaction', { kind: 'redacted', tx_hash: '0'.repeat(64) })],
  ['another place in the block', ANCHORED, set('merkle_proof.index', 1)],
  ['a Merkle path that is too short', ANCHORED, drop('merkle_proof.path.0')],
  ['the seal of another block', ANCHORED, put('signature', 'anchor.signature')],
  ['an anchor that is not sealed', ANCHORED, flip('anchor.signature')],
  ['an anchor of another chain', ANCHORED, set('anchor', valueAt(other(VOTED), 'anchor'))],
  ['a history path that is too long', ANCHORED, append('anchor.history_proof.path', '0'.repeat(64))],
  ['a history of another size', ANCHORED, set('anchor.history_proof.tree_size', 5)],
  ['the parent of another block', ANCHORED, put('anchor.parent_header', 'header')],
  ['a parent beside an anchor', ANCHORED, put('parent_header', 'header')],
  ['an anchor that is the block itself', ANCHORED, put('anchor.header', 'header')],
  ['a parent at height 0', 'authority, height 0', put('parent_header', 'header')],
  ['no parent above height 0', 'authority, the tip', set('parent_header', null)],
  ['an entry that is not in the genesis', ANCHORED, set('entry.since_height', 1)],
  ['the entry of a voter as the sealer', ANCHORED, all(set('entry.id', 'alice'), set('entry.slot', 1))],
  ['a policy that is not in force', ANCHORED, set('policy.finality', { policy: 'votes', threshold: 1 })],
  ['a proof left out above a change of voters', CHANGED_VOTERS, set('votes.0.registry_proof', null)],
  [
    'a sealer that is not needed',
    'authority, the tip',
    all(set('sealer', { registry_proof: null }), put('sealer.entry', 'entry')),
  ],
  ['votes under the policy authority', ANCHORED, set('votes', valueAt(other(VOTED), 'votes'))],
  ['a voter whom no block is shown to have enrolled', CHANGED_VOTERS, drop('votes.1.brought_by')],
  ['a voter whom another block has enrolled', CHANGED_VOTERS, put('votes.1.brought_by.header', 'header')],
  [
    'a voter who was enrolled with another key',
    CHANGED_VOTERS,
    set('votes.1.brought_by.transaction.public_key', STRANGER),
  ],
  ['a voter whose enrolment nobody signed', CHANGED_VOTERS, flip('votes.1.brought_by.transaction.signature')],
  ['a change of the policy that no user acked', HANDED_OVER, set('handovers.0.votes', [])],
  ['a change of the policy that one user too few acked', HANDED_OVER, drop('handovers.0.votes.0')],
  ['a change of the policy without the header before', HANDED_OVER, drop('handovers.0.parent_header')],
  ['a change of the policy with another header before', HANDED_OVER, put('handovers.0.parent_header', 'header')],
  ['a change of the policy acked by a user of no block', HANDED_OVER, drop('handovers.0.votes.1.brought_by')],
  ['a change of the policy acked by users of another root', HANDED_OVER, drop('handovers.0.votes.0.trusted_proof')],
  ['an ack by a key that was not in force there', ROTATED, put('handovers.0.votes.0', 'votes.0')],
  ['a vote too few: sealed', VOTED, drop('votes.0')],
  ['no votes: sealed', VOTED, set('votes', [])],
  ['one vote twice: sealed', VOTED, put('votes.1', 'votes.0')],
  ['a vote with another signature', VOTED, flip('votes.0.vote.signature')],
  ['a rejecting vote', VOTED, set('votes.0.vote.decision', 'reject')],
  ['a vote of somebody who is no voter', VOTED, set('votes.0.vote.voter_id', 'mallory')],
  ['a later vote without its header', VOTED, drop('votes.1.header')],
  ['a vote on the header itself as on a later one', VOTED, put('votes.0.header', 'anchor.header')],
  ['a threshold lowered by hand', VOTED, set('policy.finality.threshold', 1)],
  ['a handover without the header before', VALIDATED, drop('handovers.0.parent_header')],
  ['a policy that nothing shows to be in force still', CHANGED_VOTERS, drop('parent_policy_proof')],
  [
    'a policy that is proven under the older root alone',
    HANDED_OVER,
    put('handovers.0.parent_policy_proof', 'handovers.0.policy_proof'),
  ],
  ['the handover that asked for votes left out', RAISED, FIRST_LEFT_OUT],
  [
    'the handover that asked for votes left out, the older policy proven twice',
    RAISED,
    all(put('handovers.1.parent_policy_proof', 'handovers.0.policy_proof'), FIRST_LEFT_OUT),
  ],
  [
    'every handover left out',
    RAISED,
    all(
      put('policy', 'handovers.0.policy'),
      set('policy_proof', null),
      set('registry_proof', null),
      set('votes', []),
      set('handovers', []),
    ),
  ],
  ['validators under the header before alone', SHRUNK, drop('votes.0.trusted_proof')],
  ['validators under the older root alone', SHRUNK, put('votes.0.registry_proof', 'votes.0.trusted_proof')],
  ['no handovers', VALIDATED, set('handovers', [])],
  ['a handover left out', VALIDATED, drop('handovers.0')],
  ['handovers in another order', VALIDATED, editList('handovers', (all) => all.toReversed())],
  ['a handover twice', VALIDATED, editList('handovers', (all) => [...all, all[1]])],
  ['a handover without its quorum', VALIDATED, drop('handovers.0.votes.0')],
  ['a handover with another seal', VALIDATED, flip('handovers.1.signature')],
  ['a sealer left out', VALIDATED, drop('sealer')],
  ['a recovery that nobody signed', RECOVERED, flip('handovers.0.recovery.transaction.signature')],
  ['a recovery left out', RECOVERED, drop('handovers.0.recovery')],
  ['another entry beside a recovery', RECOVERED, set('handovers.0.entry.since_height', 1)],
  ['a recovery with one vote too few: sealed', RECOVERED_LAST, drop('votes.0')],
  ['a last recovery left out', RECOVERED_LAST, set('handovers', [])],
  ['a deputy under the root of the genesis', DEPUTY, drop('sealer.parent_header')],
  ['a deputy under a header that is not the one before', DEPUTY, put('sealer.parent_header', 'anchor.parent_header')],
  ['a deputy under a header of its own making', DEPUTY, set('sealer.parent_header.registry_root', '0'.repeat(64))],
  ['a deputy left out', DEPUTY, drop('sealer')],
  ['a deputy with the key of another', DEPUTY, set('sealer.entry.public_key', STRANGER)],
  ['changes left out, and a vote too few: sealed', PASSED_OVER, drop('votes.0')],
  ['a correction left out: what it then says', CORRECTED, drop('corrections.1')],
  ['all corrections left out: what it then says', CORRECTED, drop('corrections')],
  [
    'a recovery sealed by the key of the second one',
    RECOVERED_TWICE,
    put('handovers.0.recovery.transaction.public_key', 'entry.public_key'),
  ],
  ['a correction twice', CORRECTED, editList('corrections', (all) => [...all, all[1]])],
  ['corrections in another order', CORRECTED, editList('corrections', (all) => all.toReversed())],
  ['a correction by another amount', CORRECTED, set('corrections.0.transaction.kwh_delta', '-0.75')],
  ['a correction that is not sealed', CORRECTED, put('corrections.0.signature', 'signature')],
  ['a trade as a correction', CORRECTED, put('corrections.0.transaction', 'transaction')],
  ['corrections of another trade', CORRECTED, set('corrections.0.transaction.corrects', 'tx-tick-0-0')],
  [
    'a checkpoint that the authority has not signed',
    CHECKPOINTED,
    editNote((note) => note.replace(/^— .*test-street .*\n/m, '')),
  ],
  ['a checkpoint of another origin', CHECKPOINTED, editNote((note) => note.replace('test-street', 'next-street'))],
  ['a checkpoint of another size', CHECKPOINTED, editNote((note) => note.replace('\n7\n', '\n8\n'))],
  ['a block that is not in the tree of the checkpoint', CHECKPOINTED, set('checkpoint.history_proof.leaf_index', 1)],
  ['a known witness whose cosignature does not hold', CHECKPOINTED, editNote(spoilLastSignature)],
  [
    'a witness that nobody knows: the rest counts',
    CHECKPOINTED,
    editNote((note) => note.replace('example/two', 'example/six')),
  ],
  ['a note that is not base64', CHECKPOINTED, editText('checkpoint.note', (note) => `${note.slice(0, -1)}-`)],
  ['no checkpoint: what it then says', CHECKPOINTED, drop('checkpoint')],
]

function editNote(change: (note: string) => string): Edit {
  return editText('checkpoint.note', (note) =>
    Buffer.from(change(Buffer.from(note, 'base64').toString())).toString('base64'),
  )
}

function spoilLastSignature(note: string): string {
  const lines = note.trimEnd().split('\n')
  const [dash, name, encoded = ''] = lines.at(-1)!.split(' ')
  const bytes = Buffer.from(encoded, 'base64')
  bytes[20]! ^= 1
  return `${[...lines.slice(0, -1), `${dash} ${name} ${bytes.toString('base64')}`].join('\n')}\n`
}

/** What the code makes of a receipt. */
export function receiptOutcome(chainId: string, receipt: unknown) {
  const verdict = verifyReceipt(receipt, chainId, { witnesses: KNOWN_WITNESSES })
  if (!verdict.ok) return { ok: false, failed: verdict.failed, error: verdict.code }
  const { status, net, witnesses } = verdict
  return { ok: true, status, net, witnesses }
}

/** Receipts of all kinds, and what must be refused. */
export function receiptCases(): VectorFile {
  const cases = [
    ...RECEIPTS.map(({ name, chain_id, receipt }) => ({ name, chain_id, receipt: copyOf(receipt) })),
    { ...pinned(receiptNamed(ANCHORED), 'another chain_id'), chain_id: receiptNamed(VOTED).chain_id },
    ...CHANGES.map(([name, base, apply]) => {
      const draft = pinned(receiptNamed(base), name)
      apply(draft.receipt)
      return draft
    }),
  ]
  return {
    about:
      'Receipts: each is checked with nothing but its chain_id. "status" is final or sealed, "net" what corrections leave of a trade, "witnesses" who of these cosigned the checkpoint: ' +
      KNOWN_WITNESSES.map(({ name, public_key }) => `${name}+${public_key}`).join(' ') +
      '. "failed" is the first check that does not hold. A receipt without its last correction, its votes or its checkpoint still verifies as what it then is.',
    cases: cases.map((c) => ({ ...c, ...receiptOutcome(c.chain_id, c.receipt) })),
  }
}

const pinned = ({ chain_id, receipt }: MadeReceipt, name: string) => ({
  name,
  chain_id,
  receipt: copyOf<object>(receipt),
})

const HANDOVERS = 'validators, two handovers'
const ANCHOR_CHANGES: readonly Change[] = [
  ['a frontier that is not that of the header', 'authority', set('frontier', ['0'.repeat(64)])],
  ['the signature of nobody', 'authority', flip('signature')],
  ['a vote too few', 'votes:2', drop('votes.0')],
  ['another policy', 'votes:2', set('policy.finality', { policy: 'authority' })],
  ['a parent of another chain', 'votes:2', set('parent_header.chain_id', '0'.repeat(64))],
  ['a policy that users did not hand over', 'votes:2, handed over', set('handovers.0.votes', [])],
  ['the handover that asked for votes left out', RAISED, FIRST_LEFT_OUT],
  [
    'every handover left out',
    RAISED,
    all(
      ...['policy', 'policy_proof', 'registry_proof'].map((name) => put(name, `handovers.0.${name}`)),
      set('votes', []),
      set('handovers', []),
    ),
  ],
  ['a policy that nothing shows to be in force still', 'validators:2, one of them gone', drop('parent_policy_proof')],
  ['a handover left out', HANDOVERS, drop('handovers.1')],
  ['a handover that is not in the history', HANDOVERS, flip('handovers.0.history_proof.path.0')],
  ['a handover without a vote', HANDOVERS, drop('handovers.1.votes.0')],
  ['votes of somebody else on a handover', HANDOVERS, put('handovers.0.votes', 'votes')],
  ['a sealer under an older root', HANDOVERS, put('registry_proof', 'handovers.0.registry_proof')],
  ['a recovery by another key', 'a recovered authority', set('handovers.0.recovery.transaction.public_key', STRANGER)],
  ['a recovery with one vote too few', RECOVERED_LAST, drop('votes.0')],
  ['votes of a recovery that are no quorum', RECOVERED_LAST, put('handovers.0.votes.0', 'votes.0')],
  ['a last recovery left out', RECOVERED_LAST, set('handovers', [])],
  ['changes left out, and a vote too few', PASSED_OVER, drop('votes.0')],
  ['changes left out, a validator under the header before alone', PASSED_OVER, drop('votes.1.trusted_proof')],
  ['changes left out, and the policy under the older root alone', PASSED_OVER, drop('parent_policy_proof')],
  ['a header on the way: it is trusted', 'authority', set('more', true)],
  ['a header that is not on the way', 'authority', set('more', false)],
  ['the handover of another height', 'a recovered authority', set('handovers.0.header.height', 1)],
]

/** Jumps from the genesis to the newest final header, with the handovers in between. */
export function anchorCases(): VectorFile {
  const made = ANCHORS.map(({ name, chain_id, genesis, answer }) => ({
    name,
    chain_id,
    genesis,
    answer: copyOf<object>(answer),
  }))
  const changed = ANCHOR_CHANGES.map(([name, base, apply]) => {
    const draft = copyOf(made.find((one) => one.name === base))!
    apply(draft.answer)
    return { ...draft, name }
  })
  return {
    about: 'Answers to the libp2p request anchor {"from_height": null}, checked with nothing but the genesis.',
    cases: [...made, ...changed].map((c) => ({ ...c, ...anchorOutcome(c) })),
  }
}

const anchorOutcome = ({ genesis, chain_id, answer }: { genesis: object; chain_id: string; answer: unknown }) =>
  outcomeOf(() => {
    const decoded = decodeGenesis(genesis)
    const context = { genesis: decoded, chainId: chain_id, now: Number.MAX_SAFE_INTEGER - 1e9 }
    const advance = verifyAdvance(trustGenesis(decoded, chain_id), anchorAnswer(answer, 'answer'), context)
    return advance.ok ? undefined : advance
  })
