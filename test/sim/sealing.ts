import type { PlatformTick } from '../../src/ports/ledger.ts'
import type { Block, CommittedTick } from '../../src/protocol/block.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { Transaction } from '../../src/protocol/transaction.ts'
import type { Face } from './face.ts'
import type { KnownBlock } from './model.ts'
import type { World } from './world.ts'

/** What the authority does with a tick: seal it, or seal two of them, one on each of its faces. */
export interface Sealing {
  /** The next tick, or none. */
  tick(): void
  /** The faces both go on from this chain. */
  unite(chain: readonly KnownBlock[]): Promise<void>
  /** From now on it is honest: one chain, and no change of the registry. */
  behave(): void
}

export function createSealing(world: World): Sealing {
  const { plan, loop, random, model, changes } = world
  let count = 0
  let isHonest = false
  let uniting = Promise.resolve()

  /** What is asked of a node that crashes meanwhile is not answered. */
  const unlessGone = async <T>(id: string, task: Promise<T>): Promise<T | undefined> => {
    const node = world.nodes.find((one) => one.id === id)
    return await Promise.race([task, node?.gone.then(() => undefined)])
  }

  const background = (task: Promise<unknown>): void => {
    task.catch((error: unknown) => {
      // What the community would not bear is refused by the registry: no tick then.
      if (isSolarError(error, 'registry_refused') || isSolarError(error, 'not_ready')) return
      world.failure ??= error instanceof Error ? error : new Error(String(error))
    })
  }

  function trade(tickId: string, index: number): Omit<Extract<Transaction, { kind: 'trade' }>, 'tick_id' | 'nonce'> {
    const [from_user_id = 'ann', to_user_id = 'ben'] = random.shuffle([...plan.lights, 'ann', 'ben'])
    const money = { kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3' }
    return { kind: 'trade', id: `${tickId}.${index}`, from_user_id, to_user_id, ...money, timestamp: loop.now }
  }

  function platformTick(): PlatformTick {
    const tick_id = `t${count++}`
    const rows = Array.from({ length: random.between(1, 3) }, (_, index) => trade(tick_id, index))
    return { tick_id, timestamp: loop.now, transactions: rows }
  }

  function tradeTick(): CommittedTick {
    const { tick_id, timestamp, transactions } = platformTick()
    const nonce = () => Buffer.from(random.bytes(16)).toString('hex')
    return { tick_id, timestamp, transactions: transactions.map((row) => ({ ...row, tick_id, nonce: nonce() })) }
  }

  const registryTick = (transactions: readonly Transaction[]): CommittedTick => ({
    tick_id: transactions[0]?.tick_id ?? '',
    timestamp: loop.now,
    transactions,
  })

  /** The next tick on top of a block. */
  function nextTick(tip: KnownBlock | undefined): CommittedTick {
    const members = tip?.after
    if (isHonest || members === undefined || random.chance(0.75)) return tradeTick()
    const { finality } = members
    if (plan.isTwoFaced && finality.policy === 'validators' && random.chance(0.3)) {
      return registryTick(changes.capture(members, loop.now))
    }
    const change = changes.next(members, loop.now)
    return change === undefined ? tradeTick() : registryTick(change)
  }

  async function sealHonestly(): Promise<void> {
    const ledger = world.ledgers.get('authority')
    if (ledger === undefined) return
    const [latest] = (await unlessGone('authority', ledger.latestHeaders(1)))?.headers ?? []
    const tick = nextTick(model.blocks.get(latest?.header_hash ?? ''))
    const [first] = tick.transactions
    if (first?.kind === 'registry') await unlessGone('authority', ledger.register(first, undefined))
    else {
      const posted = { ...tick, transactions: tick.transactions.map(withoutTick) }
      await unlessGone('authority', ledger.acceptTick(posted))
    }
  }

  async function sealWithTwoFaces(): Promise<void> {
    const [one, other] = plan.authorities.map((id) => world.faces.get(id))
    const isUnited = one?.tip?.hash === other?.tip?.hash
    if (one !== undefined && other !== undefined && isUnited && (isHonest || random.chance(0.5))) {
      const block = await seal(one)
      if (block !== undefined) await unlessGone(other.id, other.take(block))
      return
    }
    for (const face of [one, other]) if (face !== undefined && (isHonest || random.chance(0.65))) await seal(face)
    if (!isHonest && !isUnited && random.chance(0.12)) await adopt()
  }

  const seal = (face: Face): Promise<Block | undefined> =>
    unlessGone(face.id, face.seal(nextTick(model.blocks.get(face.tip?.hash ?? ''))))

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
      background(sealed)
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
  }
}

/** A row as a platform posts it. */
function withoutTick(tx: Transaction): PlatformTick['transactions'][number] {
  if (tx.kind !== 'trade') throw new Error('a tick of the platform has trades')
  const { kind, id, from_user_id, to_user_id, kwh, price_per_kwh, total_amount, timestamp } = tx
  return { kind, id, from_user_id, to_user_id, kwh, price_per_kwh, total_amount, timestamp }
}
