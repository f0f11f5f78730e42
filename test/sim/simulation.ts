import type { Vote } from '../../src/protocol/vote.ts'
import type { FullState } from './disk-state.ts'
import { isEvil } from './changes.ts'
import { createDiskLoss } from './disk-loss.ts'
import { createFaults } from './faults.ts'
import type { KnownBlock } from './model.ts'
import { createRandom } from './random.ts'
import { createSealing, type Sealing } from './sealing.ts'
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

const FAULTS_MS = 140_000
const HEALED_MS = 65_000
/** At least; and on until the chain is higher than every honest ack: nobody acks two blocks of a height. */
const LAST_TICKS = 3

/** Runs one seed: faults and an adversary, then peace. Throws the first `Violation`, which is looked for after each step. */
export async function runSeed(seed: number, options: Partial<WorldOptions> = {}): Promise<RunReport> {
  const world = await createWorld(seed, { ignored: new Set(), onLog: () => undefined, ...options })
  try {
    const sealing = await disturb(seed, world)
    return await recover(seed, world, sealing)
  } finally {
    await world.close()
  }
}

/** Ticks, faults, and an adversary. */
async function disturb(seed: number, world: World): Promise<Sealing> {
  const { loop, random, nodes } = world
  await world.until(Promise.all(nodes.map((node) => world.start(node))))
  const sealing = createSealing(world)
  const faults = createFaults(world)
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
  await world.run(FAULTS_MS)
  world.adversary.rest()
  sealing.behave()
  await faults.heal()
  return sealing
}

/** Without faults all agree, know of every double seal, and the chain moves on unless its voters are locked. */
async function recover(seed: number, world: World, sealing: Sealing): Promise<RunReport> {
  const { plan, model, checker } = world
  world.allowAll()
  for (const node of world.nodes.filter(({ kind }) => kind === 'validator')) {
    world.crash(node)
    await world.until(world.start(node))
  }
  await world.run(HEALED_MS)
  checker.checkEvidenceFound()
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
  }
  await world.run(HEALED_MS)
  checker.checkEvidenceFound()
  if (!isSplit) checkEnd(world, isLive)
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
  const checked = { id: node.id, kind: 'validator', disk: node.disk } as const
  return world.checker.stateOf(checked)
}

/** Honest full nodes that peers show blocks to: a validator that is revoked gets none. */
function fullNodes(world: World): SimNode[] {
  const nodes = world.nodes.filter(({ kind }) => kind === 'validator')
  const states = nodes.map((node) => stateOf(world, node))
  states.sort((a, b) => b.finalHeight - a.finalHeight || b.chain.length - a.chain.length)
  const members = states[0]?.chain.at(-1)?.after
  return nodes.filter(({ id }) => members === undefined || members.byId.get(id)?.active === true)
}

/** The states of all honest full nodes, which are one and the same. */
function agreed(world: World): FullState[] {
  const nodes = fullNodes(world)
  const states = nodes.map((node) => stateOf(world, node))
  const [first] = states
  states.forEach((state, index) => {
    const isSame = state.chain.at(-1) === first?.chain.at(-1) && state.finalHeight === first?.finalHeight
    if (isSame) return
    const places = states.map(
      ({ chain, finalHeight }, at) => `${nodes[at]?.id ?? ''} ${nameOf(chain.at(-1))}, final ${finalHeight}`,
    )
    throw new Violation('all agree in the end', `${nodes[index]?.id ?? ''} differs: ${places.join('; ')}`)
  })
  return states
}

const nameOf = (block: KnownBlock | undefined): string =>
  block === undefined ? 'no block' : `${block.height} ${block.hash.slice(0, 8)}`

/** True if the honest voters that are free to extend this chain are enough, together with the acks that there are. */
function mustMoveOn(world: World, { chain, finalHeight }: FullState): boolean {
  const { plan, model } = world
  const tip = chain.at(-1)
  if (tip === undefined || plan.finality.policy === 'authority') return true
  // No operator allows what the adversary changed, and the chain with the change stays the longest.
  if (chain.slice(finalHeight + 1).some(({ block }) => block.transactions.some(({ id }) => isEvil(id)))) return false
  // Households do not ack what an accused authority seals.
  const isForked = [...model.blocks.values()].some((block) => chain[block.height] !== block)
  if (plan.finality.policy === 'votes' && isForked) return false
  const voters = world.nodes.filter(({ kind }) => kind === (plan.finality.policy === 'votes' ? 'light' : 'validator'))
  const free = voters.filter((node) => {
    const ownVote = ownVoteOf(world, node)
    if (ownVote === undefined || chain[ownVote.height]?.hash === ownVote.header_hash) return true
    const acked = model.blocks.get(ownVote.header_hash)
    return acked?.chain[finalHeight] !== undefined && acked.chain[finalHeight] !== chain[finalHeight]
  })
  const final = model.finalHeightWith(
    chain,
    free.map(({ id }) => id),
  )
  return final === tip.height
}

/** No branch that honest validators are bound to has more of their acks than the chain has of all. */
function checkHeaviest(world: World, { chain, finalHeight }: FullState): void {
  const { plan, model, nodes } = world
  const members = chain[finalHeight + 1]?.before.byId
  if (plan.finality.policy !== 'validators' || members === undefined) return
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
  const honest = [...plan.validators, ...plan.lights]
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
  for (const { id, disk } of world.nodes.filter(({ kind }) => kind === 'light')) {
    const trusted = world.checker.reader.light(disk).trusted?.header.height ?? -1
    // More than full nodes know of, if a face of the authority that has gone since showed it acks that nobody else has.
    if (trusted < state.finalHeight) {
      const reason = `${id} trusts ${trusted}, final is ${state.finalHeight}`
      throw new Violation('light nodes follow', reason)
    }
  }
}
