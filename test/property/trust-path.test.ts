import assert from 'node:assert/strict'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { Finality } from '../../src/protocol/genesis.ts'
import { trustGenesis, verifyAdvance, type TrustedState } from '../../src/protocol/light-verify.ts'
import { verifyReceipt } from '../../src/protocol/receipt-verify.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../helpers/test-chain.ts'

/**
 * Random chains on which keys change, authorities, validators and users come and go, policies change, and each acks what
 * it likes with the key that it has. What is final is proven from the genesis and from every header that was trusted before,
 * also for each block in a receipt; what is not is not, whoever says so.
 */
const SEEDS = 8
const BLOCKS = 24
const POLICIES: readonly Finality[] = [
  { policy: 'authority' },
  { policy: 'votes', threshold: 2 },
  { policy: 'validators', threshold: 3 },
]
const IDS = {
  authority: ['authority', 'deputy', 'third'],
  validator: ['v1', 'v2', 'v3', 'v4', 'v5'],
  voter: ['alice', 'bob', 'carol', 'dave'],
}
type Role = keyof typeof IDS
const ROLES: readonly Role[] = ['authority', 'validator', 'voter']
const recovery = (id: string) => `${id} recovery`

/** Mulberry32. */
function randomOf(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

/** A chain and who holds which key on it. */
async function startChain(below: (limit: number) => number) {
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
  const registered = { authority: 2, validator: 4, voter: 3 }
  const entries = ROLES.flatMap((role) =>
    IDS[role].slice(0, registered[role]).map((id) => entryOf(id, role, recovery(id))),
  )
  const made = await createTestChain(genesisOf(pick(POLICIES), ...entries))
  const { chain } = made
  const keys = new Map<string, string[]>()
  const keysOf = (id: string) => keys.get(id) ?? [id]
  const nameAt = (id: string, height: number) =>
    keysOf(id).find((name) => namedKey(name).publicKey === chain.recentRegistry(height)!.entry(id)?.public_key)!
  const fresh = (id: string): string => {
    const name = `${id} ${keysOf(id).length + 1}`
    keys.set(id, [...keysOf(id), name])
    return name
  }
  const sealAs = (id: string) => made.sealAs(id, nameAt(id, chain.size))

  /** One change, which the registry may refuse. */
  async function change(): Promise<void> {
    const role = pick(ROLES)
    const subject_id = pick(IDS[role])
    const now = chain.registry.entry(subject_id)
    const sealer = pick(chain.registry.activeOf('authority')).id
    sealAs(sealer)
    if (now === undefined) {
      const enrolled = { action: 'enrol', subject_id, role, public_key: namedKey(subject_id).publicKey } as const
      await made.change({ ...enrolled, recovery_key: namedKey(recovery(subject_id)).publicKey }, subject_id)
      return
    }
    const what = below(8)
    if (what === 0) {
      await made.change({ action: 'policy', subject_id: sealer, finality: pick(POLICIES) }, nameAt(sealer, chain.size))
      return
    }
    if (what === 1) {
      await made.change({ action: 'revoke', subject_id }, nameAt(sealer, chain.size))
      return
    }
    const before = nameAt(subject_id, chain.size)
    const name = fresh(subject_id)
    const { publicKey: public_key } = namedKey(name)
    if (what > 3) {
      await made.change({ action: 'rotate', subject_id, public_key }, before)
      return
    }
    if (role === 'authority' && below(2) === 0) made.sealAs(subject_id, name)
    await made.change({ action: 'recover', subject_id, public_key }, recovery(subject_id))
  }

  return {
    made,
    step: async (): Promise<void> => {
      sealAs(pick(chain.registry.activeOf('authority')).id)
      if (below(2) === 0) await made.trade()
      else await change().catch(() => undefined)
    },
    /** Some who are registered ack the tip. */
    ackTip: async (): Promise<void> => {
      const height = chain.size - 1
      for (const { id, role } of chain.recentRegistry(height)!.entries) {
        if (role === 'authority' || below(4) === 0 || chain.recentRegistry(height)!.active(id) === undefined) continue
        await made.ack(id, height, nameAt(id, height))
      }
    },
  }
}

const contextOf = ({ chain }: TestChain) => ({ genesis: chain.genesis, chainId: chain.chainId, now: 2e13 })

async function jump(made: TestChain, state: TrustedState, to: number) {
  const answer = await made.claim(heightOf(state), to)
  return { answer, advance: verifyAdvance(state, answer, contextOf(made)) }
}

const heightOf = ({ anchor }: TrustedState): number | null => anchor?.header.height ?? null

/** An honest node gives out nothing that is refused, whatever it takes for final. */
async function checkHonest(made: TestChain, state: TrustedState, to: number): Promise<void> {
  const answer = await made.anchor(heightOf(state), to).catch((error: unknown) => {
    if (isSolarError(error, 'not_ready')) return undefined
    throw error
  })
  if (answer === undefined) return
  const advance = verifyAdvance(state, answer, contextOf(made))
  assert.ok(advance.ok, `given out up to ${to} from ${heightOf(state)}: ${advance.ok ? '' : advance.reason}`)
}

describe('trust on a chain where all changes', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`reaches what is final, and nothing else (seed ${seed})`, async () => {
      const below = randomOf(seed)
      const { made, step, ackTip } = await startChain(below)
      const { chain } = made
      const states = [trustGenesis(chain.genesis, chain.chainId)]
      let final = -1
      while (chain.size < BLOCKS) {
        await step()
        if (chain.size > 0 && below(3) > 0) await ackTip()
        if (made.finalHeight() === final) continue
        final = made.finalHeight()
        const reached: TrustedState[] = []
        for (const state of states) {
          const { answer, advance } = await jump(made, state, final)
          const from = state.anchor?.header.height ?? 'the genesis'
          assert.ok(advance.ok, `${from} to ${final}: ${advance.ok ? '' : advance.reason}`)
          reached.push(advance.state)
          assert.deepEqual(await made.anchor(heightOf(state), final), answer)
        }
        // From the genesis, from the newest, and from some in between.
        if (states.length > 3) states.splice(1 + below(2), 1)
        states.push(reached.at(-1)!)
      }
      await checkReceipts(made, final)
      await checkNoMore(made, states, final)
    })
  }
})

