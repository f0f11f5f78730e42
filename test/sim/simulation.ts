import type { Vote } from '../../src/protocol/vote.ts'
import type { FullState } from './disk-state.ts'
import { createDiskLoss } from './disk-loss.ts'
import { createErasure, type Erasure } from './erasure.ts'
import { createFaults } from './faults.ts'
import type { KnownBlock, Members } from './model.ts'
import { changeKeys } from './operators.ts'
import { checkProvable, checkReachable } from './proofs.ts'
import { honestVoters } from './plan.ts'
import { createRandom } from './random.ts'
import { createSealing, type Sealing } from './sealing.ts'
import { verifyOnce } from './verify-once.ts'
import { createWorld, type SimNode, type World, type WorldOptions } from './world.ts'
import { Violation } from './violation.ts'

/** What a run tells when nothing was wrong. */
export interface RunReport {
  readonly seed: number
  readonly policy: string
  readonly isTwoFaced: boolean
  /** Height of the chain, and what is final, on an honest node at the end. */
  readonly height: number
  readonly finalHeight: number
  /** Different blocks that were sealed. */
  readonly blocks: number
  readonly votes: number
  /** At the end the chain had to move on, and did; else its voters were locked on two branches, as the rules have it. */
  readonly isLive: boolean
}

const FAULTS_MS = 90_000
/** An authority that restores waits a minute for the body that a silent peer may have, and asks by rounds. */
const HEALED_MS = 95_000
/** Two rounds of asking every peer, and what they take. */
const QUIET_MS = 35_000
/** Of a validator that joins: before what befalls the stores of one that reaches all others. */
const LATEST_START_MS = 30_000
/** At least; and on until the chain is higher than every honest ack: nobody acks two blocks of a height. */
const LAST_TICKS = 3

/** Runs one seed: faults and an adversary, then peace. Throws the first `Violation`, which is looked for after each step. */
export async function runSeed(seed: number, options: Partial<WorldOptions> = {}): Promise<RunReport> {
  const world = await createWorld(seed, { onLog: () => undefined, ...options })
  const verifyAgain = verifyOnce()
  try {
    const disturbed = await disturb(seed, world)
    return await recover(seed, world, disturbed)
  } finally {
    await world.close()
    verifyAgain()
  }
}

interface Disturbed {
  readonly sealing: Sealing
  readonly erasure: Erasure
}

/** Ticks, faults, and an adversary. */
async function disturb(seed: number, world: World): Promise<Disturbed> {
  const { loop, random, nodes, plan } = world
  const isJoiner = ({ id }: SimNode): boolean => plan.joiners.includes(id)
  await world.until(Promise.all(nodes.filter((node) => !isJoiner(node)).map((node) => world.start(node))))
  for (const joiner of nodes.filter(isJoiner)) {
    loop.schedule(random.between(0, LATEST_START_MS), () => world.background(world.start(joiner)))
  }
  const sealing = createSealing(world)
  const faults = createFaults(world)
  const erasure = createErasure(world)
  const end = loop.now + FAULTS_MS
  // With a chance of its own: all else in the run of a seed is as it is without.
  const diskLoss = createDiskLoss(world, createRandom(seed + 0x10000), end)
  const every = (minMs: number, maxMs: number, task: () => void): void => {
    loop.schedule(random.between(minMs, maxMs), () => {
      if (loop.now >= end) return
      task()
      every(minMs, maxMs, task)
    })
  }
  every(4_000, 12_000, () => sealing.tick())
  every(2_000, 12_000, () => {
    if (!diskLoss.isSettling()) faults.strike()
  })
  every(5_000, 5_000, () => world.checker.checkEvidenceFound())
  every(10_000, 20_000, () => void changeKeys(world, 0.5))
  every(8_000, 20_000, () => erasure.strike())
  await world.run(FAULTS_MS)
  world.adversary.rest()
  sealing.behave()
  await faults.heal()
  sealing.platform.insist()
  return { sealing, erasure }
}

