import type { AnchorAnswer } from '../../src/protocol/messages.ts'
import type { Receipt } from '../../src/protocol/receipt.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../helpers/test-chain.ts'

/** The chains behind the vectors of receipts, anchors and checkpoints: one for each way in which a block becomes final. */

/** A receipt with the chain that it belongs to. */
export interface MadeReceipt {
  readonly name: string
  readonly chain_id: string
  readonly receipt: Receipt
}

/** The answer to a libp2p `anchor` request from the genesis. */
export interface MadeAnchor {
  readonly name: string
  readonly chain_id: string
  readonly genesis: object
  readonly answer: AnchorAnswer
}

const authority = entryOf('authority', 'authority', 'authority recovery')
const households = [entryOf('alice', 'voter'), entryOf('bob', 'voter'), entryOf('carol', 'voter')]
const validators = ['v1', 'v2', 'v3'].map((id) => entryOf(id, 'validator'))

export const WITNESSES = ['witness.example/one', 'witness.example/two'] as const

async function authorityChain(): Promise<TestChain> {
  const made = await createTestChain(genesisOf({ policy: 'authority' }, authority, ...households))
  await made.trade(3)
  return made
}

async function votesChain(): Promise<TestChain> {
  const made = await createTestChain(genesisOf({ policy: 'votes', threshold: 2 }, authority, ...households))
  await made.trade(5)
  await made.trade(2)
  await made.change(
    { action: 'enrol', subject_id: 'dave', role: 'voter', public_key: namedKey('dave').publicKey },
    'dave',
  )
  await made.trade(1)
  return made
}

async function validatorsChain(): Promise<TestChain> {
  const genesis = genesisOf({ policy: 'validators', threshold: 2 }, authority, ...validators, ...households)
  const made = await createTestChain(genesis)
  await made.trade(2)
  await made.change(
    { action: 'policy', subject_id: 'authority', finality: { policy: 'validators', threshold: 3 } },
    'authority',
  )
  await made.trade(1)
  await made.change(
    { action: 'enrol', subject_id: 'v4', role: 'validator', public_key: namedKey('v4').publicKey },
    'v4',
  )
  await made.trade(4)
  for (const id of ['v1', 'v2']) await made.ack(id, 1)
  for (const id of ['v1', 'v2', 'v3']) await made.ack(id, 3)
  for (const id of ['v2', 'v3', 'v4']) await made.ack(id, 4)
  return made
}

/** A chain that the authority began alone asks for two users, and then for one again; a user comes in between. */
async function raisedChain(): Promise<TestChain> {
  const made = await createTestChain(genesisOf({ policy: 'authority' }, authority, ...households))
  await made.trade(2)
  for (const threshold of [2, 1]) {
    await made.change(
      { action: 'policy', subject_id: 'authority', finality: { policy: 'votes', threshold } },
      'authority',
    )
    await made.trade(1)
  }
  for (const id of ['alice', 'bob']) await made.ack(id, 4)
  return made
}

/**
 * Under validators:2, set once more by a handover, a household comes, the third validator goes, and another household
 * comes.
 */
async function shrunkChain(): Promise<TestChain> {
  const made = await createTestChain(genesisOf({ policy: 'validators', threshold: 2 }, authority, ...validators))
  const enrol = (id: string) =>
    made.change({ action: 'enrol', subject_id: id, role: 'voter', public_key: namedKey(id).publicKey }, id)
  await made.trade(2)
  await made.change(
    { action: 'policy', subject_id: 'authority', finality: { policy: 'validators', threshold: 2 } },
    'authority',
  )
  await enrol('dave')
  await made.change({ action: 'revoke', subject_id: 'v3' }, 'authority')
  await enrol('eve')
  await made.trade(1)
  for (const id of ['v1', 'v2']) await made.ack(id, 5)
  return made
}

/** Users decide who decides: under votes:2 one comes, and then validators are to make blocks final. */
async function handedOverChain(): Promise<TestChain> {
  const genesis = genesisOf({ policy: 'votes', threshold: 2 }, authority, ...households, ...validators)
  const made = await createTestChain(genesis)
  await made.trade(2)
  await made.change(
    { action: 'enrol', subject_id: 'dave', role: 'voter', public_key: namedKey('dave').publicKey },
    'dave',
  )
  await made.change(
    { action: 'policy', subject_id: 'authority', finality: { policy: 'validators', threshold: 2 } },
    'authority',
  )
  await made.trade(3)
  for (const id of ['bob', 'dave']) await made.ack(id, 2)
  for (const id of ['v1', 'v2']) await made.ack(id, 3)
  return made
}

