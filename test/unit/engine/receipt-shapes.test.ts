import assert from 'node:assert/strict'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { requiredVotes } from '../../../src/protocol/finality.ts'
import type { Finality } from '../../../src/protocol/genesis.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../../helpers/test-chain.ts'

const POLICIES: readonly Finality[] = [
  { policy: 'authority' },
  { policy: 'votes', threshold: 2 },
  { policy: 'validators', threshold: 3 },
]
const VOTERS = ['alice', 'bob', 'carol']
const VALIDATORS = ['v1', 'v2', 'v3', 'v4']
const recovery = (id: string) => `${id} recovery`
const key = (name: string) => namedKey(name).publicKey

/** One block that changes who decides, and with whose key the authority seals after it. */
type Change = readonly [name: string, seal: (made: TestChain) => Promise<unknown>]
const CHANGES: readonly Change[] = [
  ['no change', (made) => made.trade()],
  [
    'a new authority',
    (made) =>
      made.change({ action: 'enrol', subject_id: 'third', role: 'authority', public_key: key('third') }, 'third'),
  ],
  [
    'a new validator',
    (made) => made.change({ action: 'enrol', subject_id: 'v5', role: 'validator', public_key: key('v5') }, 'v5'),
  ],
  [
    'a validator with another key',
    (made) => made.change({ action: 'rotate', subject_id: 'v1', public_key: key('v1 2') }, 'v1'),
  ],
  ['a validator less', (made) => made.change({ action: 'revoke', subject_id: 'v4' }, 'v4')],
  [
    'an authority with another key',
    async (made) => {
      await made.change({ action: 'rotate', subject_id: 'authority', public_key: key('authority 2') }, 'authority')
      made.sealAs('authority', 'authority 2')
    },
  ],
  [
    'an authority that its recovery key brings back',
    async (made) => {
      made.sealAs('authority', 'authority 2')
      await made.change(
        { action: 'recover', subject_id: 'authority', public_key: key('authority 2') },
        recovery('authority'),
      )
    },
  ],
  ...POLICIES.map((finality): Change => [
    `the policy ${finality.policy}`,
    (made) => made.change({ action: 'policy', subject_id: 'authority', finality }, 'authority'),
  ]),
]

/** Whatever receipt is given out verifies; where none can, the refusal says what it waits for. */
describe('receipts around a change of who decides', () => {
  for (const policy of POLICIES) {
    for (const [name, seal] of CHANGES) {
      const quorum = requiredVotes(policy)
      for (const acks of new Set([0, quorum - 1, quorum].filter((count) => count >= 0))) {
        it(`${policy.policy}: ${name}, with ${acks} acks of it`, async () => {
          const authorities = ['authority', 'deputy'].map((id) => entryOf(id, 'authority', recovery(id)))
          const made = await createTestChain(
            genesisOf(
              policy,
              ...authorities,
              ...VALIDATORS.map((id) => entryOf(id, 'validator')),
              ...VOTERS.map((id) => entryOf(id, 'voter')),
            ),
          )
          await made.trade()
          await seal(made)
          const ackers = policy.policy === 'votes' ? VOTERS : VALIDATORS
          for (const id of ackers.slice(0, acks)) await made.ack(id, 1)
          await made.trade()
          await made.trade()
          await checkAll(made, acks >= quorum)
        })
      }
    }
  }
})

async function checkAll(made: TestChain, isFinal: boolean): Promise<void> {
  const { chain } = made
  for (let height = 0; height < chain.size; height++) {
    const [tx] = (await chain.blockAt(height)).transactions
    if (tx === undefined || tx.kind === 'redacted') assert.fail('a block has a transaction')
    const isAboveOpen = !isFinal && (await chain.isGuarded(1)) && height > 1
    try {
      const verdict = verifyReceipt(JSON.parse(JSON.stringify(await made.receipt(tx.id))), chain.chainId)
      assert.equal(verdict.ok ? '' : `${verdict.failed}: ${verdict.reason}`, '', `block ${height}`)
      assert.equal(isAboveOpen, false, `block ${height} cannot be proven yet`)
    } catch (error) {
      if (!isSolarError(error, 'no_receipt')) throw error
      assert.equal(isAboveOpen, true, `block ${height}: ${error.message}`)
      assert.match(error.message, /and block 1 below, which changes who decides, is not final; ask again once it is/)
    }
  }
}
