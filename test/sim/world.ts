import type { Ledger } from '../../src/ports/ledger.ts'
import type { Logger } from '../../src/ports/logger.ts'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { Evidence } from '../../src/protocol/evidence.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { openSqlite } from '../../src/storage/sql/sqlite.ts'
import { createAdversary, MALLORY, type Adversary } from './adversary.ts'
import { AUTHORITY_KEYS, createChanges, type Changes } from './changes.ts'
import { Checker, type Checked, type SqlMirror } from './checker.ts'
import { createDisk, type Disk } from './disk.ts'
import { startFace, type Face } from './face.ts'
import { createLoop, settled, type Loop } from './loop.ts'
import { Model } from './model.ts'
import { createNetwork, type Port, type SimNetwork } from './network.ts'
import { startAuthority, startLight, startValidator } from './nodes.ts'
import { keyOf, MINER, planOf, START, type Plan } from './plan.ts'
import { createRandom, type Random } from './random.ts'
import { Violation, type Invariant } from './violation.ts'

/** A node that can crash and come again; its disk stays. */
export interface SimNode {
  readonly id: string
  readonly disk: Disk
  readonly kind: Checked['kind'] | 'face'
  port: Port | undefined
  /** Resolves when the life that it has now ends in a crash. */
  gone: Promise<void>
}

/** Everything of one run. */
export interface World {
  readonly plan: Plan
  readonly loop: Loop
  readonly random: Random
  readonly network: SimNetwork
  readonly model: Model
  readonly checker: Checker
  readonly changes: Changes
  readonly adversary: Adversary
  readonly nodes: readonly SimNode[]
  /** The honest authority and the faces of a dishonest one, while they run. */
  readonly ledgers: ReadonlyMap<string, Ledger>
  readonly faces: ReadonlyMap<string, Face>
  /** The first thing that went wrong outside of a step's own check. */
  failure: Error | undefined
  /** Operators have allowed what they had not allowed before: known to those who start from now on. */
  allowAll(): void
  /** Resolves when the node runs, or has crashed while it was starting. */
  start(node: SimNode): Promise<void>
  crash(node: SimNode): void
  /** Runs, and checks after every step, until this is done: whatever it waits for needs time to pass. */
  until<T>(task: Promise<T>): Promise<T>
  /** Runs for this long, and checks after every step. */
  run(durationMs: number): Promise<void>
  close(): Promise<void>
}

const UNTIL_STEP_MS = 10
const UNTIL_LIMIT_MS = 60_000

export interface WorldOptions {
  /** Invariants that are not looked at. */
  readonly ignored: ReadonlySet<Invariant>
  /** Hears what nodes log. */
  readonly onLog: (node: string, message: string, fields: object) => void
}

export async function createWorld(seed: number, { ignored, onLog }: WorldOptions): Promise<World> {
  const random = createRandom(seed)
  const plan = planOf(seed, random)
  const loop = createLoop(START + 60_000)
  const model = new Model(plan.genesis)
  const fail = (error: Error): void => void (world.failure ??= error)
  const fault = (node: string, what: string, error: unknown): void => {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    fail(new Violation('no node has a fault', `${node}, ${what}: ${detail}`))
  }
  const nodes = nodesOf(plan, loop, random)
  const kindOf = new Map(nodes.map(({ id, kind }) => [id, kind]))
  const isHonest = (id: string): boolean => id !== MALLORY && kindOf.get(id) !== 'face'
  const network = createNetwork(loop, random, {
    onReject(topic, by, from, payload) {
      if (!isHonest(from) || !isHonest(by)) return
      const text = new TextDecoder().decode(payload)
      fail(new Violation('no honest node is scored down', `${by} rejects what ${from} passed on (${topic}): ${text}`))
    },
    onFault: (node, what, error) => {
      if (isHonest(node)) fault(node, what, error)
    },
  })
  const changes = createChanges(plan, model.chainId, random)
  const sql = plan.isTwoFaced ? undefined : await openMirroredSql()
  const honest = nodes.filter(({ kind }) => kind !== 'face')
  const checker = new Checker({
    model,
    nodes: honest.map(({ id, kind, disk }) => ({
      id,
      kind: kind === 'face' ? 'validator' : kind,
      disk,
      ...(kind === 'authority' && sql !== undefined && { ledger: sql.mirror }),
    })),
    faces: nodes.filter(({ kind }) => kind === 'face'),
    honest: new Set([...plan.validators, ...plan.lights, ...(plan.isTwoFaced ? [] : [MINER])]),
    oneFinalBlock: !(plan.isTwoFaced && plan.finality.policy === 'authority'),
    isAllowed: (hash) => changes.allowed.includes(hash),
    ignored,
    isCalm: (a, b) => network.isCalm(a, b),
    now: () => loop.now,
  })
  linkAll(plan, nodes, network, random)
  const skews = new Map(nodes.map(({ id }) => [id, random.between(-2_000, 2_000)]))
  const ledgers = new Map<string, Ledger>()
  const faces = new Map<string, Face>()
  const ends = new Map<Port, () => void>()

  async function start(node: SimNode): Promise<void> {
    const { id } = node
    const port = network.join(id, skews.get(id) ?? 0)
    const gone = new Promise<undefined>((resolve) => ends.set(port, () => resolve(undefined)))
    node.gone = gone
    node.port = port
    const started = await Promise.race([startEngine(node, port), gone])
    if (node.port !== port) return
    if (started?.face !== undefined) faces.set(id, started.face)
    if (started?.ledger !== undefined) ledgers.set(id, started.ledger)
  }

  async function startEngine(
    { id, disk, kind }: SimNode,
    port: Port,
  ): Promise<{ readonly face?: Face; readonly ledger?: Ledger }> {
    const randomBytes = (length: number): Uint8Array => random.bytes(length)
    const parts = { genesis: plan.genesis, port, disk, logger: loggerOf(id, fault, onLog), randomBytes }
    switch (kind) {
      case 'validator':
        await startValidator({
          ...parts,
          key: keyOf(id),
          allowedChanges: changes.allowed,
          named: plan.validators.filter((other) => other !== id),
        })
        return {}
      case 'light':
        await startLight({ ...parts, key: keyOf(id) })
        return {}
      case 'face':
        return {
          face: await startFace({ ...parts, minerId: MINER, keys: AUTHORITY_KEYS, liesAboutFinality: id === 'face-1' }),
        }
      case 'authority':
        if (sql === undefined) throw new Error('an honest authority has SQL')
        return { ledger: await startAuthority({ ...parts, sql: sql.store, minerId: MINER, keys: AUTHORITY_KEYS }) }
    }
  }

  async function run(durationMs: number): Promise<void> {
    await settled()
    await loop.run(loop.now + durationMs, () => {
      checker.check()
      adversary.act()
      if (world.failure !== undefined) throw world.failure
    })
  }

  const targets = nodes.filter(({ kind }) => kind !== 'light').map(({ id }) => id)
  const port = network.join(MALLORY, 0)
  const adversary = createAdversary({ plan, model, network, port, loop, random, targets })
  const world: World = {
    plan,
    loop,
    random,
    network,
    model,
    checker,
    adversary,
    changes,
    nodes,
    ledgers,
    faces,
    failure: undefined,
    allowAll() {
      changes.allowAll()
    },
    start,
    crash(node) {
      node.port?.kill()
      if (node.port !== undefined) ends.get(node.port)?.()
      node.port = undefined
      ledgers.delete(node.id)
      faces.delete(node.id)
      // LevelDB of an authority is made again from SQL; here it is read as what it has.
      node.disk.crash(node.kind !== 'authority' && random.chance(0.5))
    },
    run,
    async until(task) {
      const done = Symbol('done')
      const ended = task.then(
        () => done,
        () => done,
      )
      for (let waited = 0; (await Promise.race([ended, settled()])) !== done; waited += UNTIL_STEP_MS) {
        if (waited > UNTIL_LIMIT_MS) throw new Violation('no node has a fault', 'something waits for ever')
        await run(UNTIL_STEP_MS)
      }
      return await task
    },
    async close() {
      for (const { port: open } of nodes) open?.kill()
      await settled()
      await sql?.store.close()
    },
  }
  return world
}

