/**
 * A whole authority as a process that kills itself at one step of a tick. It loads first and waits for its command on
 * standard input, so that a process that is ready can take over from one that was killed.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import type { ChainStore } from '../../../src/ports/chain-store.ts'
import type { Gossip } from '../../../src/ports/gossip.ts'
import { silentLogger, type Logger } from '../../../src/ports/logger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import type { PlannedKill, ProcessEvent, StartCommand, Step } from './steps.ts'

type Reach = (step: Step) => void

/** Written at once: a killed process flushes nothing. */
const say = (event: ProcessEvent): void => void writeSync(1, `${JSON.stringify(event)}\n`)

function killAt(planned: PlannedKill | null): Reach {
  let left = planned?.occurrence ?? 0
  return (step) => {
    if (step !== planned?.step || --left > 0) return
    say({ event: 'killed', step })
    process.kill(process.pid, 'SIGKILL')
    // Not one instruction more, should the signal take a moment.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }
}

async function between<T>(reach: Reach, before: Step | null, work: () => Promise<T>, after: Step): Promise<T> {
  if (before !== null) reach(before)
  const result = await work()
  reach(after)
  return result
}

const killingStore = (store: MarketStore, reach: Reach): MarketStore => ({
  ...store,
  commitTick: (tick) => between(reach, 'before commit', () => store.commitTick(tick), 'after commit'),
  fence: (row) => between(reach, 'before fence', () => store.fence(row), 'after fence'),
  finishOutboxRow: (...row) =>
    between(reach, 'before row is done', () => store.finishOutboxRow(...row), 'after row is done'),
  restoreBlock: (...block) => between(reach, 'before restore', () => store.restoreBlock(...block), 'after restore'),
})

const killingChainStore = (store: ChainStore, reach: Reach): ChainStore => ({
  ...store,
  append: (...block) => between(reach, null, () => store.append(...block), 'after append'),
})

const killingGossip = (gossip: Gossip, reach: Reach): Gossip => ({
  ...gossip,
  publish: (topic, payload) =>
    topic === 'headers'
      ? between(reach, 'before publish', () => gossip.publish(topic, payload), 'after publish')
      : gossip.publish(topic, payload),
})

/** Warnings and errors, for whoever looks into a failed test. */
const logger: Logger = {
  ...silentLogger,
  warn: (fields, message) => console.error('warn', message, fields),
  error: (fields, message) => console.error('error', message, fields),
}

async function start({ flags, kill }: StartCommand): Promise<AuthorityNode> {
  const reach = killAt(kill)
  const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), {
    logger,
    wrapMarketStore: (store) => killingStore(store, reach),
    wrapChainStore: (store) => killingChainStore(store, reach),
    wrapGossip: (gossip) => killingGossip(gossip, reach),
  })
  const { tipHeight } = await node.start()
  say({ event: 'started', tipHeight })
  return node
}

let node: Promise<AuthorityNode> | undefined
const input = createInterface({ input: process.stdin })
input.once('line', (line) => {
  node = start(JSON.parse(line) as StartCommand)
  node.catch((error: unknown) => {
    say({ event: 'refused', message: String(error) })
    process.exit(1)
  })
})
// The test that started this process is gone.
input.once('close', () => process.exit(1))
process.once('SIGTERM', () => {
  void Promise.resolve(node)
    .then((started) => started?.stop())
    .then(() => process.exit(0))
})
say({ event: 'loaded' })
