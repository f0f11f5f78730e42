import { runCommandLine } from './program.ts'
import { outputWritten, watchOutput } from './streams.ts'

// LevelDB and SQLite make their files as the umask says.
process.umask(0o077)
watchOutput()
process.exitCode = await runCommandLine(process.argv)
await outputWritten()
// Whatever still hangs (a connection that is not answered) must not keep a command that is done.
process.exit()