/** Keys of voters change: each ack counts where its key was in force, also for the blocks before. */
async function rotatedChain(policy: 'votes' | 'validators'): Promise<TestChain> {
  const [role, ids] = policy === 'votes' ? (['voter', ['alice', 'bob', 'carol', 'dave']] as const) : ROTATED_VALIDATORS
  const genesis = genesisOf(
    { policy, threshold: 3 },
    authority,
    ...ids.map((id) => entryOf(id, role, `${id} recovery`)),
  )
  const made = await createTestChain(genesis)
  const [first, second, third, fourth] = ids
  const keyOf = (id: string) => namedKey(`${id}, new`).publicKey
  await made.trade(2)
  await made.change({ action: 'rotate', subject_id: first, public_key: keyOf(first) }, first)
  await made.trade(1)
  await made.change({ action: 'recover', subject_id: second, public_key: keyOf(second) }, `${second} recovery`)
  await made.trade(1)
  await made.ack(first, 1)
  for (const id of [second, third]) await made.ack(id, 3)
  await made.ack(fourth, 4)
  await made.ack(first, 4, `${first}, new`)
  await made.ack(second, 4, `${second}, new`)
  return made
}
const ROTATED_VALIDATORS = ['validator', ['v1', 'v2', 'v3', 'v4']] as const

/** The authority loses its key after height 1 and comes back with another. */
async function recoveredChain(): Promise<TestChain> {
  const made = await authorityChain()
  await made.trade(1)
  made.sealAs('authority', 'authority, new')
  await made.change(
    { action: 'recover', subject_id: 'authority', public_key: namedKey('authority, new').publicKey },
    'authority recovery',
  )
  await made.trade(2)
  return made
}

/** Another authority comes and seals one block; who checks what the first one sealed later need not know of it. */
async function deputyChain(): Promise<TestChain> {
  const made = await authorityChain()
  await made.change(
    { action: 'enrol', subject_id: 'deputy', role: 'authority', public_key: namedKey('deputy').publicKey },
    'deputy',
  )
  made.sealAs('deputy')
  await made.trade(2)
  made.sealAs('authority')
  await made.trade(1)
  return made
}

/** Under validators:2 one validator changes its key and an authority comes: the two others have both roots in common. */
async function passedOverChain(): Promise<TestChain> {
  const made = await createTestChain(genesisOf({ policy: 'validators', threshold: 2 }, authority, ...validators))
  await made.trade(2)
  await made.change({ action: 'rotate', subject_id: 'v1', public_key: namedKey('v1, new').publicKey }, 'v1')
  await made.change(
    { action: 'enrol', subject_id: 'deputy', role: 'authority', public_key: namedKey('deputy').publicKey },
    'deputy',
  )
  await made.trade(1)
  await made.ack('v1', 3, 'v1, new')
  for (const id of ['v2', 'v3']) await made.ack(id, 3)
  return made
}

/** Under validators:2 the newest final block is the one in which its own sealer comes back. */
async function recoveredLastChain(): Promise<TestChain> {
  const made = await createTestChain(genesisOf({ policy: 'validators', threshold: 2 }, authority, ...validators))
  await made.trade(2)
  made.sealAs('authority', 'authority, new')
  await made.change(
    { action: 'recover', subject_id: 'authority', public_key: namedKey('authority, new').publicKey },
    'authority recovery',
  )
  for (const id of ['v1', 'v2']) await made.ack(id, 1)
  return made
}

/** A block whose first transaction recovers its sealer is sealed by the key that this brings, though the second brings another. */
async function recoveredTwiceChain(): Promise<TestChain> {
  const made = await createTestChain(genesisOf({ policy: 'validators', threshold: 2 }, authority, ...validators))
  await made.trade(1)
  made.sealAs('authority', 'authority, new')
  const recover = (name: string) =>
    [
      { action: 'recover', subject_id: 'authority', public_key: namedKey(name).publicKey },
      'authority recovery',
    ] as const
  await made.changeAll(recover('authority, new'), recover('authority, newer'))
  made.sealAs('authority', 'authority, newer')
  await made.trade(1)
  for (const id of ['v1', 'v2']) await made.ack(id, 2)
  return made
}

async function correctedChain(): Promise<TestChain> {
  const made = await authorityChain()
  await made.correct('tx-tick-0-1', '-0.5', '-0.1')
  await made.trade(1)
  await made.correct('tx-tick-0-1', '0.25', '0.05')
  await made.trade(2)
  return made
}

/** What an authority can seal and no validator takes: it leaves less than nothing of a trade, or more than a quantity. */
async function overcorrectedChain(kwh: string, amount: string): Promise<TestChain> {
  const made = await authorityChain()
  await made.correct('tx-tick-0-1', kwh, amount)
  await made.correct('tx-tick-0-1', kwh, amount)
  await made.trade(2)
  return made
}

