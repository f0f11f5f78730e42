import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { auditDirectory } from '../../../src/node/audit.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import type { PlatformTick, TickAnswer } from '../../../src/ports/ledger.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { platformTick } from './platform.ts'

/** What of a data directory is put back from a backup. */
export type Part = 'ledger.db' | 'level' | 'high-water'

/** A running authority of the lab, and where it is reached. */
export interface RunningAuthority extends Pick<AuthorityNode, 'ledger'> {
  readonly url: string
  readonly address: string
}

/** An authority in a data directory whose parts are lost, or put back from backups. */
export interface StaleLab {
  readonly folder: string
  /** The data directory, where another is not named. */
  readonly data: string
  /** Every tick that was sealed, and its answer; a tick's place is its height. */
  readonly ticks: PlatformTick[]
  readonly answers: TickAnswer[]
  /** Warnings and errors of the authorities so far. */
  readonly log: readonly string[]
  /** While an authority runs, `work` is done; then it stops. */
  whileRunning<T>(work: (node: RunningAuthority) => Promise<T>, flags?: Readonly<Record<string, unknown>>): Promise<T>
  /** Seals this many ticks more. */
  trade(node: RunningAuthority, count: number): Promise<void>
  /** A copy of the data directory of a stopped authority. */
  backup(name: string): Promise<string>
  /** Puts parts of a backup in the place of what is there. */
  putBack(backup: string, ...parts: readonly Part[]): Promise<void>
  lose(...parts: readonly Part[]): Promise<void>
  /** Every block is served as it was answered, each tick is answered as before, and each proof holds. */
  checkChain(node: RunningAuthority): Promise<void>
  /** A clean audit of the stopped authority's stores. */
  audit(): Promise<void>
  blocksInSql(): Promise<readonly (readonly [number, string])[]>
  refusesToStart(expected: RegExp): Promise<void>
  close(): Promise<void>
}

export async function openStaleLab(): Promise<StaleLab> {
  const folder = await mkdtemp(join(tmpdir(), 'solar-stale-'))
  const data = join(folder, 'data')
  const database = join(data, 'ledger.db')
  const ticks: PlatformTick[] = []
  const answers: TickAnswer[] = []
  const log: string[] = []
  const running = new Set<AuthorityNode>()
  const note = (_: object, message: string) => void log.push(message)
  const logger: Logger = { debug: () => undefined, info: () => undefined, warn: note, error: note }

  async function whileRunning<T>(
    work: (node: RunningAuthority) => Promise<T>,
    flags: Readonly<Record<string, unknown>> = {},
  ): Promise<T> {
    const common = { data, http: '127.0.0.1:0', listen: ['/ip4/127.0.0.1/tcp/0'], tick: 'off' }
    const node = createAuthority(loadAuthorityConfig({ flags: { ...common, ...flags }, env: {} }), { logger })
    running.add(node)
    const { httpUrl, multiaddrs } = await node.start()
    const result = await work({ ledger: node.ledger, url: httpUrl ?? '', address: multiaddrs[0] ?? '' })
    await node.stop()
    running.delete(node)
    return result
  }

  return {
    folder,
    data,
    ticks,
    answers,
    log,
    whileRunning,
    async trade({ ledger }, count) {
      for (let n = 0; n < count; n++) {
        const tick = platformTick('tick', ticks.length)
        answers.push(await ledger.acceptTick(tick))
        ticks.push(tick)
      }
    },
    async backup(name) {
      const copy = join(folder, `backup-${name}`)
      // The logs beside a closed database are empty, and may go away at any time.
      await cp(data, copy, { recursive: true, filter: (path) => !/-(wal|shm)$/.test(path) })
      return copy
    },
    async putBack(backup, ...parts) {
      for (const part of parts) {
        await rm(join(data, part), { recursive: true, force: true })
        await cp(join(backup, part), join(data, part), { recursive: true })
      }
    },
    async lose(...parts) {
      for (const part of parts) await rm(join(data, part), { recursive: true })
    },
    async checkChain({ ledger }) {
      const { headers } = await ledger.latestHeaders(100)
      assert.deepEqual(
        headers.map(({ header_hash }) => header_hash),
        answers.map(({ header_hash }) => header_hash),
      )
      for (const [index, tick] of ticks.entries()) {
        const { block_hash, transactions } = answers[index]!
        assert.deepEqual(await ledger.acceptTick(tick), answers[index])
        for (const { id, tx_hash } of transactions) {
          assert.equal((await ledger.blockProof(block_hash ?? '', { tx_id: id })).tx_hash, tx_hash)
        }
        assert.equal((await ledger.blockStatus(block_hash ?? '')).status, 'final')
      }
      if (answers.length > 0) await ledger.historyConsistency(1, answers.length)
    },
    async audit() {
      const report = await auditDirectory(data, { kind: 'sqlite', path: database }, () => undefined)
      assert.deepEqual([report.findings, report.blocks], [[], answers.length])
    },
    async blocksInSql() {
      const store = await openSqlite(database)
      try {
        return (await store.blocks(0, 1_000)).map(({ height, block_hash }) => [height, block_hash] as const)
      } finally {
        await store.close()
      }
    },
    async refusesToStart(expected) {
      await assert.rejects(
        whileRunning(() => Promise.resolve()),
        (error) => isSolarError(error, 'corrupt') && expected.test(error.message),
      )
    },
    async close() {
      await Promise.all([...running].map((node) => node.stop()))
      await rm(folder, { recursive: true })
    },
  }
}