/**
 * A receipt says final of each block up to the final height, and of none above; each that is given out verifies, and there is
 * none only above a change of who decides that is not final.
 */
async function checkReceipts(made: TestChain, final: number): Promise<void> {
  const { chain } = made
  for (let height = 0; height < chain.size; height++) {
    const [tx] = (await chain.blockAt(height)).transactions
    if (tx === undefined || tx.kind === 'redacted') continue
    const outcome = await made.receipt(tx.id).then(
      (receipt) => {
        const verdict = verifyReceipt(JSON.parse(JSON.stringify(receipt)), chain.chainId)
        return verdict.ok ? verdict.status : `${verdict.failed}: ${verdict.reason}`
      },
      (error: unknown) => (isSolarError(error) ? error.code : String(error)),
    )
    const isAboveOpen = (await chain.guardedHeights(final, height - 1)).length > 0
    const expected = height <= final ? 'final' : isAboveOpen ? 'no_receipt' : 'sealed'
    assert.equal(outcome, expected, `the receipt of block ${height}, final is ${final}`)
  }
}

/**
 * Whoever says that a later block is final convinces nobody; but under `votes` an authority may pass over a change that no
 * user acked, with users who came above it (docs/security.md).
 */
async function checkNoMore(made: TestChain, states: readonly TrustedState[], final: number): Promise<void> {
  for (let to = final + 1; to < made.chain.size; to++) {
    for (const state of states) {
      const { answer, advance } = await jump(made, state, to)
      const counted = [answer, ...answer.handovers].flatMap(({ votes }) => votes)
      await checkHonest(made, state, to)
      const isByNewUsers = counted.some(({ brought_by }) => brought_by !== undefined)
      const from = state.anchor?.header.height ?? 'the genesis'
      assert.ok(!advance.ok || isByNewUsers, `block ${to} is trusted from ${from}`)
    }
  }
}
