import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { tempDatabase } from '../../helpers/postgres.ts'
import { tempDir } from '../../helpers/temp.ts'
import { bundleForNode } from '../../helpers/bundle.ts'
import { prepareCommunity, type Community } from './community.ts'
import { createLives, type Life, type Lives } from './lives.ts'
import { createPlatform, createValve, startLoad, type Load, type Platform, type Valve } from './platform.ts'
import { auditCommunity, checkRunning, checkServed, checkStopped, untilSettled } from './state-check.ts'
import { createWitness, type Witness } from './witness.ts'

/** What became of one kill. */
export interface KillRound {
  /** Milliseconds after the process was told to start. */
  readonly killedAfterMs: number
  /** False if it was killed before it took calls: in its recovery, or before. */
  readonly tookCalls: boolean
  /** What the clean audit after the next start counted. */
  readonly blocks: number
  readonly transactions: number
}

export interface KillReport {
  readonly kills: number
  readonly killedBeforeItTookCalls: number
  readonly blocks: number
  readonly transactions: number
  readonly answers: number
}

export interface KillOptions {
  readonly database: 'SQLite' | 'PostgreSQL'
  readonly kills: number
  /** Between 0 and 1, as Math.random. */
  readonly random: () => number
  readonly onRound?: (round: KillRound) => void
}

/** Load runs for at most this long in a life. */
const LOAD_MS = 500
/** The first start takes about this long; after that the one before tells. */
const FIRST_START_MS = 1_500

/**
 * One chain under load whose authority is killed at random moments, its start included. After each kill it is started, its
 * whole state is held against everything that anybody was told in any of its lives, it is stopped, and its stores are
 * audited. Throws what is not so.
 */
export async function runKillRounds({ database, kills, random, onRound }: KillOptions): Promise<KillReport> {
  const folder = await tempDir()
  const postgres = database === 'PostgreSQL' ? await tempDatabase() : undefined
  const community = await prepareCommunity(folder.path, postgres?.url)
  const entry = new URL('authority-process.ts', import.meta.url)
  const lives = createLives(bundleForNode(entry, join(folder.path, 'package')), community.flags)
  const traffic = startTraffic(community)
  const { valve, load, checked, witness } = traffic
  let startMs = FIRST_START_MS
  let killedBeforeItTookCalls = 0
  try {
    for (let n = 0; n < kills; n++) {
      const { killedAfterMs, tookCalls } = await killOnce(lives, valve, random() * (startMs + LOAD_MS))
      if (!tookCalls) killedBeforeItTookCalls++
      const begun = performance.now()
      const next = await begin(lives)
      startMs = performance.now() - begun
      await untilSettled(checked)
      await checkRunning(checked)
      await stop(next)
      const { blocks, transactions } = await auditCommunity(community)
      onRound?.({ killedAfterMs, tookCalls, blocks, transactions })
    }
    const last = await begin(lives)
    valve.open()
    await load.stop()
    await untilSettled(checked)
    await checkRunning(checked)
    await checkServed(checked)
    await stop(last)
    await checkStopped(checked)
    const { blocks, transactions } = await auditCommunity(community)
    return { kills, killedBeforeItTookCalls, blocks, transactions, answers: witness.answers.size }
  } finally {
    traffic.end()
    await lives.killAll()
    await load.done.catch(() => undefined)
    await postgres?.drop()
    await folder.remove()
  }
}

interface Traffic {
  readonly valve: Valve
  readonly witness: Witness
  readonly load: Load
  readonly checked: {
    readonly community: Community
    readonly platform: Platform
    readonly witness: Witness
    readonly load: Load
  }
  end(): void
}

/** Engines and a market that the valve holds back, and calls of the check, which it does not. */
function startTraffic(community: Community): Traffic {
  const stopping = new AbortController()
  const tokens = async () => {
    const text = await readFile(join(community.directory, 'tokens.json'), 'utf8')
    return JSON.parse(text) as { readonly operator: string; readonly platform: string }
  }
  const parts = { url: community.url, tokens, signal: stopping.signal }
  const [valve, always] = [createValve(), createValve()]
  always.open()
  const platform = createPlatform({ ...parts, valve: always })
  const witness = createWitness()
  const load = startLoad(createPlatform({ ...parts, valve }), witness)
  return {
    valve,
    witness,
    load,
    checked: { community, platform, witness, load },
    end() {
      stopping.abort()
      valve.open()
    },
  }
}

async function killOnce(lives: Lives, valve: Valve, afterMs: number) {
  const life = await lives.begin(null)
  let tookCalls = false
  const opened = life.started.then((started) => {
    if (!started) return
    tookCalls = true
    valve.open()
  })
  await Promise.race([pause(afterMs), life.end])
  life.process.kill('SIGKILL')
  const { signal, code } = await life.end
  valve.close()
  await opened
  valve.close()
  assert.equal(signal, 'SIGKILL', `ended with ${code}: ${life.process.errors()}`)
  return { killedAfterMs: afterMs, tookCalls }
}

async function begin(lives: Lives): Promise<Life> {
  const life = await lives.begin(null)
  assert.ok(await life.started, life.process.errors())
  return life
}

async function stop(life: Life): Promise<void> {
  life.process.kill('SIGTERM')
  const end = await life.end
  assert.deepEqual([end.code, end.signal], [0, null], life.process.errors())
}
