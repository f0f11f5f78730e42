import { createDisk } from './disk.ts'
import type { Random } from './random.ts'
import type { SimNode, World } from './world.ts'

/** A validator of whose disk nothing is left, or that gets an older one back. */
export interface DiskLoss {
  /** True while that validator asks: nothing else goes wrong then. */
  isSettling(): boolean
}

const LOOK_EVERY_MS = 1_000
const AWAY_MS = 1_500
/** It asks whoever does not answer for a while, and syncs the whole chain. */
const SETTLE_MS = 20_000

/** Whether another validator has the last ack of this one; `undefined` if there is none. */
export function lastAckIsKnown(node: SimNode, { nodes, checker: { reader } }: World): boolean | undefined {
  const { ownVote } = reader.full(node.id, node.disk)
  if (ownVote === undefined) return undefined
  return nodes.some(
    ({ kind, id, disk }) =>
      kind === 'validator' &&
      id !== node.id &&
      reader.full(id, disk).votes.some(({ signature }) => signature === ownVote.signature),
  )
}

/** Whether another full node has all blocks of the chain of this one: what nobody has nobody can bring back. */
export function isCopied(node: SimNode, { nodes, checker: { reader } }: World): boolean {
  const tip = reader.full(node.id, node.disk).chain.at(-1)
  if (tip === undefined) return true
  return nodes.some(
    ({ kind, id, disk }) =>
      kind !== 'light' && id !== node.id && reader.full(id, disk).chain.some((block) => block === tip),
  )
}

/** Whether the disks of these nodes have one and the same chain. */
export const haveSameBlocks = (nodes: readonly SimNode[], { checker: { reader } }: World): boolean =>
  new Set(nodes.map(({ id, disk }) => reader.full(id, disk).chain.at(-1))).size <= 1

/**
 * Once a run, at a moment at which the validator reaches every honest full node, one of them has its last
 * ack and one its blocks: then it must find out what it acked, although it is as faulty as it ever may be by 2m > n + f.
 */
export function createDiskLoss(world: World, random: Random, end: number): DiskLoss {
  const { loop, network, nodes, checker, plan } = world
  let settledAt = loop.now
  const validators = nodes.filter(({ kind }) => kind === 'validator')
  const full = nodes.filter(({ kind }) => kind === 'validator' || kind === 'authority')
  const backups = new Map(validators.map((node) => [node, createDisk(loop, random)]))
  const isLost = random.chance(0.5)

  function isCalm(node: SimNode): boolean {
    const others = full.filter((other) => other !== node)
    if (node.port === undefined || !others.every(({ id }) => network.isCalm(node.id, id))) return false
    return lastAckIsKnown(node, world) === true && isCopied(node, world)
  }

  /** Its chain is another one than it has acked: who forgot that would ack this one. */
  function isBoundElsewhere(node: SimNode): boolean {
    const { ownVote, finalHeight, chain } = checker.reader.full(node.id, node.disk)
    if (ownVote === undefined || ownVote.height <= finalHeight) return false
    const block = chain[ownVote.height]
    return block !== undefined && block.hash !== ownVote.header_hash
  }

  function look(): void {
    const isLastChance = loop.now + SETTLE_MS + LOOK_EVERY_MS > end
    const calm = validators.filter(isCalm)
    const node = calm.find(isBoundElsewhere) ?? (isLastChance ? calm[0] : undefined)
    if (node !== undefined) lose(node)
    else if (!isLastChance) loop.schedule(LOOK_EVERY_MS, look)
  }

  function lose(node: SimNode): void {
    settledAt = loop.now + SETTLE_MS
    world.crash(node)
    node.disk.copyFrom((isLost ? undefined : backups.get(node)) ?? createDisk(loop, random))
    checker.storesLost(node.id)
    loop.schedule(AWAY_MS, () => world.background(world.start(node)))
  }

  if (plan.finality.policy === 'validators') {
    const savedMs = random.between(10_000, 40_000)
    loop.schedule(savedMs, () => backups.forEach((backup, node) => backup.copyFrom(node.disk)))
    loop.schedule(savedMs + random.between(5_000, 20_000), look)
  }
  return { isSettling: () => loop.now < settledAt }
}
