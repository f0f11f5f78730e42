import { rebuildDirectory } from '../../../src/node/rebuild.ts'

/** Rebuilds a data directory over and over until it is killed: prints `going` before the first, `again` after each. */
const [data = '', database = ''] = process.argv.slice(2)
process.stdout.write('going\n')
for (;;) {
  await rebuildDirectory(data, { kind: 'sqlite', path: database }, () => undefined)
  process.stdout.write('again\n')
}
