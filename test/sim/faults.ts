import { haveSameBlocks, isCopied } from './disk-loss.ts'
import type { Disk } from './disk.ts'
import type { SimNode, World } from './world.ts'

/** What goes wrong in a run: links that fail, nodes that crash and come again, clocks, disks and databases that are not what they were. */
export interface Faults {
  /** One more fault, by chance. */
  strike(): void
  /** Nothing is wrong any more, and nothing goes wrong again. */
  heal(): Promise<void>
}

export function createFaults(world: World): Faults {
  const { loop, random, network, nodes } = world
  const crashed = new Set<SimNode>()
  const authorities = nodes.filter(({ kind }) => kind === 'authority')
  /** As of the last backup of the database. */
  const copies = new Map<SimNode, Pick<Disk, 'entries'>>()
  let isOver = false

  const later = (delayMs: number, task: () => void): void => {
    loop.schedule(delayMs, () => {
      if (!isOver) task()
    })
  }

  function mend(a: string, b: string): void {
    network.setLink(a, b, { state: 'up', loss: 0, delayMs: 60 })
  }

  /** Two groups that do not reach each other; each has about half of the authority's faces. */
  function partition(): void {
    const group = new Set(
      random.some(
        nodes.map(({ id }) => id),
        0.5,
      ),
    )
    if (world.faces.size === 2) group.delete('face-1')
    if (world.faces.size === 2) group.add('face-0')
    const cut = network.links.filter(([a, b]) => group.has(a) !== group.has(b))
    const state = random.chance(0.6) ? 'down' : 'silent'
    for (const [a, b] of cut) network.setLink(a, b, { state })
    later(random.between(5_000, 45_000), () => cut.forEach(([a, b]) => mend(a, b)))
  }

  function spoilLink(): void {
    const [a, b] = random.pick(network.links)
    const trouble = random.pick([
      { state: 'silent' },
      { state: 'down' },
      { loss: 0.3 },
      { delayMs: 6_000 },
      { loss: 0.1, delayMs: 2_000 },
    ] as const)
    network.setLink(a, b, trouble)
    later(random.between(2_000, 40_000), () => mend(a, b))
  }

  function crash(): void {
    const running = nodes.filter((node) => node.port !== undefined && !crashed.has(node))
    if (running.length < 2) return
    stop(random.pick(running), 25_000)
  }

  function stop(node: SimNode, longestMs: number): void {
    crashed.add(node)
    world.crash(node)
    later(random.between(500, longestMs), () => world.background(restart(node)))
  }

  function backUp(): void {
    world.sql?.backUp()
    for (const node of authorities) copies.set(node, { entries: new Map(node.disk.entries) })
  }

  /**
   * Authorities are stopped, and the last backup of their database takes its place; now and then their blocks are older too,
   * if somebody else has all of them: what nobody has nobody can bring back. Of several authorities any may start first, and
   * alone: then each has all blocks.
   */
  async function putOlderBack(): Promise<void> {
    if (copies.size === 0 || authorities.some((node) => !world.authorities.has(node.id))) return
    for (const { runner } of world.authorities.values()) await runner.idle()
    if (isOver || authorities.some((node) => crashed.has(node)) || !haveSameBlocks(authorities, world)) return
    for (const node of authorities) stop(node, 10_000)
    await world.sql?.restore()
    for (const node of authorities) {
      world.checker.storesLost(node.id)
      const copy = copies.get(node)
      if (copy !== undefined && random.chance(0.4) && isCopied(node, world)) node.disk.copyFrom(copy)
    }
  }

  /** The clock of the authorities' machine is an hour off for a while. */
  function spoilClock(): void {
    const offMs = random.pick([-3_600_000, 3_600_000, 3_600_000])
    for (const node of authorities) node.skewMs += offMs
    later(random.between(5_000, 40_000), () => {
      for (const node of authorities) node.skewMs -= offMs
    })
  }

  /** A validator loses all that it had, if somebody else has its blocks. On two branches it would be one more faulty one. */
  function loseDisk(): void {
    const running = nodes.filter(
      (node) => node.kind === 'validator' && node.port !== undefined && isCopied(node, world),
    )
    if (running.length === 0) return
    const node = random.pick(running)
    stop(node, 10_000)
    node.disk.copyFrom({ entries: new Map() })
    world.checker.storesLost(node.id)
  }

  const usual = [partition, partition, spoilLink, spoilLink, spoilLink, crash, crash]
  const ofStores = [backUp, () => world.background(putOlderBack()), spoilClock, loseDisk, () => world.lease?.depose()]

  async function restart(node: SimNode): Promise<void> {
    crashed.delete(node)
    await world.start(node)
  }

  return {
    strike() {
      random.pick(world.plan.isTwoFaced || random.chance(0.6) ? usual : ofStores)()
    },
    async heal() {
      isOver = true
      world.sql?.behave()
      for (const node of authorities) node.skewMs = 0
      for (const [a, b] of network.links) mend(a, b)
      await world.until(Promise.all([...crashed].map(restart)))
    },
  }
}
