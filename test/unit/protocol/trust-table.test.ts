import assert from 'node:assert/strict'
import { requiredVotes } from '../../../src/protocol/finality.ts'
import type { Finality } from '../../../src/protocol/genesis.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { trustGenesis, verifyAdvance, verifyNext, type TrustedState } from '../../../src/protocol/light-verify.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../../helpers/test-chain.ts'

/**
 * (policy before, change) x (header by header, jump from every height, receipt): what a full node calls final
 * is proven to who has nothing but the genesis, and what it does not is not, whoever says so.
 */
const POLICIES: readonly Finality[] = [
  { policy: 'authority' },
  { policy: 'votes', threshold: 2 },
  { policy: 'validators', threshold: 3 },
]
const nameOf = (finality: Finality) =>
  finality.policy === 'authority' ? 'authority' : `${finality.policy}:${finality.threshold}`
const fresh = (id: string) => `${id}, new`
const key = (name: string) => namedKey(name).publicKey
const SEALER = 'authority'

/** Each seals one block: the change. */
const CHANGES: Readonly<Record<string, (made: TestChain) => Promise<void>>> = {
  'a trade': (made) => made.trade(),
  'a user comes': (made) =>
    made.change({ action: 'enrol', subject_id: 'dave', role: 'voter', public_key: key('dave') }, 'dave'),
  'a user goes': (made) => made.change({ action: 'revoke', subject_id: 'carol' }, SEALER),
  'a user changes its key': (made) =>
    made.change({ action: 'rotate', subject_id: 'alice', public_key: key(fresh('alice')) }, 'alice'),
  'a user recovers its key': (made) =>
    made.change({ action: 'recover', subject_id: 'alice', public_key: key(fresh('alice')) }, 'alice recovery'),
  'a validator comes': (made) =>
    made.change({ action: 'enrol', subject_id: 'v5', role: 'validator', public_key: key('v5') }, 'v5'),
  'a validator goes': (made) => made.change({ action: 'revoke', subject_id: 'v3' }, SEALER),
  'a validator changes its key': (made) =>
    made.change({ action: 'rotate', subject_id: 'v1', public_key: key(fresh('v1')) }, 'v1'),
  'a validator recovers its key': (made) =>
    made.change({ action: 'recover', subject_id: 'v1', public_key: key(fresh('v1')) }, 'v1 recovery'),
  'the authority changes its key': async (made) => {
    await made.change({ action: 'rotate', subject_id: SEALER, public_key: key(fresh(SEALER)) }, SEALER)
    made.sealAs(SEALER, fresh(SEALER))
  },
  'the authority recovers its key': async (made) => {
    made.sealAs(SEALER, fresh(SEALER))
    await made.change({ action: 'recover', subject_id: SEALER, public_key: key(fresh(SEALER)) }, `${SEALER} recovery`)
  },
  'the authority recovers its key twice in one block': async (made) => {
    const recover = (name: string) =>
      [{ action: 'recover', subject_id: SEALER, public_key: key(name) }, `${SEALER} recovery`] as const
    made.sealAs(SEALER, 'in between')
    await made.changeAll(recover('in between'), recover(fresh(SEALER)))
    made.sealAs(SEALER, fresh(SEALER))
  },
  'a user comes and changes its key in one block': (made) =>
    made.changeAll(
      [{ action: 'enrol', subject_id: 'dave', role: 'voter', public_key: key('dave') }, 'dave'],
      [{ action: 'rotate', subject_id: 'dave', public_key: key(fresh('dave')) }, 'dave'],
    ),
  ...Object.fromEntries(
    POLICIES.map((finality) => [
      `the policy becomes ${nameOf(finality)}`,
      (made: TestChain) => made.change({ action: 'policy', subject_id: SEALER, finality }, SEALER),
    ]),
  ),
}
const VOTERS = ['alice', 'bob', 'carol', 'dave', 'v1', 'v2', 'v3', 'v4', 'v5']

function start(finality: Finality): Promise<TestChain> {
  const entry = (role: 'authority' | 'voter' | 'validator') => (id: string) => entryOf(id, role, `${id} recovery`)
  const entries = [entry('authority')(SEALER), ...['alice', 'bob', 'carol'].map(entry('voter'))]
  return createTestChain(genesisOf(finality, ...entries, ...['v1', 'v2', 'v3', 'v4'].map(entry('validator'))))
}

/** Every one who is registered then acks a height with the key that it has there; `role`: of these alone. */
async function ackAll(made: TestChain, height: number, role?: 'voter' | 'validator'): Promise<void> {
  for (const id of VOTERS) {
    const entry = made.chain.recentRegistry(height)!.active(id)
    if (entry === undefined || (role !== undefined && entry.role !== role)) continue
    await made.ack(id, height, entry.public_key === key(id) ? id : fresh(id))
  }
}

