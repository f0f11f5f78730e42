import type { AuthorityEngine } from '../../src/node/authority-engine.ts'
import type { ValidatorEngine } from '../../src/node/validator-engine.ts'
import type { HighWater } from '../../src/ports/high-water.ts'
import type { Logger } from '../../src/ports/logger.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { TestKey } from '../helpers/sign-now.ts'
import { createAdversary, MALLORY, type Adversary } from './adversary.ts'
import { createChanges, type Changes } from './changes.ts'
import { Checker, type Checked } from './checker.ts'
import { createDisk, type Disk } from './disk.ts'
import { startFace, type Face } from './face.ts'
import { createLease, type Lease } from './lease.ts'
import { createLoop, settled, type Loop } from './loop.ts'
import { Model } from './model.ts'
import { createNetwork, type Port, type SimNetwork } from './network.ts'
import { createHighWater, startAuthority, startLight, startValidator } from './nodes.ts'
import { honestVoters, keyOf, keyOfHolder, MINER, planOf, START, type Plan } from './plan.ts'
import { createRandom, type Random } from './random.ts'
import { BROKEN, openSimSql, type SimSql } from './sql.ts'
import { Violation } from './violation.ts'

/** A node that can crash and come again; its disk stays. */
export interface SimNode {
  readonly id: string
  readonly disk: Disk
  readonly kind: Checked['kind'] | 'face'
  /** The key file of a validator or a household; null: it follows and does not vote. */
  key: TestKey | null
  /** What its clock is ahead. */
  skewMs: number
  /** Of an authority: the file beside its key. */
  readonly highWater: HighWater
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
  /** The honest authorities, the validators and the faces of a dishonest authority, while they run. */
  readonly authorities: ReadonlyMap<string, AuthorityEngine>
  readonly validators: ReadonlyMap<string, ValidatorEngine>
  readonly faces: ReadonlyMap<string, Face>
  /** The database of the honest authorities, and the lock of who leads where there are two. */
  readonly sql: SimSql | undefined
  readonly lease: Lease | undefined
  /** The first thing that went wrong outside of a step's own check. */
  failure: Error | undefined
  /** Operators have allowed what they had not allowed before: known to those who start from now on. */
  allowAll(): void
  /** Resolves when the node runs, or has crashed while it was starting. */
  start(node: SimNode): Promise<void>
  crash(node: SimNode): void
  /** A light node that nobody has seen before, with links to full nodes. */
  addLight(id: string): SimNode
  /** What is asked of a node that crashes meanwhile is not answered: `undefined`. */
  unlessGone<T>(id: string, task: Promise<T>): Promise<T | undefined>
  /** Goes on by itself: what fails in it fails the run. */
  background(task: Promise<unknown>): void
  /** Unix milliseconds by the platform's clock, which is that of an honest authority's machine. */
  platformTime(): number
  /** Runs, and checks after every step, until this is done: whatever it waits for needs time to pass. */
  until<T>(task: Promise<T>): Promise<T>
  /** Runs for this long, and checks after every step. */
  run(durationMs: number): Promise<void>
  close(): Promise<void>
}

const RESTART_MS = 1_000
const UNTIL_STEP_MS = 10
const UNTIL_LIMIT_MS = 60_000

export interface WorldOptions {
  /** Hears what nodes log. */
  readonly onLog: (node: string, message: string, fields: object) => void
}

