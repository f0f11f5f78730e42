import { openArchiveFiles } from '../../../src/storage/archive/archive-files.ts'
import { openChainStore } from '../../../src/storage/level/chain-store.ts'
import { removalAt } from './archive-fixtures.ts'

/** Removes the first trade of each block, the oldest first, and tells of each: the test kills it. */
const [, , path = ''] = process.argv
const store = await openChainStore(`${path}/level`, { files: await openArchiveFiles(`${path}/archive`) })
const size = await store.size()
for (let height = (await store.redactions(0)).length; height < size; height++) {
  await store.redact([removalAt(height)])
  process.stdout.write(`${height}\n`)
}