/** block 0, change, block 2, another user comes, block 4. */
async function grown(finality: Finality, change: (made: TestChain) => Promise<void>): Promise<TestChain> {
  const made = await start(finality)
  await made.trade(2)
  await change(made)
  await made.trade()
  await made.change({ action: 'enrol', subject_id: 'eve', role: 'voter', public_key: key('eve') }, 'eve')
  await made.trade()
  return made
}
const contextOf = ({ chain }: TestChain) => ({ genesis: chain.genesis, chainId: chain.chainId, now: 2e13 })

async function jump(made: TestChain, state: TrustedState, to: number): Promise<TrustedState | string> {
  const advance = verifyAdvance(state, await made.claim(state.anchor?.header.height ?? null, to), contextOf(made))
  return advance.ok ? advance.state : `${advance.code}: ${advance.reason}`
}

for (const before of POLICIES) {
  describe(`trust under ${nameOf(before)}`, () => {
    for (const [name, change] of Object.entries(CHANGES)) {
      it(`${name}: reaches what is final, by jumps from every height and by receipts`, async () => {
        const made = await grown(before, change)
        for (let height = 0; height < made.chain.size; height++) await ackAll(made, height)
        assert.equal(made.finalHeight(), 4)
        const trusted: TrustedState[] = [trustGenesis(made.chain.genesis, made.chain.chainId)]
        for (let to = 0; to <= 4; to++) {
          for (const from of trusted.slice()) {
            const state = await jump(made, from, to)
            assert.ok(
              typeof state === 'object',
              `${from.anchor?.header.height ?? 'genesis'} to ${to}: ${typeof state === 'string' ? state : ''}`,
            )
            if (from === trusted.at(-1)) trusted.push(state)
          }
        }
        for (const final of [0, 1, 2, 3, 4]) {
          const verdict = verifyReceipt(await made.receipt('tx-tick-0-0', final), made.chain.chainId)
          assert.equal(verdict.ok ? verdict.status : verdict.reason, 'final', `a receipt made at height ${final}`)
        }
      })

      it(`${name}: follows header by header only under the registry that is in force`, async () => {
        const made = await grown(before, change)
        const headers = await made.chain.headers(0, 5)
        let state = trustGenesis(made.chain.genesis, made.chain.chainId)
        for (const sealed of headers) {
          const { registry_root, height } = sealed.header
          const next = verifyNext(state, sealed, contextOf(made))
          const isKnown = (state.anchor?.header.registry_root ?? state.registry_root) === state.registry_root
          const recovers = name.startsWith('the authority recovers its key') && height === 1
          assert.equal(next.ok, isKnown && !recovers, `block ${height}`)
          const place = { anchor: sealed, anchor_hash: sealed.hash, frontier: await made.chain.frontier(height) }
          if (next.ok) assert.equal(next.state.policy === null, registry_root !== state.registry_root)
          const { policy } = made.chain.recentRegistry(height + 1)!
          const sealers = made.chain.recentRegistry(height + 1)!.activeOf('authority')
          // As if it had been proven: the next one is judged by what is in force above this one.
          state = next.ok && next.state.policy === null ? next.state : { ...place, registry_root, policy, sealers }
        }
      })

      if (before.policy === 'authority') continue
      it(`${name}: reaches nothing that a quorum of the policy in force has not acked`, async () => {
        const made = await grown(before, change)
        const counted = before.policy === 'votes' ? 'voter' : 'validator'
        const others = before.policy === 'votes' ? 'validator' : 'voter'
        // All that others say, and what those who count say of the blocks before the change.
        for (let height = 0; height < made.chain.size; height++) await ackAll(made, height, others)
        await ackAll(made, 0, counted)
        assert.equal(made.finalHeight(), 0)
        const genesis = trustGenesis(made.chain.genesis, made.chain.chainId)
        const block0 = await jump(made, genesis, 0)
        assert.ok(typeof block0 === 'object', typeof block0 === 'string' ? block0 : '')
        for (const from of [genesis, block0]) {
          for (const to of [1, 2, 3, 4]) {
            const state = await jump(made, from, to)
            assert.ok(typeof state === 'string', `trusts block ${to}`)
            assert.match(state, new RegExp(`^no_quorum: .*needs ${requiredVotes(before)}`))
            // An honest node does not even say so.
            const asked = made.anchor(from.anchor?.header.height ?? null, to)
            await assert.rejects(
              asked,
              (error) => isSolarError(error, 'not_ready') && /can show \d of the \d acks/.test(error.message),
            )
          }
        }
        for (const final of [1, 4]) {
          const verdict = verifyReceipt(await made.receipt('tx-tick-0-0', final), made.chain.chainId)
          assert.notEqual(verdict.ok && verdict.status, 'final')
        }
      })
    }
  })
}