/** Without faults all agree, know of every double seal, and the chain moves on unless its voters are locked. */
async function recover(seed: number, world: World, { sealing, erasure }: Disturbed): Promise<RunReport> {
  const { plan, model, checker } = world
  world.allowAll()
  for (const node of world.nodes.filter(({ kind }) => kind === 'validator')) {
    world.crash(node)
    await world.until(world.start(node))
  }
  await world.run(HEALED_MS)
  await erasure.insist()
  if (changeKeys(world, 1)) await world.run(QUIET_MS)
  checker.checkEvidenceFound()
  await checkProvable(world)
  const isSplit = plan.isTwoFaced && plan.finality.policy === 'authority'
  let isLive = false
  let ticksLeft = LAST_TICKS
  if (!isSplit) {
    const [state] = agreed(world)
    if (state === undefined) throw new Error('there is an honest full node')
    checkHeaviest(world, state)
    isLive = mustMoveOn(world, state)
    ticksLeft = Math.max(LAST_TICKS, highestAck(world) + 2 - state.chain.length)
    await world.until(sealing.unite(state.chain))
  }
  for (; ticksLeft > 0; ticksLeft--) {
    sealing.tick()
    await world.run(8_000)
    // The tick may have brought what was committed before with no answer: a change of a key.
    if (changeKeys(world, 1)) await world.run(QUIET_MS)
  }
  await world.run(QUIET_MS)
  checker.checkEvidenceFound()
  await checkProvable(world)
  if (!isSplit) {
    checkEnd(world, isLive)
    sealing.platform.checkAnswers(agreed(world)[0]?.chain ?? [])
    await checkReachable(world)
    await erasure.check()
    checkEnd(world, isLive)
  }
  const [any] = fullNodes(world)
  const last = any && stateOf(world, any)
  return {
    seed,
    policy: plan.finality.policy,
    isTwoFaced: plan.isTwoFaced,
    height: (last?.chain.length ?? 0) - 1,
    finalHeight: last?.finalHeight ?? -1,
    blocks: model.blocks.size,
    votes: model.votes.size,
    isLive,
  }
}

const stateOf = (world: World, node: SimNode): FullState => {
  const { sql, checker } = world
  const isAuthority = node.kind === 'authority' && sql !== undefined
  return checker.stateOf({ ...node, kind: 'validator', ...(isAuthority && { ledger: () => sql.mirror }) })
}

/** Honest full nodes that peers show blocks to: a validator that is revoked gets none, nor one whose key is another now. */
function fullNodes(world: World): SimNode[] {
  const nodes = world.nodes.filter(({ kind }) => kind === 'validator' || kind === 'authority')
  const known = nodes.map((node) => ({ node, state: stateOf(world, node) }))
  known.sort((a, b) => b.state.finalHeight - a.state.finalHeight || b.state.chain.length - a.state.chain.length)
  // On two branches a node may have two keys, and who is on the other one shows it nothing.
  const witnesses = world.plan.isTwoFaced ? known : known.slice(0, 1)
  const tips = witnesses.flatMap(({ state }) => state.chain.at(-1) ?? [])
  const shown = nodes.filter(({ id, kind, key }) => {
    const members = tips.map(({ after }) => after.byId.get(id))
    return kind === 'authority' || members.every((member) => member?.active === true && member.key === key?.publicKey)
  })
  // Where nobody is, who has come furthest speaks for the others.
  return shown.length > 0 ? shown : known.slice(0, 1).map(({ node }) => node)
}

/** The states of all honest full nodes: all have one chain, and call as much of it final. */
function agreed(world: World): FullState[] {
  const known = fullNodes(world).map((node) => ({ node, state: stateOf(world, node) }))
  const first = known[0]?.state
  for (const { node, state } of known) {
    if (state.chain.at(-1) === first?.chain.at(-1) && state.finalHeight === first?.finalHeight) continue
    const places = known.map(
      ({ node: { id }, state: { chain, finalHeight } }) => `${id} ${nameOf(chain.at(-1))}, final ${finalHeight}`,
    )
    throw new Violation('all agree in the end', `${node.id} differs: ${places.join('; ')}`)
  }
  return known.map(({ state }) => state)
}

const nameOf = (block: KnownBlock | undefined): string =>
  block === undefined ? 'no block' : `${block.height} ${block.hash.slice(0, 8)}`

/** True if the honest voters that are free to extend this chain are enough, together with the acks that there are. */
function mustMoveOn(world: World, { chain, finalHeight }: FullState): boolean {
  const { plan, model, changes } = world
  const tip = chain.at(-1)
  if (tip === undefined) return true
  // No operator allows what the adversary changed, and the chain with the change stays the longest.
  if (chain.slice(finalHeight + 1).some(({ block }) => block.transactions.some((tx) => changes.isEvil(tx))))
    return false
  // Households do not ack what an accused authority seals.
  const isForked = plan.isTwoFaced && [...model.blocks.values()].some((block) => chain[block.height] !== block)
  const validators = world.nodes.filter(({ kind }) => kind === 'validator')
  // One that is revoked and has lost its stores is shown no block: who asks it for its acks waits until its operator names others.
  const isBlank = ({ id, disk }: SimNode): boolean => world.checker.reader.full(id, disk).chain.length === 0
  const waits = ({ id, kind }: SimNode): boolean =>
    kind === 'validator' && world.checker.hasLost(id) && validators.some((other) => other.id !== id && isBlank(other))
  const free = world.nodes.filter((node) => {
    if (node.kind === 'light' ? isForked : node.kind !== 'validator' || waits(node)) return false
    const ownVote = ownVoteOf(world, node)
    if (ownVote === undefined || chain[ownVote.height]?.hash === ownVote.header_hash) return true
    const acked = model.blocks.get(ownVote.header_hash)
    return acked?.chain[finalHeight] !== undefined && acked.chain[finalHeight] !== chain[finalHeight]
  })
  const withKeyOf = (members: Members): string[] =>
    free.flatMap(({ id, key }) => (members.byId.get(id)?.key === key?.publicKey ? [id] : []))
  const final = model.finalHeightWith(chain, withKeyOf(tip.before))
  // What comes next is counted by what this block has changed.
  return final === tip.height && canVote(tip.after, withKeyOf(tip.after))
}