async function makeReceipts(): Promise<readonly MadeReceipt[]> {
  const made: MadeReceipt[] = []
  const add = async (name: string, of: TestChain, id: string): Promise<void> => {
    made.push({ name, chain_id: of.chain.chainId, receipt: await of.receipt(id) })
  }
  const plain = await authorityChain()
  await add('authority, height 0', plain, 'tx-tick-0-2')
  for (let i = 0; i < 6; i++) await plain.trade(i + 1)
  await add('authority, with an anchor', plain, 'tx-tick-0-2')
  await add('authority, the tip', plain, 'tx-tick-6-3')
  await plain.checkpoint(...WITNESSES)
  await add('authority, with a checkpoint', plain, 'tx-tick-2-1')

  const votes = await votesChain()
  await add('votes:2 without votes', votes, 'tx-tick-1-0')
  await votes.ack('alice', 1)
  await add('votes:2 with one vote, sealed', votes, 'tx-tick-1-0')
  await votes.ack('bob', 3)
  await add('votes:2 with a quorum', votes, 'tx-tick-1-1')
  await add('votes:2 with a quorum and an anchor', votes, 'tx-tick-0-4')
  await votes.ack('dave', 3)
  await add('votes:2, voters under a registry that has changed', votes, 'tx-tick-0-0')

  const validated = await validatorsChain()
  await add('validators:3 with a quorum and two handovers', validated, 'tx-tick-0-1')
  await add('validators:3, a block between two handovers', validated, 'tx-tick-2-0')
  await add('validators:3, the last final block', validated, 'tx-tick-4-3')
  await add('validators:2, a handover itself', validated, 'change-1')

  const handedOver = await handedOverChain()
  await add('votes:2, a change of the policy that users acked', handedOver, 'tx-tick-0-1')
  await add('votes:2, that change itself', handedOver, 'change-2')
  for (const policy of ['votes', 'validators'] as const) {
    const rotated = await rotatedChain(policy)
    await add(`${policy}:3, a key rotated and a key recovered`, rotated, 'tx-tick-0-1')
  }

  await add('authority, then votes:2, then votes:1', await raisedChain(), 'tx-tick-0-1')
  const shrunk = await shrunkChain()
  await add('validators:2, one of them gone, under a registry that has changed', shrunk, 'tx-tick-0-1')

  const recovered = await recoveredChain()
  await add('a recovered authority', recovered, 'tx-tick-1-0')
  await add('a recovered authority, sealed by the new key', recovered, 'tx-tick-3-1')
  await add('the recovery itself', recovered, 'change-2')

  const recoveredLast = await recoveredLastChain()
  await add('validators:2, up to a recovery', recoveredLast, 'tx-tick-0-1')
  await add('validators:2, the recovery itself', recoveredLast, 'change-1')

  const recoveredTwice = await recoveredTwiceChain()
  await add('a recovered authority, twice in one block', recoveredTwice, 'tx-tick-2-0')
  await add('that block itself', recoveredTwice, 'change-1-1')

  const deputy = await deputyChain()
  await add('authority, a block of a deputy whose coming is left out', deputy, 'tx-tick-2-1')
  await add('authority, that coming itself', deputy, 'change-1')
  await add('validators:2, two changes left out', await passedOverChain(), 'tx-tick-0-1')

  const corrected = await correctedChain()
  await add('a trade with two corrections', corrected, 'tx-tick-0-1')
  await add('a correction', corrected, 'fix-1')
  for (const [name, kwh, amount] of [
    ['less than no energy', '-2', '0.1'],
    ['less than no money', '0.1', '-0.4'],
    ['more energy than a quantity has digits for', '600000000000', '0'],
    ['more money than a quantity has digits for', '0', '600000000000'],
  ] as const) {
    await add(`corrections that leave ${name}`, await overcorrectedChain(kwh, amount), 'tx-tick-0-1')
  }
  return made
}

async function makeAnchors(): Promise<readonly MadeAnchor[]> {
  const votes = await votesChain()
  for (const id of ['alice', 'bob']) await votes.ack(id, 3)
  const chains = [
    ['authority', await authorityChain()],
    ['votes:2', votes],
    ['validators, two handovers', await validatorsChain()],
    ['votes:2, handed over', await handedOverChain()],
    ['votes:3, keys changed', await rotatedChain('votes')],
    ['validators:3, keys changed', await rotatedChain('validators')],
    ['authority, then votes:2, then votes:1', await raisedChain()],
    ['validators:2, one of them gone', await shrunkChain()],
    ['a recovered authority', await recoveredChain()],
    ['validators:2, up to a recovery', await recoveredLastChain()],
    ['an authority recovered twice in one block', await recoveredTwiceChain()],
    ['authority, the coming of a deputy left out', await deputyChain()],
    ['validators:2, two changes left out', await passedOverChain()],
  ] as const
  return await Promise.all(
    chains.map(async ([name, made]) => {
      const { genesis, chainId } = made.chain
      return { name, chain_id: chainId, genesis, answer: await made.anchor(null) }
    }),
  )
}

/** Made once, at the start: everything in them follows from the test keys. */
export const RECEIPTS = await makeReceipts()
export const ANCHORS = await makeAnchors()

export function receiptNamed(name: string): MadeReceipt {
  const found = RECEIPTS.find((made) => made.name === name)
  if (found === undefined) throw new Error(`there is no receipt ${name}`)
  return found
}
