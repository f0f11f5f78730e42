import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { processGroup, type NodeProcess } from '../helpers/processes.ts'
import { tempDir } from '../helpers/temp.ts'
import { median, type BenchOptions, type BenchRow } from './compare.ts'
import { platformTick, ticksUntilNow } from './trades.ts'

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const ROUNDS = 3
const BLOCKS = 10
const TRADES = 100
/** How long nothing happens before the processes are looked at. */
const IDLE_MS = 5_000
const BARE = 'setInterval(() => undefined, 60_000)'

/** Resident memory of an authority and of a light node with some blocks, idle, against a Node process that does nothing. */
export async function benchMemory({ rounds = ROUNDS, sizes = [TRADES] }: BenchOptions): Promise<BenchRow[]> {
  if (!existsSync(CLI)) throw new Error(`${CLI} is not there: npm run build makes it`)
  const readings: Reading[] = []
  for (let round = 0; round < rounds; round++) readings.push(await readOnce(Math.max(...sizes)))
  const bare = median(readings.map((reading) => reading.bare))
  return (['authority', 'light'] as const).map((mode) => {
    const ours = median(readings.map((reading) => reading[mode]))
    return {
      name: `idle memory of --mode=${mode}, against bare node`,
      ours,
      against: bare,
      ratio: ours / bare,
      unit: 'MB',
    }
  })
}

type Reading = Readonly<Record<'authority' | 'light' | 'bare', number>>

async function readOnce(trades: number): Promise<Reading> {
  const folder = await tempDir()
  const group = processGroup()
  const data = join(folder.path, 'authority')
  const start = (mode: string, at: string, ...flags: readonly string[]) =>
    group.start([CLI, `--mode=${mode}`, '--json', '--data', at, ...flags])
  try {
    const bare = group.start(['-e', BARE])
    const listen = '/ip4/127.0.0.1/tcp/0'
    const authority = start('authority', data, '--http', ':0', '--listen', listen, '--tick', 'off')
    const { http, chain_id, multiaddrs } = await authority.awaitLine(pickStarted)
    const light = start('light', join(folder.path, 'light'), '--peer', multiaddrs?.[0] ?? '', '--chain', chain_id ?? '')
    await light.awaitLine(pickStarted)
    await postTicks(http ?? '', data, trades)
    await light.awaitLine((line) => (heightIn(line) === BLOCKS - 1 ? true : undefined))
    await delay(IDLE_MS)
    return {
      authority: await residentMegabytes(authority),
      light: await residentMegabytes(light),
      bare: await residentMegabytes(bare),
    }
  } finally {
    await group.killAll()
    await folder.remove()
  }
}

interface LogLine {
  readonly msg?: string
  readonly height?: number
  readonly http?: string
  readonly chain_id?: string
  readonly multiaddrs?: readonly string[]
}

const parseLine = (line: string): LogLine => JSON.parse(line) as LogLine
const heightIn = (line: string): number | undefined => parseLine(line).height

function pickStarted(line: string): LogLine | undefined {
  const parsed = parseLine(line)
  return parsed.msg?.includes('is running') === true ? parsed : undefined
}

async function postTicks(http: string, data: string, trades: number): Promise<void> {
  const { platform } = JSON.parse(await readFile(join(data, 'tokens.json'), 'utf8')) as { readonly platform: string }
  const timeOf = ticksUntilNow(BLOCKS)
  for (let round = 0; round < BLOCKS; round++) {
    const answer = await fetch(`${http}/ticks/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${platform}`, 'content-type': 'application/json' },
      body: JSON.stringify(platformTick(`tick-${round}`, trades, timeOf(round))),
    })
    if (!answer.ok) throw new Error(`POST /ticks/ answers ${answer.status}: ${await answer.text()}`)
  }
}

/** Resident set size as the kernel counts it, in MB of 10^6 bytes. */
async function residentMegabytes({ pid }: NodeProcess): Promise<number> {
  const kilobytes = existsSync('/proc/self/status')
    ? /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
    : (await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])).stdout
  return (Number(kilobytes) * 1_024) / 1e6
}
