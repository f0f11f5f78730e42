import type { SimNode, World } from './world.ts'

/** What goes wrong in a run: links that fail, and nodes that crash and come again. */
export interface Faults {
  /** One more fault, by chance. */
  strike(): void
  /** Nothing is wrong any more, and nothing goes wrong again. */
  heal(): Promise<void>
}

export function createFaults(world: World): Faults {
  const { loop, random, network, nodes } = world
  const crashed = new Set<SimNode>()
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
    const node = random.pick(running)
    crashed.add(node)
    world.crash(node)
    later(random.between(500, 25_000), () => void restart(node))
  }

  async function restart(node: SimNode): Promise<void> {
    crashed.delete(node)
    try {
      await world.start(node)
    } catch (error) {
      world.failure ??= error instanceof Error ? error : new Error(String(error))
    }
  }

  return {
    strike() {
      random.pick([partition, partition, spoilLink, spoilLink, spoilLink, crash, crash])()
    },
    async heal() {
      isOver = true
      for (const [a, b] of network.links) mend(a, b)
      await world.until(Promise.all([...crashed].map(restart)))
    },
  }
}
