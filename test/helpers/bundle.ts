import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Native modules, and packages that find files of their own by where they lie. */
const EXTERNAL = ['libsql', 'pg', 'classic-level', 'pino', 'pino-pretty', '@fastify/swagger-ui', '@fastify/static']

/** Files that a process starts threads from: they lie beside whatever starts them. */
const THREADS = ['storage/sql/sqlite-thread', 'node/work-miner-thread', 'node/signature-thread']

/**
 * Bundles an entry below `folder`, laid out as the package is: into one file, and one for each part that is imported only
 * when it is needed. Reading a few files instead of a thousand starts a process four times as fast and more, and the tests
 * start many. Gives back the file to run.
 */
export function bundleForNode(entry: URL, folder: string): string {
  const outdir = join(folder, 'dist/node')
  mkdirSync(join(folder, 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  for (const built of ['node_modules', 'dist/web']) symlinkSync(join(root, built), join(folder, built))
  buildSync({
    entryPoints: {
      process: fileURLToPath(entry),
      ...Object.fromEntries(THREADS.map((file) => [basename(file), join(root, 'src', `${file}.ts`)])),
    },
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: EXTERNAL,
    // Half as much to read and to compile; names stay, for errors and logs.
    minifyWhitespace: true,
    minifySyntax: true,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  })
  return join(outdir, 'process.js')
}

let commandLine: string | undefined

/** The command line of these sources as a bundle: made when it is first asked for, and gone with this process. */
export function cliFile(): string {
  if (commandLine !== undefined) return commandLine
  const folder = mkdtempSync(join(tmpdir(), 'solar-node-cli-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  commandLine = bundleForNode(new URL('../../src/cli/main.ts', import.meta.url), folder)
  return commandLine
}
