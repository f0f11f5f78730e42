import assert from 'node:assert/strict'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Finality } from '../../../src/protocol/genesis.ts'
import { trustGenesis, verifyAdvance } from '../../../src/protocol/light-verify.ts'
import type { AnchorAnswer, Handover, ProvenVote } from '../../../src/protocol/messages.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import type { Registry } from '../../../src/protocol/registry.ts'
import { signVote } from '../../helpers/sign-now.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../../helpers/test-chain.ts'

/**
 * Whoever answers may leave out handovers. What it shows is real: sealed blocks, real votes, proofs under the
 * roots that they belong to. Less than the policy in force asks for must not be final by that.
 */
const SEALER = 'authority'
const ALONE: Finality = { policy: 'authority' }
const votes = (threshold: number): Finality => ({ policy: 'votes', threshold })
const validators = (threshold: number): Finality => ({ policy: 'validators', threshold })

/** Policies in the order in which they came, the first by the genesis; who acks all. */
const RAISED: readonly (readonly [first: Finality, then: readonly Finality[], ackers: readonly string[]])[] = [
  [ALONE, [votes(2)], []],
  [ALONE, [validators(3)], ['v1', 'v2']],
  [votes(1), [votes(3)], ['alice']],
  [votes(1), [validators(2)], ['alice', 'v1']],
  [validators(2), [validators(3)], ['v1', 'v2']],
  [validators(2), [votes(3)], ['v1', 'v2', 'alice']],
  [ALONE, [votes(2), ALONE], []],
  [ALONE, [votes(3), votes(1)], ['alice']],
  [votes(1), [votes(3), votes(1)], ['alice']],
  [validators(2), [validators(3), validators(2)], ['v1', 'v2']],
]
const nameOf = (finality: Finality) =>
  finality.policy === 'authority' ? 'authority' : `${finality.policy}:${finality.threshold}`

async function start(finality: Finality): Promise<TestChain> {
  const entries = [entryOf(SEALER, 'authority'), ...['alice', 'bob', 'carol'].map((id) => entryOf(id, 'voter'))]
  const made = await createTestChain(
    genesisOf(finality, ...entries, ...['v1', 'v2', 'v3'].map((id) => entryOf(id, 'validator'))),
  )
  await made.trade(2)
  return made
}

async function ackAs(made: TestChain, ids: readonly string[]): Promise<void> {
  const from = made.votes.at(-1)?.height ?? -1
  for (let height = from + 1; height < made.chain.size; height++) for (const id of ids) await made.ack(id, height)
}

type Shown = Pick<Handover, 'header' | 'entry' | 'registry_proof' | 'policy' | 'policy_proof' | 'votes'>

/** The same under an older registry: sealer, policy and voters as that has them. */
function under<T extends Shown>(shown: T, older: Registry, before: Registry): T {
  const role = older.finality.policy === 'votes' ? 'voter' : 'validator'
  const acks = shown.votes.flatMap((proven): ProvenVote[] => {
    const known = older.active(proven.vote.voter_id, role)
    if (known === undefined) return []
    const current = before.entry(known.id)!
    return [{ ...proven, entry: current, registry_proof: before.proof(current), trusted_proof: older.proof(known) }]
  })
  const sealer = older.entry(SEALER)!
  return {
    ...shown,
    entry: sealer,
    registry_proof: older.proof(sealer),
    policy: older.policy,
    policy_proof: older.policyProof(),
    parent_policy_proof: before.policyProof(),
    votes: older.finality.policy === 'authority' ? [] : acks,
  }
}

const contextOf = ({ chain }: TestChain) => ({ genesis: chain.genesis, chainId: chain.chainId, now: 2e13 })

function advance(made: TestChain, answer: AnchorAnswer) {
  const { genesis, chainId } = made.chain
  return verifyAdvance(trustGenesis(genesis, chainId), answer, contextOf(made))
}

function receiptOf(made: TestChain, receipt: object, answer: AnchorAnswer) {
  const { handovers, entry, registry_proof, policy, policy_proof, votes: acks } = answer
  const { parent_policy_proof } = answer
  const shown = { handovers, entry, registry_proof, policy, policy_proof, votes: acks }
  return verifyReceipt(
    { ...receipt, ...shown, ...(parent_policy_proof !== undefined && { parent_policy_proof }) },
    made.chain.chainId,
  )
}

/** What a receipt of the trade of a block begins with, whether or not an honest node gives one out. */
async function placedAt({ chain }: TestChain, height: number): Promise<object> {
  const [transaction] = (await chain.blockAt(height)).transactions
  assert.ok(transaction !== undefined && transaction.kind !== 'redacted')
  const { merkle_proof, header, signature } = await chain.transactionProof({ tx_id: transaction.id }, null)
  const [parent] = await chain.headers(height - 1, 1)
  assert.ok(parent !== undefined)
  const { genesis } = chain
  return { version: 1, genesis, transaction, merkle_proof, header, signature, parent_header: parent.header }
}

