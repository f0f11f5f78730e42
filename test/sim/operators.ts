import type { Member } from './model.ts'
import { keyWith } from './plan.ts'
import type { World } from './world.ts'

/**
 * Who runs a validator or a household puts the key file in place that the registry has for it: where its acks count, once the
 * block that says so is final somewhere, because the old key is still asked for before.
 *
 * @param chance that one of them does so now
 * @returns whether any did
 */
export function changeKeys(world: World, chance: number): boolean {
  const { nodes, checker, random } = world
  const full = nodes.filter(({ kind }) => kind === 'validator').map(({ id, disk }) => checker.reader.full(id, disk))
  const furthest = full.reduce((best, next) => (next.finalHeight > best.finalHeight ? next : best))
  const final = furthest.chain[furthest.finalHeight]?.after
  const newest = furthest.chain.at(-1)?.after
  const counts = ({ role }: Member): boolean => newest?.finality.policy === (role === 'voter' ? 'votes' : 'validators')
  let isChanged = false
  for (const node of nodes) {
    const present = newest?.byId.get(node.id)
    const member = present && counts(present) ? final?.byId.get(node.id) : present
    const key = member?.active === true ? keyWith(member.key) : undefined
    if (node.port === undefined || key === undefined || key === node.key || !random.chance(chance)) continue
    isChanged = true
    node.key = key
    world.crash(node)
    world.background(world.start(node))
  }
  return isChanged
}
