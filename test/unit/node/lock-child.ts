import { openDataDirectory } from '../../../src/node/data-directory.ts'

/** Takes a data directory and keeps it until it is killed: prints `held`, or why it could not. */
try {
  const directory = await openDataDirectory(process.argv[2] ?? '')
  process.stdout.write('held\n')
  setInterval(() => directory.path, 1_000)
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`)
}
