import { strict as assert } from 'node:assert'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Redaction } from '../../../src/protocol/redaction.ts'
import type { LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { block } from '../../contract/fixtures.ts'

export const ARCHIVE_LIMITS = { maxBlocks: 4, maxText: 1_000_000 }

/** The block of this height: trades `<height>-a` and `<height>-b`. */
export const made = (height: number) => block(height, [`${height}-a`, `${height}-b`])

/** What removes the first trade of the block of this height. */
export function removalAt(height: number): Redaction {
  const [tx_hash = ''] = made(height).txHashes
  return { tx_hash, tx_id: `${height}-a`, height, redacted_by: 'mia', redacted_at: 5, reason: 'asked for' }
}

/** The block of this height without its first trade, and the record of its removal. */
export function gone(height = 1) {
  const { block: whole, txHashes } = made(height)
  const hole = { kind: 'redacted', tx_hash: txHashes[0]! }
  return { record: removalAt(height), block: { ...whole, transactions: [hole, whole.transactions[1]] } }
}

/** The nonce of the first trade of this height, which stands nowhere else. */
export const nonce = (height = 1): string => (made(height).block.transactions[0] as { nonce: string }).nonce

/** Adds blocks up to this size of the chain. */
export async function grow(store: LevelChainStore, to: number): Promise<void> {
  for (let height = await store.size(); height < to; height++) {
    const { block: next, hash, txHashes } = made(height)
    await store.append(next, hash, txHashes)
  }
}

export async function archiveAll(store: LevelChainStore, end: number): Promise<void> {
  for (let file = await store.archive(end); file !== undefined;) file = await store.archive(end)
}

export async function checkAll(store: LevelChainStore, to: number): Promise<void> {
  for (let height = 0; height < to; height++) assert.deepEqual(await store.block(height), made(height).block)
}

/**
 * That none of these texts is in a file of `level/` or `archive/` below the folder. A file may have a text compressed, which
 * breaks it up: any eight characters of it tell.
 */
export async function assertNowhere(folder: string, ...texts: readonly string[]): Promise<void> {
  const parts = texts.flatMap((text) => Array.from({ length: text.length - 7 }, (_, at) => text.slice(at, at + 8)))
  const read = async (name: string): Promise<readonly Buffer[]> => {
    const path = join(folder, name)
    return await Promise.all((await readdir(path)).map((file) => readFile(join(path, file))))
  }
  const unpacked = (await read('archive')).map((bytes) => gunzipSync(bytes.subarray(bytes.indexOf('\n') + 1)))
  for (const content of [...(await read('level')), ...unpacked]) {
    assert.ok(parts.every((part) => !content.includes(part)))
  }
}