export async function createWorld(seed: number, { onLog }: WorldOptions): Promise<World> {
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
  const isShared = plan.authorities.length > 1
  const sql = plan.isTwoFaced ? undefined : await openSimSql(loop, random, isShared)
  const lease = sql !== undefined && isShared ? createLease(loop, random) : undefined
  const authorities = new Map<string, AuthorityEngine>()
  const validators = new Map<string, ValidatorEngine>()
  const checkedOf = ({ id, kind, disk }: SimNode): Checked => ({
    id,
    kind: kind === 'face' ? 'validator' : kind,
    disk,
    told: () => (authorities.get(id) ?? validators.get(id))?.finalizer.finalHeight,
    ...(kind === 'authority' && sql !== undefined && { ledger: () => sql.mirror }),
  })
  const checked = nodes.filter(({ kind }) => kind !== 'face').map(checkedOf)
  const checker = new Checker({
    model,
    nodes: checked,
    faces: nodes.filter(({ kind }) => kind === 'face'),
    honest: new Set([...honestVoters(plan), ...(plan.isTwoFaced ? [] : [MINER])]),
    oneSealer: !plan.isTwoFaced,
    oneFinalBlock: !(plan.isTwoFaced && plan.finality.policy === 'authority'),
    isAllowed: (hash) => changes.allowed.includes(hash),
    isCalm: (a, b) => network.isCalm(a, b),
    now: () => loop.now,
  })
  linkAll(plan, nodes, network, random)
  const faces = new Map<string, Face>()
  const ends = new Map<Port, () => void>()

  async function start(node: SimNode): Promise<void> {
    const { id } = node
    const port = network.join(id, () => node.skewMs)
    const gone = new Promise<undefined>((resolve) => ends.set(port, () => resolve(undefined)))
    node.gone = gone
    node.port = port
    const started = await Promise.race([startEngine(node, port).catch(unlessBroken), gone])
    if (node.port !== port) return
    if (started === 'broken') {
      // Whoever keeps it running starts it again.
      world.crash(node)
      await new Promise<void>((resolve) => void loop.schedule(RESTART_MS, resolve))
      await start(node)
      return
    }
    if (started?.face !== undefined) faces.set(id, started.face)
    if (started?.authority !== undefined) authorities.set(id, started.authority)
    if (started?.validator !== undefined) validators.set(id, started.validator)
  }

  async function startEngine({ id, disk, kind, key, highWater }: SimNode, port: Port): Promise<Started> {
    const randomBytes = (length: number): Uint8Array => random.bytes(length)
    const parts = { genesis: plan.genesis, port, disk, logger: loggerOf(id, fault, onLog), randomBytes }
    const minerKey = (publicKey: string) => keyOfHolder(MINER, publicKey)
    switch (kind) {
      case 'validator': {
        const named = plan.validators.filter((other) => other !== id)
        const own = { key: key ?? keyOf(id), allowedChanges: changes.allowed, named }
        return { validator: await startValidator({ ...parts, ...own }) }
      }
      case 'light':
        await startLight({ ...parts, key })
        return {}
      case 'face':
        return {
          face: await startFace({ ...parts, minerId: MINER, keyOf: minerKey, liesAboutFinality: id === 'face-1' }),
        }
      case 'authority': {
        if (sql === undefined) throw new Error('an honest authority has SQL')
        const shareLead = (mayLead: () => boolean) => Promise.resolve(lease?.join(port, mayLead))
        const keyOf = (publicKey: string) => Promise.resolve(minerKey(publicKey))
        return {
          authority: await startAuthority({ ...parts, sql: sql.connect(port), shareLead, highWater, keyOf }),
        }
      }
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
  const port = network.join(MALLORY, () => 0)
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
    authorities,
    validators,
    faces,
    sql,
    lease,
    failure: undefined,
    allowAll() {
      changes.allowAll()
    },
    start,
    crash(node) {
      node.port?.kill()
      if (node.port !== undefined) {
        ends.get(node.port)?.()
        sql?.disconnect(node.port)
        lease?.leave(node.port)
      }
      node.port = undefined
      authorities.delete(node.id)
      validators.delete(node.id)
      faces.delete(node.id)
      // LevelDB of an authority is made again from SQL; here it is read as what it has.
      node.disk.crash(node.kind !== 'authority' && random.chance(0.5))
    },
    addLight(id) {
      const node = newNode(id, 'light', loop, random)
      node.key = null
      const full = nodes.filter(({ kind }) => kind === 'validator' || kind === 'authority')
      for (const peer of random.shuffle(full).slice(0, 3)) network.link(id, peer.id)
      nodes.push(node)
      checked.push(checkedOf(node))
      return node
    },
    async unlessGone(id, task) {
      const node = nodes.find((one) => one.id === id)
      // A crash leaves nobody who hears that it failed.
      task.catch(() => undefined)
      return await Promise.race([task, node?.gone.then(() => undefined)])
    },
    background(task) {
      task.catch((error: unknown) => fail(error instanceof Error ? error : new Error(String(error))))
    },
    platformTime: () => loop.now + (nodes.find(({ kind }) => kind === 'authority')?.skewMs ?? 0),
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
      await sql?.close()
    },
  }
  return world
}

interface Started {
  readonly face?: Face
  readonly authority?: AuthorityEngine
  readonly validator?: ValidatorEngine
}

function newNode(id: string, kind: SimNode['kind'], loop: Loop, random: Random): SimNode {
  const node: SimNode = {
    id,
    kind,
    key: keyOf(id),
    skewMs: random.between(-2_000, 2_000),
    highWater: createHighWater(() => loop.now + node.skewMs),
    disk: createDisk(loop, random),
    port: undefined,
    gone: Promise.resolve(),
  }
  return node
}

function nodesOf(plan: Plan, loop: Loop, random: Random): SimNode[] {
  return [
    ...plan.authorities.map((id) => newNode(id, plan.isTwoFaced ? 'face' : 'authority', loop, random)),
    ...[...plan.validators, ...plan.joiners].map((id) => newNode(id, 'validator', loop, random)),
    ...plan.lights.map((id) => newNode(id, 'light', loop, random)),
  ]
}

/** Full nodes know each other; a light node knows some of them; the adversary is everybody's peer. */
function linkAll(plan: Plan, nodes: readonly SimNode[], network: SimNetwork, random: Random): void {
  const full = nodes.filter(({ kind }) => kind !== 'light').map(({ id }) => id)
  for (const [index, a] of full.entries()) {
    for (const b of full.slice(index + 1)) {
      const areFaces = plan.isTwoFaced && plan.authorities.includes(a) && plan.authorities.includes(b)
      if (!areFaces) network.link(a, b)
    }
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
  !isSolarError(error) || error.code === 'corrupt' || (error.code === 'store_failed' && !isBroken(error))

/** A start that the database has broken off. */
function unlessBroken(error: unknown): 'broken' {
  if (!isBroken(error)) throw error
  return 'broken'
}

/** True for a connection to the database that the simulation has broken. */
export const isBroken = (error: unknown): boolean => error instanceof Error && error.message.includes(BROKEN)