/** True if these are enough by the policy of `members`. */
function canVote({ finality, byId }: Members, ids: readonly string[]): boolean {
  if (finality.policy === 'authority') return true
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  const active = ids.flatMap((id) => byId.get(id) ?? []).filter((member) => member.active && member.role === role)
  return active.length >= finality.threshold
}

/** No branch that honest validators are bound to has more of their acks than the chain has of all. */
function checkHeaviest(world: World, { chain, finalHeight }: FullState): void {
  const { model, nodes } = world
  const next = chain[finalHeight + 1]?.before
  if (next?.finality.policy !== 'validators') return
  const members = next.byId
  const isCounted = (id: string): boolean => members.get(id)?.active === true && members.get(id)?.role === 'validator'
  const isOpen = (block: KnownBlock): boolean =>
    block.height > finalHeight && block.chain[finalHeight] === chain[finalHeight]
  const acked = nodes
    .filter(({ kind, id }) => kind === 'validator' && isCounted(id))
    .flatMap((node) => model.blocks.get(ownVoteOf(world, node)?.header_hash ?? '') ?? [])
    .filter(isOpen)
  const ackers = [...model.votes.values()].filter(
    ({ decision, voter_id, height, header_hash }) =>
      decision === 'ack' && height > finalHeight && chain[height]?.hash === header_hash && isCounted(voter_id),
  )
  const weight = new Set(ackers.map(({ voter_id }) => voter_id)).size
  for (const tip of acked) {
    const bound = acked.filter((block) => tip.chain[block.height] === block).length
    if (bound <= weight) continue
    const reason = `${bound} validators are bound to ${nameOf(tip)}, ${weight} have acked the chain of ${nameOf(chain.at(-1))}`
    throw new Violation('the branch with most acks is the chain', reason)
  }
}

const ownVoteOf = ({ checker }: World, { id, kind, disk }: SimNode): Vote | undefined =>
  kind === 'light' ? checker.reader.light(disk).ownVote : checker.reader.full(id, disk).ownVote

/** The greatest height that an honest voter has acked, on whatever branch. */
function highestAck({ plan, model }: World): number {
  const honest = honestVoters(plan)
  const acks = [...model.votes.values()].filter(({ voter_id }) => honest.includes(voter_id))
  return Math.max(-1, ...acks.map(({ height }) => height))
}

function checkEnd(world: World, isLive: boolean): void {
  const { model } = world
  const states = agreed(world)
  const [state] = states
  const tip = state?.chain.at(-1)
  if (state === undefined || tip === undefined) throw new Violation('the chain moves on', 'no block at all')
  for (const { chain, votes, finalHeight } of states) {
    const counted = model.finalHeight(chain, votes)
    // More may be final, by acks on a branch that was left; the checker looked at them when it became so.
    if (counted > finalHeight) {
      throw new Violation('what has its votes is final', `block ${counted} has them, final is ${finalHeight}`)
    }
  }
  checkHeaviest(world, state)
  if (isLive && state.finalHeight !== tip.height) {
    throw new Violation('the chain moves on', `tip ${nameOf(tip)}, final ${state.finalHeight}`)
  }
  const honest = fullNodes(world).map(({ id }) => id)
  const isServed = (id: string): boolean =>
    world.network.links.some((ends) => ends.includes(id) && ends.some((end) => honest.includes(end)))
  for (const { id, disk } of world.nodes.filter(({ kind, id }) => kind === 'light' && isServed(id))) {
    const trusted = world.checker.reader.light(disk).trusted?.header.height ?? -1
    // More than full nodes know of, if a face of the authority that has gone since showed it acks that nobody else has.
    if (trusted < state.finalHeight) {
      const reason = `${id} trusts ${trusted}, final is ${state.finalHeight}`
      throw new Violation('light nodes follow', reason)
    }
  }
}
