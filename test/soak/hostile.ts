import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'
import { portOf } from '../helpers/network.ts'
import { createProcessNetwork, getJson, postTick, type ProcessNode } from '../helpers/process-network.ts'
import { freePorts, processGroup } from '../helpers/processes.ts'
import type { Target } from './hostile-attack.ts'

export interface HostileOptions {
  /** Of the run under attack; the floor, the same without one, takes a quarter of it. */
  readonly durationMs: number
  readonly onNote?: (note: string) => void
}

/** Milliseconds. */
export interface Times {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface Phase {
  /** From the post of an honest tick to its block. */
  readonly sealing: Times
  readonly health: Times
  /** Light nodes that say that they are live at the end. */
  readonly lightNodesLive: number
  readonly rssMiB: { readonly start: number; readonly end: number }
}

export interface HostileReport {
  readonly floor: Phase
  readonly attacked: Phase
  /** After the attack is over. */
  readonly after: { readonly isTickSealed: boolean; readonly lightNodesLive: number; readonly rssMiB: number }
}

const LIGHT_NODES = ['house-0', 'house-1', 'house-2']
const TICK_EVERY_MS = 250
/** After the start of the attack, before anything is measured. */
const SETTLE_MS = 5_000

/** An authority with light nodes that trades on while another process attacks it in every way at once. */
export async function runHostile({ durationMs, onNote = () => undefined }: HostileOptions): Promise<HostileReport> {
  const network = await createProcessNetwork({ finality: 'authority', validators: [], voters: LIGHT_NODES })
  const attackers = processGroup()
  try {
    const [wsPort = 0] = await freePorts(1)
    const authority = await network.startAuthority('authority', '--listen', `/ip4/127.0.0.1/tcp/${wsPort}/ws`)
    const { multiaddrs } = await getJson<{ multiaddrs: string[] }>(authority, '/node')
    const tcp = multiaddrs.find((address) => !address.includes('/ws')) ?? authority.address
    const token = await network.tokenOf('platform')
    await postTick(authority, token, 'first')
    const lights = await Promise.all(LIGHT_NODES.map((id) => network.startLight(id, [tcp])))
    const street = { authority, token, lights, ticks: 0 }

    onNote('floor: honest ticks alone')
    const floor = await trade(street, durationMs / 4)
    onNote(JSON.stringify(floor))

    const { headers } = await getJson<{ headers: Target['sealed'][] }>(authority, '/blocks/latest-headers/?n=1')
    const [sealed] = headers
    assert.ok(sealed !== undefined)
    const target: Target = {
      chainId: network.chainId,
      httpPort: Number(new URL(authority.url).port),
      tcpPort: portOf(tcp),
      wsPort,
      peers: multiaddrs,
      sealed,
    }
    const attack = fileURLToPath(new URL('hostile-attack.ts', import.meta.url))
    const attacker = attackers.start(['--import=tsx', attack, JSON.stringify(target)])
    await attacker.awaitLine((line) => (line === 'attacking' ? true : undefined))
    await pause(SETTLE_MS)
    onNote('under attack')
    const attacked = await trade(street, durationMs)
    onNote(JSON.stringify(attacked))
    await attackers.killAll()

    await pause(SETTLE_MS)
    await postTick(authority, token, 'last')
    const after = { isTickSealed: true, lightNodesLive: await countLive(lights), rssMiB: rssOf(authority) }
    return { floor, attacked, after }
  } finally {
    await attackers.killAll()
    await network.stop()
  }
}

interface Street {
  readonly authority: ProcessNode
  readonly token: string
  readonly lights: readonly ProcessNode[]
  ticks: number
}

/** Honest ticks, one at a time, and a look at the health of the node beside them. */
async function trade(street: Street, durationMs: number): Promise<Phase> {
  const { authority, token, lights } = street
  const until = performance.now() + durationMs
  const start = rssOf(authority)
  const measure = async (everyMs: number, what: () => Promise<unknown>): Promise<Times> => {
    const times: number[] = []
    while (performance.now() < until) {
      const begun = performance.now()
      await what()
      times.push(performance.now() - begun)
      await pause(everyMs)
    }
    return timesOf(times)
  }
  const [sealing, health] = await Promise.all([
    measure(TICK_EVERY_MS, () => postTick(authority, token, `t${street.ticks++}`)),
    measure(100, () => getJson(authority, '/health')),
  ])
  return { sealing, health, lightNodesLive: await countLive(lights), rssMiB: { start, end: rssOf(authority) } }
}

async function countLive(lights: readonly ProcessNode[]): Promise<number> {
  const told = await Promise.all(lights.map((light) => getJson<{ state: string }>(light, '/light')))
  return told.filter(({ state }) => state === 'live').length
}

const rssOf = ({ process }: ProcessNode): number => {
  const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 1024)
}

function timesOf(times: readonly number[]): Times {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): number =>
    Math.round(sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0)
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}