describe('handovers that are left out', () => {
  for (const [first, then, ackers] of RAISED) {
    it(`of ${[first, ...then].map(nameOf).join(', then ')}`, async () => {
      const made = await start(first)
      for (const finality of then) {
        await made.change({ action: 'policy', subject_id: SEALER, finality }, SEALER)
        await made.trade()
      }
      await ackAs(made, ackers)
      const to = made.chain.size - 1
      assert.ok(made.finalHeight() < to, 'the newest block is not final')
      const { chain } = made
      const whole = await made.claim(null, to)
      assert.ok(!advance(made, whole).ok, 'with all of them')
      const receipt = await placedAt(made, to)
      // The last one alone, as if it came right after the genesis; or none.
      const last = whole.handovers.slice(1).map((handover) => {
        const before = chain.recentRegistry(handover.header.height)!
        return under(handover, chain.recentRegistry(0)!, before)
      })
      const target = last.length > 0 ? whole : under(whole, chain.recentRegistry(0)!, chain.recentRegistry(to)!)
      const shown = { ...target, handovers: last }
      const moved = advance(made, shown)
      assert.equal(moved.ok ? 'trusted' : moved.code, 'bad_inclusion_proof')
      const bare = { ...shown }
      Reflect.deleteProperty(bare, 'parent_policy_proof')
      assert.ok(!advance(made, bare).ok, 'without the policy of the header before')
      const verdict = receiptOf(made, receipt, shown)
      assert.equal(verdict.ok ? verdict.status : verdict.code, 'bad_inclusion_proof')
    })
  }

  it('of a validator that went: its ack counts no more', async () => {
    const made = await start(validators(2))
    const { chain } = made
    await made.change({ action: 'revoke', subject_id: 'v3' }, SEALER)
    await made.trade()
    await ackAs(made, ['v1'])
    await made.ack('v2', 1)
    assert.equal(made.finalHeight(), 1)
    const whole = await made.claim(null, 2)
    const [genesisRegistry, before] = [chain.recentRegistry(0)!, chain.recentRegistry(2)!]
    const [stored] = await chain.headers(2, 1)
    const body = { chain_id: chain.chainId, header_hash: stored!.hash, height: 2, decision: 'ack' } as const
    const gone = genesisRegistry.entry('v3')!
    const ack: ProvenVote = {
      vote: signVote({ ...body, voter_id: 'v3' }, namedKey('v3')),
      entry: gone,
      registry_proof: before.proof(gone),
      trusted_proof: genesisRegistry.proof(gone),
    }
    const shown = under({ ...whole, handovers: [] }, genesisRegistry, before)
    for (const registry_proof of [ack.registry_proof, genesisRegistry.proof(gone)]) {
      const moved = advance(made, { ...shown, votes: [...shown.votes, { ...ack, registry_proof }] })
      assert.equal(moved.ok ? 'trusted' : moved.code, 'bad_inclusion_proof')
    }
    const revoked = { ...ack, entry: before.entry('v3')! }
    const moved = advance(made, { ...shown, votes: [...shown.votes, revoked] })
    assert.equal(moved.ok ? 'trusted' : moved.code, 'unknown_voter')
  })

  it('of a validator that came: no transaction brings one', async () => {
    const made = await start(validators(3))
    const { chain } = made
    const dave = namedKey('dave').publicKey
    await made.change({ action: 'enrol', subject_id: 'dave', role: 'validator', public_key: dave }, 'dave')
    await made.trade()
    await ackAs(made, ['v1', 'v2'])
    const ack = await made.ack('dave', 2)
    const before = chain.recentRegistry(2)!
    const entry = before.entry('dave')!
    const shown = under({ ...(await made.claim(null, 2)), handovers: [] }, chain.recentRegistry(0)!, before)
    const { transaction, merkle_proof, header } = await made.receipt('change-1', -1)
    const brought_by = { transaction, merkle_proof, header, history_proof: await chain.inclusion(1, 2) }
    const vote: ProvenVote = { vote: ack, entry, registry_proof: before.proof(entry), brought_by }
    const moved = advance(made, { ...shown, votes: [...shown.votes, vote] })
    assert.equal(moved.ok ? 'trusted' : moved.code, 'unknown_voter')
  })

  it('of a validator that no user acked: an honest node passes over it with no user that came above it', async () => {
    const made = await start(votes(2))
    const key = (id: string) => namedKey(id).publicKey
    await made.change({ action: 'enrol', subject_id: 'v4', role: 'validator', public_key: key('v4') }, 'v4')
    for (const id of ['dave', 'eve'])
      await made.change({ action: 'enrol', subject_id: id, role: 'voter', public_key: key(id) }, id)
    await made.trade()
    for (const id of ['dave', 'eve']) await made.ack(id, 4)
    for (const id of ['alice', 'bob']) await made.ack(id, 0)
    assert.equal(made.finalHeight(), 0)
    await assert.rejects(made.receipt('tx-tick-4-0'), (error) => isSolarError(error, 'no_receipt'))
    // Once a user of that time has acked above it, as many as it takes, all of it is final, in one step.
    for (const id of ['alice', 'bob']) await made.ack(id, 4)
    const receipt = await made.receipt('tx-tick-4-0')
    const held = verifyReceipt(receipt, made.chain.chainId)
    assert.deepEqual([held.ok && held.status, receipt.handovers.length], ['final', 0])
  })
})