function nodesOf(plan: Plan, loop: Loop, random: Random): SimNode[] {
  const node = (id: string, kind: SimNode['kind']): SimNode => ({
    id,
    kind,
    disk: createDisk(loop, random),
    port: undefined,
    gone: Promise.resolve(),
  })
  return [
    ...plan.authorities.map((id) => node(id, plan.isTwoFaced ? 'face' : 'authority')),
    ...plan.validators.map((id) => node(id, 'validator')),
    ...plan.lights.map((id) => node(id, 'light')),
  ]
}

/** Full nodes know each other; a light node knows some of them; the adversary is everybody's peer. */
function linkAll(plan: Plan, nodes: readonly SimNode[], network: SimNetwork, random: Random): void {
  const full = nodes.filter(({ kind }) => kind !== 'light').map(({ id }) => id)
  for (const [index, a] of full.entries()) {
    for (const b of full.slice(index + 1))
      if (!plan.authorities.includes(a) || !plan.authorities.includes(b)) network.link(a, b)
  }
  for (const light of plan.lights) for (const peer of random.shuffle(full).slice(0, 3)) network.link(light, peer)
  for (const { id } of nodes) network.link(MALLORY, id)
}

/** Nodes are silent; what they could not help but log is a fault. */
function loggerOf(
  id: string,
  fault: (node: string, what: string, error: unknown) => void,
  onLog: WorldOptions['onLog'],
): Logger {
  const watch = (fields: object, message: string): void => {
    if ('error' in fields && isFault(fields.error)) fault(id, message, fields.error)
    onLog(id, message, fields)
  }
  return { debug: watch, info: watch, warn: watch, error: watch }
}

const isFault = (error: unknown): boolean =>
  !isSolarError(error) || error.code === 'corrupt' || error.code === 'store_failed'

/** SQL of an honest authority, with what is put into it beside. */
async function openMirroredSql(): Promise<{ readonly store: MarketStore; readonly mirror: SqlMirror }> {
  const store = await openSqlite(':memory:')
  const mirror = { version: 0, votes: [] as Vote[], finalHeight: -1, evidence: [] as Evidence[] }
  const finalizeUpTo = (height: number): void => {
    mirror.finalHeight = Math.max(mirror.finalHeight, height)
    mirror.version += 1
  }
  return {
    mirror,
    store: {
      ...store,
      async putVotes(votes) {
        const outcomes = await store.putVotes(votes)
        mirror.votes.push(...votes.filter((_, index) => outcomes[index]?.outcome === 'stored'))
        mirror.version += 1
        return outcomes
      },
      async fence(row) {
        await store.fence(row)
        if (row.finalized_at !== null) finalizeUpTo(row.height)
      },
      async finalizeUpTo(height, at) {
        await store.finalizeUpTo(height, at)
        finalizeUpTo(height)
      },
      async putEvidence(evidence) {
        const outcome = await store.putEvidence(evidence)
        if (outcome === 'stored') mirror.evidence.push(evidence)
        mirror.version += 1
        return outcome
      },
    },
  }
}
