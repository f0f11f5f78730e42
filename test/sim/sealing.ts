import type { Block, CommittedTick } from '../../src/protocol/block.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { RegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import type { Transaction } from '../../src/protocol/transaction.ts'
import type { Face } from './face.ts'
import type { KnownBlock } from './model.ts'
import { createPlatform, type Platform } from './platform.ts'
import type { World } from './world.ts'

/** What the authority does with a tick: seal it, or seal two of them, one on each of its faces. */
export interface Sealing {
  /** The next tick, or none. */
  tick(): void
  /** The faces both go on from this chain. */
  unite(chain: readonly KnownBlock[]): Promise<void>
  /** What it is asked to seal. */
  readonly platform: Platform
  /** From now on it is honest: one chain, and no change of the registry but the enrolment of who still has to join. */
  behave(): void
}

/** The joiner is enrolled with the first tick after a while: by then its node may run, or be started later. */
const JOIN_MS = [5_000, 50_000] as const

export function createSealing(world: World): Sealing {
  const { plan, loop, random, model, changes } = world
  const joinsAt = loop.now + random.between(...JOIN_MS)
  const platform = createPlatform(world)
  let isHonest = false
  let uniting = Promise.resolve()

  /** What the community would not bear is refused by the registry: no tick then. */
  const unlessRefused = (error: unknown): void => {
    if (!isSolarError(error, 'registry_refused') && !isSolarError(error, 'not_ready')) throw error
  }

  function tradeTick(tip: KnownBlock | undefined): CommittedTick {
    const tick_id = platform.nextId()
    const nonce = () => Buffer.from(random.bytes(16)).toString('hex')
    const transactions = platform.rows(tick_id, tip).map((row) => ({ ...row, tick_id, nonce: nonce() }))
    return { tick_id, timestamp: loop.now, transactions }
  }

  const registryTick = (transactions: readonly Transaction[]): CommittedTick => ({
    tick_id: transactions[0]?.tick_id ?? '',
    timestamp: loop.now,
    transactions,
  })

  /** A change of the registry on top of a block, if one is made now. */
  function nextChange(tip: KnownBlock | undefined): readonly RegistryTransaction[] | undefined {
    if (tip === undefined) return undefined
    const members = tip.after
    const joining = loop.now < joinsAt ? undefined : changes.join(members, loop.now)
    if (joining !== undefined || isHonest || random.chance(0.6)) return joining
    if (plan.isTwoFaced && members.finality.policy === 'validators' && random.chance(0.3)) {
      return changes.capture(members, loop.now)
    }
    return changes.next(members, loop.now)
  }

  /** The next tick on top of a block. */
  function nextTick(tip: KnownBlock | undefined): CommittedTick {
    const change = nextChange(tip)
    return change === undefined ? tradeTick(tip) : registryTick(change)
  }

  async function sealHonestly(): Promise<void> {
    const tip = highest([...model.blocks.values()])
    const change = nextChange(tip)
    if (change !== undefined) {
      for (const transaction of change) await platform.register(transaction)
      return
    }
    const tick_id = platform.nextId()
    const transactions = platform.rows(tick_id, tip)
    await platform.post({ tick_id, timestamp: world.platformTime(), transactions })
  }

  async function sealWithTwoFaces(): Promise<void> {
    const [one, other] = plan.authorities.map((id) => world.faces.get(id))
    const isUnited = one?.tip?.hash === other?.tip?.hash
    if (one !== undefined && other !== undefined && isUnited && (isHonest || random.chance(0.5))) {
      const block = await seal(one)
      if (block !== undefined) await world.unlessGone(other.id, other.take(block))
      return
    }
    for (const face of [one, other]) if (face !== undefined && (isHonest || random.chance(0.65))) await seal(face)
    if (!isHonest && !isUnited && random.chance(0.12)) await adopt()
  }

  const seal = (face: Face): Promise<Block | undefined> =>
    world.unlessGone(face.id, face.seal(nextTick(model.blocks.get(face.tip?.hash ?? ''))))

  /** One face gives its chain up for that of the other, or both for that of a validator. */
  async function adopt(): Promise<void> {
    const faces = world.nodes.filter(({ id }) => world.faces.has(id))
    const sources = world.nodes.filter(({ kind, id }) => kind === 'validator' || world.faces.has(id))
    const source = random.pick(sources)
    for (const face of faces) {
      if (face === source) continue
      world.crash(face)
      face.disk.copyFrom(source.disk)
      await world.start(face)
    }
  }

  return {
    tick() {
      uniting = uniting.then(plan.isTwoFaced ? sealWithTwoFaces : sealHonestly)
      const sealed = uniting
      uniting = sealed.catch(() => undefined)
      world.background(sealed.catch(unlessRefused))
    },
    async unite(chain) {
      await uniting
      const source = world.nodes.find(
        ({ kind, id, disk }) =>
          kind === 'validator' && world.checker.reader.full(id, disk).chain.at(-1) === chain.at(-1),
      )
      for (const face of world.nodes.filter(({ kind }) => kind === 'face')) {
        if (source === undefined) return
        world.crash(face)
        face.disk.copyFrom(source.disk)
        await world.start(face)
      }
    },
    behave() {
      isHonest = true
    },
    platform,
  }
}

const highest = (blocks: readonly KnownBlock[]): KnownBlock | undefined =>
  blocks.reduce<KnownBlock | undefined>((best, next) => (best && best.height >= next.height ? best : next), undefined)
