import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { bundleForNode } from '../helpers/bundle.ts'
import { eventually } from '../helpers/network.ts'
import {
  blockStatus,
  createProcessNetwork,
  getJson,
  postTick,
  type ProcessNetwork,
  type ProcessNode,
} from '../helpers/process-network.ts'
import { processGroup, type NodeProcess } from '../helpers/processes.ts'
import { createRandom, type Random } from '../sim/random.ts'

export interface ChurnOptions {
  readonly durationMs: number
  /** Decides who is killed and when. */
  readonly seed: number
  /** Hears of each round. */
  readonly onRound?: (round: Round) => void
}

/** Half of the households died, and came back. */
export interface Round {
  readonly killed: readonly string[]
  readonly blocks: number
  /** From the first start of a killed process to finality of the newest block. */
  readonly finalAfterMs: number
}

export interface ChurnReport {
  readonly rounds: number
  readonly blocks: number
  readonly votes: number
  readonly slowestMs: number
}

const HOUSEHOLDS = 20
const HOSTS = 4
/** More than half of the households. */
const QUORUM = HOUSEHOLDS / 2 + 1
const FINAL_LIMIT_MS = 20_000

/** A process with some of the households. */
interface Host {
  readonly ids: readonly string[]
  process: NodeProcess
}

/**
 * An authority under votes:11 and twenty light nodes in four processes, of which two at a time are killed, whatever they do,
 * and brought back. Fails if a block becomes final with half of the households dead, if finality does not come back with
 * them, or if a vote counts twice.
 */
export async function runChurn({ durationMs, seed, onRound }: ChurnOptions): Promise<ChurnReport> {
  const random = createRandom(seed)
  const voters = Array.from({ length: HOUSEHOLDS }, (_, n) => `house-${n}`)
  const network = await createProcessNetwork({ finality: `votes:${QUORUM}`, validators: [], voters })
  const processes = processGroup()
  try {
    const authority = await network.startAuthority()
    const hosts = await createHosts(network, authority, random.shuffle(voters), (args) => processes.start(args))
    const street = { network, authority, token: await network.tokenOf('platform'), hosts, random }
    return await churn(street, durationMs, onRound)
  } finally {
    await processes.killAll()
    await network.stop()
  }
}

interface Street {
  readonly network: ProcessNetwork
  readonly authority: ProcessNode
  readonly token: string
  readonly hosts: Hosts
  readonly random: Random
}

interface Hosts {
  readonly all: readonly Host[]
  begin(host: Host): Promise<void>
}

async function createHosts(
  network: ProcessNetwork,
  authority: ProcessNode,
  voters: readonly string[],
  start: (args: readonly string[]) => NodeProcess,
): Promise<Hosts> {
  const main = bundleForNode(new URL('light-host.ts', import.meta.url), join(network.folder, 'light-host'))
  const perHost = HOUSEHOLDS / HOSTS
  const flagsOf = (id: string) => ({
    data: join(network.folder, id),
    chain: network.chainId,
    peer: [authority.address],
  })
  const launch = (ids: readonly string[]): NodeProcess => start([main, JSON.stringify(ids.map(flagsOf))])
  const running = (process: NodeProcess) => process.awaitLine((line) => (line.includes('"running"') ? true : undefined))
  const all = Array.from({ length: HOSTS }, (_, n): Host => {
    const ids = voters.slice(n * perHost, (n + 1) * perHost)
    return { ids, process: launch(ids) }
  })
  await Promise.all(all.map(({ process }) => running(process)))
  return {
    all,
    async begin(host) {
      host.process = launch(host.ids)
      await running(host.process)
    },
  }
}

async function churn(
  street: Street,
  durationMs: number,
  onRound: (round: Round) => void = () => undefined,
): Promise<ChurnReport> {
  const { authority, hosts, random } = street
  const until = Date.now() + durationMs
  const blocks: string[] = []
  let [rounds, votes, slowestMs] = [0, 0, 0]
  const tick = async (): Promise<string> => {
    const { block_hash } = await postTick(authority, street.token, `t${blocks.length}`)
    blocks.push(block_hash)
    return block_hash
  }
  await isFinal(authority, await tick())
  for (; Date.now() < until; rounds++) {
    const first = blocks.length
    // Some die with a vote on its way, some before they have heard of the block.
    await tick()
    await pause(random.between(0, 60))
    const killed = random.shuffle(hosts.all).slice(0, HOSTS / 2)
    for (const { process } of killed) process.kill('SIGKILL')
    await Promise.all(killed.map(({ process }) => process.ended))
    for (let n = random.between(1, 3); n > 0; n--) await tick()
    await staysProposed(authority, await tick())

    const begun = Date.now()
    await Promise.all(killed.map((host) => hosts.begin(host)))
    if (random.chance(0.5)) await tick()
    for (const hash of blocks.slice(first)) await isFinal(authority, hash)
    const finalAfterMs = Date.now() - begun
    slowestMs = Math.max(slowestMs, finalAfterMs)
    for (const hash of blocks.slice(first)) votes += await countVotes(authority, hash)
    onRound({ killed: killed.flatMap(({ ids }) => ids), blocks: blocks.length - first, finalAfterMs })
  }
  for (const hash of blocks) {
    assert.equal((await blockStatus(authority, hash, street.token)).status, 'final', 'final is for ever')
  }
  assert.deepEqual((await getJson<{ evidence: unknown[] }>(authority, '/evidence')).evidence, [])
  for (const { process } of hosts.all) assert.doesNotMatch(process.output(), /alarm/)
  return { rounds, blocks: blocks.length, votes, slowestMs }
}

const isFinal = (authority: ProcessNode, hash: string): Promise<void> =>
  eventually(
    `block ${hash} is final`,
    async () => (await blockStatus(authority, hash)).status === 'final',
    FINAL_LIMIT_MS,
  )

/** All that live have acked it, and they are one too few. */
async function staysProposed(authority: ProcessNode, hash: string): Promise<void> {
  await eventually(
    'every household that lives has acked',
    async () => (await blockStatus(authority, hash)).votes.ack === QUORUM - 1,
    FINAL_LIMIT_MS,
  )
  assert.equal((await blockStatus(authority, hash)).status, 'proposed')
}

/** The number of votes on a block, each of another household. */
async function countVotes(authority: ProcessNode, hash: string): Promise<number> {
  const { votes } = await getJson<{ votes: { vote: { voter_id: string } }[] }>(authority, `/blocks/${hash}/votes/`)
  const voters = new Set(votes.map(({ vote }) => vote.voter_id))
  assert.equal(voters.size, votes.length, `a household counts twice for ${hash}`)
  assert.ok(votes.length <= HOUSEHOLDS)
  return votes.length
}
