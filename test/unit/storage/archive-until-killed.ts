import { openArchiveFiles } from '../../../src/storage/archive/archive-files.ts'
import { openChainStore } from '../../../src/storage/level/chain-store.ts'
import { made } from './archive-fixtures.ts'

/** Appends blocks and archives them for ever, and tells of each: the test kills it. */
const [, , path = ''] = process.argv
const files = await openArchiveFiles(`${path}/archive`)
const store = await openChainStore(`${path}/level`, { files, limits: { maxBlocks: 3, maxText: 1_000_000 } })
for (let height = await store.size(); ; height++) {
  const next = made(height)
  await store.append(next.block, next.hash, next.txHashes)
  process.stdout.write(`${height}\n`)
  await store.archive(height)
}
